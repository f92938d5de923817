//! Entries of the outbox, epochs and their closes.

use std::num::NonZeroU64;

use bytes::Bytes;
use db3_primitives::{CreditEntry, Epoch, EpochClose, Height, LogEntry, ShardId, Statement, Tai};

use super::time::timestamp_of_secs;
use super::view::{ViewError, same};
use crate::v1;

const EPOCH: &str = "epoch";
const ENTRY: &str = "outbox entry";
const STATEMENT: &str = "statement";

/// A statement of a shard.
#[must_use]
pub fn statement_message(shard: ShardId, statement: &Statement) -> v1::Statement {
    v1::Statement {
        leaf: statement.to_bytes().into(),
        shard: shard.get(),
        account: Bytes::copy_from_slice(statement.account.as_bytes()),
        cumulative_tai: statement.cumulative.to_string(),
        payee: Bytes::copy_from_slice(&statement.payee.to_bytes()),
        ..v1::Statement::default()
    }
}

/// A closed epoch.
#[must_use]
pub fn epoch_message(close: &EpochClose, epoch_secs: NonZeroU64) -> v1::Epoch {
    v1::Epoch {
        leaf: close.to_bytes().into(),
        shard: close.shard.get(),
        epoch: close.first.get(),
        start_time: start_time(close.first, epoch_secs),
        end_time: close.last.next().and_then(|next| start_time(next, epoch_secs)),
        first_height: close.first_height.get(),
        last_height: close.last_height.get(),
        bills_root: Bytes::copy_from_slice(&close.bills_root),
        bill_count: close.bill_count,
        statement_count: close.statements,
        total_tai: close.total.to_string(),
        inbox_cursor: close.inbox_cursor,
        previous: Bytes::copy_from_slice(&close.previous),
        last_epoch: close.last.get(),
        status: v1::BillStatus::Closed.into(),
    }
}

/// The epoch that is open: what its bills are so far.
#[must_use]
pub fn open_epoch_message(
    shard: ShardId,
    open: Epoch,
    first_height: Height,
    (bills_root, bill_count, total): ([u8; 32], u64, Tai),
    epoch_secs: NonZeroU64,
) -> v1::Epoch {
    v1::Epoch {
        shard: shard.get(),
        epoch: open.get(),
        last_epoch: open.get(),
        start_time: start_time(open, epoch_secs),
        end_time: open.next().and_then(|next| start_time(next, epoch_secs)),
        first_height: first_height.get(),
        bills_root: Bytes::copy_from_slice(&bills_root),
        bill_count,
        total_tai: total.to_string(),
        status: v1::BillStatus::Open.into(),
        ..v1::Epoch::default()
    }
}

fn start_time(epoch: Epoch, epoch_secs: NonZeroU64) -> Option<prost_types::Timestamp> {
    epoch.start_secs(epoch_secs).map(timestamp_of_secs)
}

/// An entry of a shard's outbox with its decoded view.
#[must_use]
pub fn outbox_entry_message(index: u64, entry: &LogEntry, shard: ShardId, epoch_secs: NonZeroU64) -> v1::OutboxEntry {
    use v1::outbox_entry::Decoded;
    v1::OutboxEntry {
        index,
        leaf: entry.to_bytes().into(),
        decoded: Some(match entry {
            LogEntry::Statement(statement) => Decoded::Statement(statement_message(shard, statement)),
            LogEntry::EpochClose(close) => Decoded::EpochClose(epoch_message(close, epoch_secs)),
        }),
    }
}

/// An entry of the settlement chain's outbox with its decoded view.
#[must_use]
pub fn credit_entry_message(index: u64, entry: &CreditEntry) -> v1::OutboxEntry {
    use v1::outbox_entry::Decoded;
    v1::OutboxEntry {
        index,
        leaf: entry.to_bytes().into(),
        decoded: Some(match entry {
            CreditEntry::Line(line) => Decoded::Line(v1::LineEntry {
                account: Bytes::copy_from_slice(line.account.as_bytes()),
                ceiling_tai: line.ceiling.to_string(),
            }),
            CreditEntry::Heartbeat(heartbeat) => Decoded::Lease(v1::LeaseEntry {
                epoch: heartbeat.epoch.get(),
                lease_epoch: heartbeat.lease.get(),
                inbox_cursor: heartbeat.inbox_cursor,
            }),
        }),
    }
}

/// The entry that an entry of the settlement chain's outbox holds.
pub fn checked_credit_entry(message: &v1::OutboxEntry) -> Result<CreditEntry, ViewError> {
    let entry = CreditEntry::from_bytes(&message.leaf).map_err(ViewError::leaf(ENTRY))?;
    same(ENTRY, message, &credit_entry_message(message.index, &entry))?;
    Ok(entry)
}

/// The statement that a message's bytes hold. What settlement made of it is the node's word, but must add up: the amount is the
/// sum less the one before, and is no less than what is paid, written off and outstanding.
pub fn checked_statement(message: &v1::Statement) -> Result<Statement, ViewError> {
    let differs = || ViewError::Differs { what: STATEMENT };
    let entry = LogEntry::from_bytes(&message.leaf).map_err(ViewError::leaf(STATEMENT))?;
    let LogEntry::Statement(statement) = entry else { return Err(differs()) };
    let view = statement_message(ShardId::new(message.shard), &statement);
    let given = (&message.leaf, &message.account, &message.cumulative_tai, &message.payee);
    same(STATEMENT, &given, &(&view.leaf, &view.account, &view.cumulative_tai, &view.payee))?;
    if message.amount_tai.is_empty() && message.previous_cumulative_tai.is_empty() {
        return Ok(statement);
    }
    let tai = |text: &str| if text.is_empty() { Ok(Tai::ZERO) } else { text.parse::<Tai>().map_err(|_| differs()) };
    let amount = tai(&message.amount_tai)?;
    let parts = [&message.paid_tai, &message.written_off_tai, &message.outstanding_tai];
    let known = parts.into_iter().try_fold(Tai::ZERO, |sum, part| sum.checked_add(tai(part)?).ok_or_else(differs))?;
    let adds_up = tai(&message.previous_cumulative_tai)?.checked_add(amount) == Some(statement.cumulative);
    if adds_up && known <= amount { Ok(statement) } else { Err(differs()) }
}

/// The close that a closed epoch's bytes hold; `None` for one whose close is not written yet. The status is the node's word.
pub fn checked_epoch(message: &v1::Epoch, epoch_secs: NonZeroU64) -> Result<Option<EpochClose>, ViewError> {
    if message.leaf.is_empty() {
        return Ok(None);
    }
    match LogEntry::from_bytes(&message.leaf).map_err(ViewError::leaf(EPOCH))? {
        LogEntry::Statement(_) => Err(ViewError::Differs { what: EPOCH }),
        LogEntry::EpochClose(close) => {
            let wanted = v1::Epoch { status: message.status, ..epoch_message(&close, epoch_secs) };
            same(EPOCH, message, &wanted)?;
            Ok(Some(close))
        }
    }
}

/// The entry that an outbox entry's bytes hold.
pub fn checked_outbox_entry(
    message: &v1::OutboxEntry,
    shard: ShardId,
    epoch_secs: NonZeroU64,
) -> Result<LogEntry, ViewError> {
    let entry = LogEntry::from_bytes(&message.leaf).map_err(ViewError::leaf(ENTRY))?;
    let wanted = outbox_entry_message(message.index, &entry, shard, epoch_secs);
    same(ENTRY, message, &wanted)?;
    Ok(entry)
}
