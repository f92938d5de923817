//! What the settlement chain knows of the shards, and its rounds.

use bytes::Bytes;
use db3_primitives::leaf::RoundPhase;
use db3_primitives::{Address, ChainId, Epoch, NetworkName, RoundLeaf, ShardFault, ShardId, ShardLeaf};

use super::view::{ViewError, same};
use crate::v1;

const SHARD: &str = "shard";
const ROUND: &str = "round";

/// A shard.
#[must_use]
pub fn settlement_shard_message(network: &NetworkName, shard: ShardId, leaf: &ShardLeaf) -> v1::SettlementShard {
    v1::SettlementShard {
        shard: shard.get(),
        chain_id: ChainId::shard(network, shard).as_str().to_owned(),
        lease_epoch: leaf.lease.get(),
        last_close_epoch: leaf.last_close.map(Epoch::get),
        close_hash: Bytes::copy_from_slice(&leaf.close_hash),
        inbox_cursor: leaf.inbox_cursor,
        statements: leaf.statements,
        total_tai: leaf.total.to_string(),
        pool_tai: leaf.pool.to_string(),
        income_tai: leaf.income.to_string(),
        fault: leaf.fault.map_or(v1::ShardFault::Unspecified, |fault| shard_fault(fault.code)).into(),
        fault_index: leaf.fault.map_or(0, |fault| fault.index),
        last_account: optional_account(leaf.last_account),
        stored: leaf.to_bytes().into(),
    }
}

/// A fault as it is on the wire.
#[must_use]
pub const fn shard_fault(fault: ShardFault) -> v1::ShardFault {
    match fault {
        ShardFault::EntryMalformed => v1::ShardFault::EntryMalformed,
        ShardFault::LineUnknown => v1::ShardFault::LineUnknown,
        ShardFault::StatementBelowLast => v1::ShardFault::StatementBelowLast,
        ShardFault::StatementAboveHeld => v1::ShardFault::StatementAboveHeld,
        ShardFault::StatementOrder => v1::ShardFault::StatementOrder,
        ShardFault::CloseShard => v1::ShardFault::CloseShard,
        ShardFault::CloseNotContiguous => v1::ShardFault::CloseNotContiguous,
        ShardFault::ClosePrevious => v1::ShardFault::ClosePrevious,
        ShardFault::CloseStatements => v1::ShardFault::CloseStatements,
        ShardFault::CloseTotal => v1::ShardFault::CloseTotal,
        ShardFault::CloseCursor => v1::ShardFault::CloseCursor,
        ShardFault::CloseEarly => v1::ShardFault::CloseEarly,
        ShardFault::HeaderConflict => v1::ShardFault::HeaderConflict,
    }
}

/// The leaf that a shard's bytes hold.
pub fn checked_settlement_shard(
    message: &v1::SettlementShard,
    network: &NetworkName,
) -> Result<(ShardId, ShardLeaf), ViewError> {
    let shard = ShardId::new(message.shard);
    let leaf = ShardLeaf::from_bytes(&message.stored).map_err(ViewError::leaf(SHARD))?;
    same(SHARD, message, &settlement_shard_message(network, shard, &leaf))?;
    Ok((shard, leaf))
}

/// The rounds.
#[must_use]
pub fn round_message(leaf: &RoundLeaf) -> v1::Round {
    let message = v1::Round {
        settled_epoch: leaf.settled.map(Epoch::get),
        rounds: leaf.rounds,
        debited_tai: "0".to_owned(),
        paid_tai: "0".to_owned(),
        stored: leaf.to_bytes().into(),
        ..v1::Round::default()
    };
    let Some(running) = leaf.running else { return message };
    let (phase, last_account, next_shard) = match running.phase {
        RoundPhase::Accounts { after } => (v1::RoundPhase::Accounts, optional_account(after), 0),
        RoundPhase::Shards { next } => (v1::RoundPhase::Shards, Bytes::new(), next.get()),
    };
    v1::Round {
        phase: phase.into(),
        epoch: running.epoch.get(),
        postings: running.postings,
        debited_tai: running.debited.to_string(),
        paid_tai: running.paid.to_string(),
        last_account,
        next_shard,
        ..message
    }
}

/// The leaf that the bytes of the rounds hold.
pub fn checked_round(message: &v1::Round) -> Result<RoundLeaf, ViewError> {
    let leaf = RoundLeaf::from_bytes(&message.stored).map_err(ViewError::leaf(ROUND))?;
    same(ROUND, message, &round_message(&leaf))?;
    Ok(leaf)
}

fn optional_account(account: Option<Address>) -> Bytes {
    account.map_or_else(Bytes::new, |account| Bytes::copy_from_slice(account.as_bytes()))
}
