//! The one encoding of a proposal, which is what operators sign and what the state keeps until its height.
//!
//! version 1 (1) ‖ length of the chain id (1) ‖ chain id ‖ sequence number (8) ‖ height (8) ‖ expiry in Unix seconds (8) ‖
//! number of actions (2) ‖ for each: kind (1) ‖ length of its content (4) ‖ content. Integers big endian. Contents by
//! kind:
//!
//! 1. set a validator: key (32) ‖ power (8) ‖ operator (20) ‖ payout address (20)
//! 2. remove a validator: key (32)
//! 3. set prices: price table (84)
//! 4. set a parameter: its number (1) ‖ value (8)
//! 5. set the treasury: address (20)
//! 6. set trust: address (20) ‖ amount (16)
//! 7. set payouts: shard (4) ‖ for each recipient: address (20) ‖ power (8)
//! 8. replace a channel: length of the peer (4) ‖ peer, as in the leaf `peer/` ‖ length of the frontier (4) ‖ frontier, as
//!    in the leaf `inbox/` ‖ nothing, or: last epoch (8) ‖ hash of its close (32) ‖ for each statement: address (20) ‖
//!    cumulative sum (16)
//! 9. cancel: sequence number (8)
//!
//! The action's leaf in the state: format 1 (1) ‖ this encoding.

use db3_carry::{ClaimedPeer, PeerError};
use db3_merkle_log::Frontier;
use db3_primitives::decode::Reader;
use db3_primitives::limits::{
    GOVERNANCE_ACTIONS_MAX, GOVERNANCE_BODY_BYTES_MAX, GOVERNANCE_STATEMENTS_MAX, PAYOUTS_MAX,
};
use db3_primitives::{Address, ChainId, DecodeError, Epoch, Height, PriceTable, Rejection, ShardId, Tai};

use crate::action::{Action, CatchUp, Parameter, Replacement};
use crate::leaf::Validator;
use crate::proposal::Proposal;

const VERSION: u8 = 1;

impl Proposal {
    /// The encoding; the layout is at the top of this module.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let name = self.chain_id.as_str().as_bytes();
        let mut bytes = vec![VERSION, u8::try_from(name.len()).unwrap_or(u8::MAX)];
        bytes.extend(name);
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.at_height.get().to_be_bytes());
        bytes.extend(self.expire_unix_secs.to_be_bytes());
        bytes.extend(u16::try_from(self.actions.len()).unwrap_or(u16::MAX).to_be_bytes());
        for action in &self.actions {
            let content = content(action);
            bytes.push(kind(action));
            write_length(&mut bytes, content.len());
            bytes.extend(content);
        }
        bytes
    }

    /// Reads the encoding: exactly what [`to_bytes`](Self::to_bytes) gives, within the limits, and at least one action. Whether
    /// keys in it are points of the curve is not asked here: see [`check_keys`](Self::check_keys).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Rejection> {
        let malformed = |detail: String| Rejection::GovernanceMalformed { detail };
        if bytes.len() > GOVERNANCE_BODY_BYTES_MAX {
            let count = bytes.len();
            return Err(malformed(format!(
                "its body has {count} bytes, at most {GOVERNANCE_BODY_BYTES_MAX} are allowed"
            )));
        }
        let proposal = read(bytes).map_err(|error| malformed(error.to_string()))?;
        if proposal.to_bytes() == bytes {
            Ok(proposal)
        } else {
            Err(malformed("its body is not in the one encoding of what it says".to_owned()))
        }
    }

    /// Whether the validators of all chains that it begins anew with are sets. For whoever asks others to sign it, or signs it;
    /// a chain asks when it tries the actions, after the signatures.
    pub fn check_keys(&self) -> Result<(), Rejection> {
        for (index, action) in (0..).zip(&self.actions) {
            if let Action::ReplaceChannel(replacement) = action {
                let refused =
                    |error: PeerError| Rejection::GovernanceAction { action: index, detail: error.to_string() };
                replacement.peer.check().map_err(refused)?;
            }
        }
        Ok(())
    }
}

fn kind(action: &Action) -> u8 {
    match action {
        Action::SetValidator(_) => 1,
        Action::RemoveValidator { .. } => 2,
        Action::SetPrices(_) => 3,
        Action::SetParameter { .. } => 4,
        Action::SetTreasury { .. } => 5,
        Action::SetTrust { .. } => 6,
        Action::SetPayouts { .. } => 7,
        Action::ReplaceChannel(_) => 8,
        Action::Cancel { .. } => 9,
    }
}

