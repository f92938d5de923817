//! The readable text that an operator sees, and that scheme 2 signs.
//!
//! ```text
//! DB3 governance
//!
//! Chain: devnet-shard-0
//! Number: 3
//! Takes effect: at height 1000
//! Expires: 2026-01-31T09:30:00Z
//!
//! Actions: 1
//! - set validator 0x… to power 10, operated by 0x…, paid to 0x…
//!
//! Body SHA-256: 0x…
//! ```
//! Lines end in one line feed, the last has none. All actions are shown. The last line binds everything else.

use std::fmt;

use db3_primitives::hash::hex_text;
use db3_primitives::{BlockTime, sha256};

use crate::action::{Action, CatchUp, Replacement};
use crate::leaf::Validator;
use crate::proposal::Proposal;

impl Proposal {
    /// The text; the layout is at the top of this module.
    #[must_use]
    pub fn signing_text(&self) -> String {
        let when = if self.at_height.get() == 0 {
            "with the block after the one that holds it".to_owned()
        } else {
            format!("at height {}", self.at_height)
        };
        let actions: Vec<String> = self.actions.iter().map(|action| format!("- {action}\n")).collect();
        format!(
            "DB3 governance\n\nChain: {}\nNumber: {}\nTakes effect: {when}\nExpires: {}\n\nActions: {}\n{}\n\
             Body SHA-256: {}",
            self.chain_id,
            self.sequence,
            BlockTime::from_secs(self.expire_unix_secs),
            self.actions.len(),
            actions.concat(),
            hex_text(&sha256(&[&self.to_bytes()])),
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetValidator(Validator { key, power, operator, payout }) => {
                let key = hex_text(key);
                write!(f, "set validator {key} to power {power}, operated by {operator}, paid to {payout}")
            }
            Self::RemoveValidator { key } => write!(f, "remove validator {}", hex_text(key)),
            Self::SetPrices(prices) => write!(
                f,
                "set prices, version {}: {} tai a mutation, {} a byte in, {} an operation, {} a byte of key, {} a byte \
                 stored",
                prices.version,
                prices.per_mutation,
                prices.per_byte_in,
                prices.per_operation,
                prices.per_key_byte,
                prices.per_byte_stored
            ),
            Self::SetParameter { parameter, value } => write!(f, "set {} to {value}", parameter.name()),
            Self::SetTreasury { treasury } => write!(f, "set the treasury to {treasury}"),
            Self::SetTrust { account, trust } => write!(f, "trust {account} with {trust} tai"),
            Self::SetPayouts { shard, recipients } => {
                write!(f, "pay what shard {shard} earns to {} accounts:", recipients.len())?;
                recipients.iter().try_for_each(|(account, power)| write!(f, " {account} by {power}"))
            }
            Self::ReplaceChannel(replacement) => replacement.fmt(f),
            Self::Cancel { sequence } => write!(f, "cancel the change of transaction {sequence}"),
        }
    }
}

impl fmt::Display for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, inbox, catch_up } = self;
        write!(
            f,
            "trust {} anew from height {} at {} s, {} entries of its log applied with root {}, validators:",
            peer.chain_id(),
            peer.height(),
            peer.time().secs(),
            inbox.size(),
            hex_text(&inbox.root()),
        )?;
        for (key, power) in peer.validators() {
            write!(f, " {} by {power}", hex_text(key))?;
        }
        let Some(CatchUp { last, hash, statements }) = catch_up else { return Ok(()) };
        write!(f, "; its epochs up to {last} closed with {}, statements:", hex_text(hash))?;
        statements.iter().try_for_each(|(account, sum)| write!(f, " {account} {sum}"))
    }
}
