//! What a chain lets governance change beside its validators, and the rules for it that both kinds of chain share.

use std::num::NonZeroU64;

use db3_carry::Channel;
use db3_light_client::UnixTime;
use db3_merkle_log::Inbox;
use db3_primitives::limits::{CEILING_TAI_MAX, MUTATION_BYTES_MAX, OPERATIONS_PER_MUTATION_MAX, TREE_KEY_BYTES_MAX};
use db3_primitives::{BlockTime, ChainLeaf, Metered, PriceTable, SettlementLeaf};

use crate::action::{Action, Parameter, Replacement};

/// The changeable part of a chain during one block. A clone is a trial: what is changed there changes nothing here.
pub trait Subject: Clone {
    /// Does what an action says. The error says why it cannot be done.
    ///
    /// Never called with actions of validators, nor with [`Action::Cancel`]: those are the same on every chain.
    fn change(&mut self, action: &Action) -> Result<(), String>;

    /// Whether what all actions together leave can be. The error says what is wrong.
    fn check(&self) -> Result<(), String>;
}

/// Whether a chain can go on under such prices after those that it has: their version is a higher one, and the largest
/// mutation has a fee that somebody could pay.
pub fn check_prices(before: &PriceTable, prices: &PriceTable) -> Result<(), String> {
    if prices.version <= before.version {
        return Err(format!("the prices have version {}, it must be above {}", prices.version, before.version));
    }
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let largest = Metered {
        mutations: 1,
        bytes_in: number(MUTATION_BYTES_MAX),
        operations: number(OPERATIONS_PER_MUTATION_MAX),
        key_bytes: number(OPERATIONS_PER_MUTATION_MAX.saturating_mul(TREE_KEY_BYTES_MAX)),
        bytes_stored: number(MUTATION_BYTES_MAX.saturating_mul(4)),
    };
    match prices.fee(&largest) {
        Some(fee) if fee <= CEILING_TAI_MAX => Ok(()),
        Some(_) | None => {
            Err(format!("a mutation could cost more than {CEILING_TAI_MAX} tai, which is more than any credit"))
        }
    }
}

/// Sets a number of a shard.
pub fn set_chain_parameter(chain: &mut ChainLeaf, parameter: Parameter, value: u64) -> Result<(), String> {
    match parameter {
        Parameter::BlockMutationsMax => chain.block_mutations_max = narrow(parameter, value)?,
        Parameter::CloseAccountsMax => chain.close_accounts_max = narrow(parameter, value)?,
        Parameter::ExpiryMaxSecs => chain.expiry_max_secs = nonzero(parameter, value)?.get(),
        Parameter::FactorNumerator
        | Parameter::FactorDenominator
        | Parameter::LeaseEpochs
        | Parameter::DeadlineSecs
        | Parameter::GraceEpochs
        | Parameter::SeizeEpochs
        | Parameter::WriteOffEpochs
        | Parameter::RoundAccountsMax => return Err(format!("a shard has no parameter {}", parameter.name())),
    }
    chain.check().map_err(|field| invalid(field, value))
}

/// Sets a number of the settlement chain. What must fit together is for [`Subject::check`], after all actions.
pub fn set_settlement_parameter(chain: &mut SettlementLeaf, parameter: Parameter, value: u64) -> Result<(), String> {
    match parameter {
        Parameter::ExpiryMaxSecs => chain.expiry_max_secs = value,
        Parameter::FactorNumerator => chain.factor_num = value,
        Parameter::FactorDenominator => chain.factor_den = nonzero(parameter, value)?,
        Parameter::LeaseEpochs => chain.lease_epochs = value,
        Parameter::DeadlineSecs => chain.deadline_secs = value,
        Parameter::GraceEpochs => chain.grace_epochs = value,
        Parameter::SeizeEpochs => chain.seize_epochs = value,
        Parameter::WriteOffEpochs => chain.write_off_epochs = value,
        Parameter::RoundAccountsMax => chain.round_accounts_max = narrow(parameter, value)?,
        Parameter::BlockMutationsMax | Parameter::CloseAccountsMax => {
            return Err(format!("the settlement chain has no parameter {}", parameter.name()));
        }
    }
    Ok(())
}

fn narrow(parameter: Parameter, value: u64) -> Result<u32, String> {
    u32::try_from(value).map_err(|_| invalid(parameter.name(), value))
}

fn nonzero(parameter: Parameter, value: u64) -> Result<NonZeroU64, String> {
    NonZeroU64::new(value).ok_or_else(|| invalid(parameter.name(), value))
}

fn invalid(field: &str, value: u64) -> String {
    format!("{field} cannot be {value}")
}

/// The channel that takes the place of `before` in a block of this time: no entry that was applied is applied again, and
/// its root is one that a header can be verified from.
pub fn replace_channel(before: &Channel, replacement: &Replacement, time: BlockTime) -> Result<Channel, String> {
    let Replacement { peer, inbox, .. } = replacement;
    let (size, cursor) = (inbox.size(), before.cursor());
    if size < cursor {
        return Err(format!("{size} entries would count as applied, and {cursor} were: none may be applied twice"));
    }
    let peer = peer.check().map_err(|error| error.to_string())?;
    let (began, now) = (peer.root.time(), unix_time(time));
    if now.saturating_since(began).as_secs() >= peer.options.trusting_period_secs() {
        return Err(format!("trust in it would have ended: it begins at {} s", began.secs()));
    }
    if began.saturating_since(now).as_secs() > peer.options.clock_drift_secs() {
        return Err(format!("trust in it would begin in the future, at {} s", began.secs()));
    }
    Channel::resumed(peer, Inbox::at(inbox.clone())).map_err(|error| error.to_string())
}

/// Block time as the light client counts it. A time that it cannot tell is after every header's.
fn unix_time(time: BlockTime) -> UnixTime {
    let secs = i64::try_from(time.secs).ok();
    secs.and_then(|secs| UnixTime::new(secs, time.nanos)).unwrap_or(UnixTime::MAX)
}