fn content(action: &Action) -> Vec<u8> {
    let mut bytes = Vec::new();
    match action {
        Action::SetValidator(validator) => validator.write(&mut bytes),
        Action::RemoveValidator { key } => bytes.extend(key),
        Action::SetPrices(prices) => bytes.extend(prices.to_bytes()),
        Action::SetParameter { parameter, value } => {
            bytes.push(parameter.number());
            bytes.extend(value.to_be_bytes());
        }
        Action::SetTreasury { treasury } => bytes.extend(treasury.as_bytes()),
        Action::SetTrust { account, trust } => write_amount(&mut bytes, *account, *trust),
        Action::SetPayouts { shard, recipients } => {
            bytes.extend(shard.get().to_be_bytes());
            for (recipient, power) in recipients {
                bytes.extend(recipient.as_bytes());
                bytes.extend(power.to_be_bytes());
            }
        }
        Action::ReplaceChannel(replacement) => {
            for part in [replacement.peer.to_bytes(), replacement.inbox.to_bytes()] {
                write_length(&mut bytes, part.len());
                bytes.extend(part);
            }
            if let Some(CatchUp { last, hash, statements }) = &replacement.catch_up {
                bytes.extend(last.get().to_be_bytes());
                bytes.extend(hash);
                for (account, sum) in statements {
                    write_amount(&mut bytes, *account, *sum);
                }
            }
        }
        Action::Cancel { sequence } => bytes.extend(sequence.to_be_bytes()),
    }
    bytes
}

fn write_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

fn write_amount(bytes: &mut Vec<u8>, account: Address, amount: Tai) {
    bytes.extend(account.as_bytes());
    bytes.extend(amount.to_be_bytes());
}

fn read(bytes: &[u8]) -> Result<Proposal, DecodeError> {
    let mut reader = Reader::new("governance proposal", bytes);
    reader.format(VERSION)?;
    let name = usize::from(reader.u8()?);
    let name = reader.slice(name)?;
    let chain_id = std::str::from_utf8(name).ok().and_then(|name| ChainId::parse(name).ok());
    let chain_id = chain_id.ok_or_else(|| reader.invalid("chain_id"))?;
    let (sequence, at_height, expire_unix_secs) = (reader.u64()?, Height::new(reader.u64()?), reader.u64()?);
    let count = u16::from_be_bytes(reader.array()?);
    if count == 0 || usize::from(count) > GOVERNANCE_ACTIONS_MAX {
        return Err(reader.invalid("number of actions"));
    }
    let mut actions = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let kind = reader.u8()?;
        let content = read_part(&mut reader)?;
        actions.push(read_action(kind, content)?);
    }
    reader.end()?;
    Ok(Proposal { chain_id, sequence, at_height, expire_unix_secs, actions })
}

fn read_part<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = reader.u32()?;
    reader.slice(usize::try_from(length).unwrap_or(usize::MAX))
}

fn read_action(kind: u8, content: &[u8]) -> Result<Action, DecodeError> {
    let mut reader = Reader::new("governance action", content);
    let action = match kind {
        1 => Action::SetValidator(Validator::read(&mut reader)?),
        2 => Action::RemoveValidator { key: reader.array()? },
        3 => Action::SetPrices(PriceTable::from_bytes(reader.slice(PriceTable::BYTES)?)?),
        4 => {
            let parameter = Parameter::from_number(reader.u8()?).ok_or_else(|| reader.invalid("parameter"))?;
            Action::SetParameter { parameter, value: reader.u64()? }
        }
        5 => Action::SetTreasury { treasury: reader.address()? },
        6 => Action::SetTrust { account: reader.address()?, trust: reader.tai()? },
        7 => {
            let shard = ShardId::new(reader.u32()?);
            let (rest, limit) = (reader.rest(), PAYOUTS_MAX);
            let recipients = read_pairs("payouts", rest, limit, |reader| Ok((reader.address()?, reader.u64()?)))?;
            return Ok(Action::SetPayouts { shard, recipients });
        }
        8 => return read_replacement(reader).map(|replacement| Action::ReplaceChannel(Box::new(replacement))),
        9 => Action::Cancel { sequence: reader.u64()? },
        kind => return Err(reader.unknown_format(kind)),
    };
    reader.end()?;
    Ok(action)
}

fn read_replacement(mut reader: Reader<'_>) -> Result<Replacement, DecodeError> {
    let peer = ClaimedPeer::from_bytes(read_part(&mut reader)?).map_err(|_| reader.invalid("peer"))?;
    let inbox = Frontier::from_bytes(read_part(&mut reader)?).map_err(|_| reader.invalid("frontier"))?;
    let rest = reader.rest();
    if rest.is_empty() {
        return Ok(Replacement { peer, inbox, catch_up: None });
    }
    let mut reader = Reader::new("governance action", rest);
    let (last, hash) = (Epoch::new(reader.u64()?), reader.hash()?);
    let (rest, limit) = (reader.rest(), GOVERNANCE_STATEMENTS_MAX);
    let statements = read_pairs("statements", rest, limit, |reader| Ok((reader.address()?, reader.tai()?)))?;
    Ok(Replacement { peer, inbox, catch_up: Some(CatchUp { last, hash, statements }) })
}

/// Reads pairs up to the end; more than `max` are refused.
fn read_pairs<T>(
    what: &'static str,
    bytes: &[u8],
    max: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut pairs = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut reader = Reader::new(what, rest);
        if pairs.len() >= max {
            return Err(reader.invalid("number"));
        }
        pairs.push(read(&mut reader)?);
        rest = reader.rest();
    }
    Ok(pairs)
}
