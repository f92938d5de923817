//! On the settlement chain: what the shards stated and closed, found in their logs. Nothing is removed.
//!
//! Row of `statements`, by account (20) ‖ shard (4) ‖ index in the shard's log (8): cumulative sum (16) ‖ height (8) ‖
//! time (12). Key of `statement_order`: account (20) ‖ height (8) ‖ shard (4) ‖ index (8); its value is one 0.
//! Row of `closes`, by shard (4) ‖ last epoch (8): index in the shard's log (8) ‖ height (8) ‖ time (12) ‖ close (141).
//! Row of `close_order`, by shard (4) ‖ index (8): last epoch (8).
//!
//! In a restored or imported folder height and time are what the snapshot or the export says of them, and 0 where they do
//! not say it, as snapshots of other nodes never do: no hash covers them. What is proven is that the entry stands in the
//! shard's log. In lists such rows are the oldest, in the order of their log, and no condition on time accepts them.

use db3_primitives::{Address, BlockTime, Epoch, EpochClose, Height, LogEntry, ShardId, Statement, Tai};
use rocksdb::{Direction, IteratorMode, WriteBatch};

use super::row::time_bytes;
use super::{Family, Row, Store, StoreError};
use crate::machine::At;

/// What a shard stated of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementRow {
    /// The account.
    pub account: Address,
    /// The shard.
    pub shard: ShardId,
    /// Position in the shard's log.
    pub index: u64,
    /// What the account owed from the beginning.
    pub cumulative: Tai,
    /// What the shard's statement of the account before this one said; none if this is the first.
    pub previous: Option<Tai>,
    /// Position of that one.
    pub previous_index: Option<u64>,
    /// The epochs that it is of, first and last; none until the shard's close came.
    pub epochs: Option<(Epoch, Epoch)>,
    /// Block of the settlement chain that took it in; 0 where this node does not know it.
    pub height: Height,
    /// Time of that block.
    pub time: BlockTime,
}

/// A shard's close as the settlement chain has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseRow {
    /// The shard.
    pub shard: ShardId,
    /// The close.
    pub close: EpochClose,
    /// Position in the shard's log; its statements stand right before it.
    pub index: u64,
    /// Block of the settlement chain that took it in; 0 where this node does not know it.
    pub height: Height,
    /// Time of that block.
    pub time: BlockTime,
}

/// Which statements are wanted. Everything that is set has to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatementFilter {
    /// Of this shard.
    pub shard: Option<ShardId>,
    /// Of closes that touch these epochs, both included; statements whose close did not come yet are not among them.
    pub epochs: Option<(Epoch, Epoch)>,
    /// Taken in at or after this time.
    pub since: Option<BlockTime>,
    /// Taken in before this time.
    pub until: Option<BlockTime>,
    /// Taken in by blocks up to this height.
    pub height_max: Option<Height>,
}

/// Where a list of an account's statements goes on: with this one and those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementCursor {
    /// Block that took it in.
    pub height: Height,
    /// Its shard.
    pub shard: ShardId,
    /// Its index.
    pub index: u64,
}

impl StatementRow {
    /// The same in a log that begins at this index: none where it stands before, and nothing of one that does.
    #[must_use]
    pub fn within(self, begins: u64) -> Option<Self> {
        let previous_index = self.previous_index.filter(|index| *index >= begins);
        let previous = self.previous.filter(|_| previous_index.is_some());
        (self.index >= begins).then_some(Self { previous, previous_index, ..self })
    }
}

impl StatementFilter {
    fn accepts(&self, row: &StatementRow) -> bool {
        self.shard.is_none_or(|shard| shard == row.shard)
            && self.epochs.is_none_or(|(first, last)| row.epochs.is_some_and(|(from, to)| from <= last && first <= to))
            && self.since.is_none_or(|since| since <= row.time)
            && self.until.is_none_or(|until| row.height > Height::new(0) && row.time < until)
            && self.height_max.is_none_or(|height| row.height <= height)
    }
}

impl CloseRow {
    fn to_bytes(&self) -> Vec<u8> {
        [
            self.index.to_be_bytes().as_slice(),
            &self.height.get().to_be_bytes(),
            &time_bytes(self.time),
            &self.close.to_bytes(),
        ]
        .concat()
    }

    fn from_bytes(shard: ShardId, key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        let mut row = Row::new("close", key, bytes);
        let (index, height, time) = (row.u64()?, Height::new(row.u64()?), row.time()?);
        let damaged = row.damaged("is no close");
        match LogEntry::from_bytes(row.rest()) {
            Ok(LogEntry::EpochClose(close)) => Ok(Self { shard, close, index, height, time }),
            Ok(LogEntry::Statement(_)) | Err(_) => Err(damaged),
        }
    }
}

impl Store {
    /// Notes an entry of a shard's log that was applied.
    pub(crate) fn add_inbound(
        &self,
        batch: &mut WriteBatch,
        at: At,
        shard: ShardId,
        index: u64,
        entry: &LogEntry,
    ) -> Result<(), StoreError> {
        match entry {
            LogEntry::Statement(statement) => self.add_statement(batch, at, shard, index, statement),
            LogEntry::EpochClose(close) => {
                let row = CloseRow { shard, close: *close, index, height: at.height, time: at.time };
                let last = close.last.get().to_be_bytes();
                batch.put_cf(self.family(Family::Closes)?, shard_key(shard, close.last.get()), row.to_bytes());
                batch.put_cf(self.family(Family::CloseOrder)?, shard_key(shard, index), last);
                Ok(())
            }
        }
    }

    fn add_statement(
        &self,
        batch: &mut WriteBatch,
        at: At,
        shard: ShardId,
        index: u64,
        statement: &Statement,
    ) -> Result<(), StoreError> {
        let row =
            [statement.cumulative.get().to_be_bytes().as_slice(), &at.height.get().to_be_bytes(), &time_bytes(at.time)]
                .concat();
        batch.put_cf(self.family(Family::Statements)?, statement_key(&statement.account, shard, index), row);
        let cursor = StatementCursor { height: at.height, shard, index };
        batch.put_cf(self.family(Family::StatementOrder)?, order_key(&statement.account, &cursor), [0]);
        Ok(())
    }

    /// What a shard stated of an account at the close of an epoch; without an epoch the newest. None where the account
    /// was charged nothing in it, or where it did not close yet.
    pub fn statement(
        &self,
        shard: ShardId,
        account: &Address,
        epoch: Option<Epoch>,
    ) -> Result<Option<StatementRow>, StoreError> {
        let (first, last) = match epoch {
            None => (0, u64::MAX),
            Some(epoch) => {
                let Some(close) = self.close(shard, epoch)? else { return Ok(None) };
                (close.index.saturating_sub(close.close.statements), close.index)
            }
        };
        let key = statement_key(account, shard, last);
        let Some((index, cumulative, height, time)) = self.statement_at_or_before(&key)? else { return Ok(None) };
        if index < first {
            return Ok(None);
        }
        self.finished(StatementRow {
            account: *account,
            shard,
            index,
            cumulative,
            previous: None,
            previous_index: None,
            epochs: None,
            height,
            time,
        })
        .map(Some)
    }

    /// At most `limit` statements of an account that the filter accepts, newest first, from `cursor` (none: the newest),
    /// and where the list goes on. At most `visits` rows are looked at.
    pub fn statements(
        &self,
        account: &Address,
        filter: &StatementFilter,
        cursor: Option<StatementCursor>,
        limit: usize,
        visits: usize,
    ) -> Result<(Vec<StatementRow>, Option<StatementCursor>), StoreError> {
        let newest = StatementCursor {
            height: filter.height_max.unwrap_or(Height::new(u64::MAX)),
            shard: ShardId::new(u32::MAX),
            index: u64::MAX,
        };
        let from = order_key(account, &cursor.unwrap_or(newest));
        let rows = self.rows(Family::StatementOrder, IteratorMode::From(&from, Direction::Reverse))?;
        let mut found = Vec::new();
        for (visited, row) in rows.enumerate() {
            let (key, _) = row?;
            if !key.starts_with(account.as_bytes()) {
                break;
            }
            let place = Row::new("statement", &key, &key).only(|row| {
                row.address()?;
                Ok(StatementCursor {
                    height: Height::new(row.u64()?),
                    shard: ShardId::new(row.u32()?),
                    index: row.u64()?,
                })
            })?;
            if found.len() >= limit || visited >= visits {
                return Ok((found, Some(place)));
            }
            let (shard, index) = (place.shard, place.index);
            let key = statement_key(account, shard, index);
            let stored = self.statement_at_or_before(&key)?.filter(|(found, ..)| *found == index);
            let (_, cumulative, height, time) =
                stored.ok_or_else(|| StoreError::missing("statement", format!("0x{}", hex::encode(&key))))?;
            // Taken over from elsewhere and executed here later on, it stands in the order twice.
            if height != place.height {
                continue;
            }
            if filter.since.is_some_and(|since| time < since) {
                break;
            }
            let row = StatementRow {
                account: *account,
                shard,
                index,
                cumulative,
                previous: None,
                previous_index: None,
                epochs: None,
                height,
                time,
            };
            let row = self.finished(row)?;
            if filter.accepts(&row) {
                found.push(row);
            }
        }
        Ok((found, None))
    }

    /// The statement at a key or the account's last one of the shard before it.
    fn statement_at_or_before(&self, key: &[u8]) -> Result<Option<(u64, Tai, Height, BlockTime)>, StoreError> {
        let rows = self.rows(Family::Statements, IteratorMode::From(key, Direction::Reverse))?;
        let Some((found, value)) = rows.take(1).next().transpose()? else { return Ok(None) };
        if found.get(..24) != key.get(..24) {
            return Ok(None);
        }
        let index = Row::new("statement", &found, &found).only(|row| {
            row.address()?;
            row.u32()?;
            row.u64()
        })?;
        let row = Row::new("statement", &found, &value);
        row.only(|row| Ok((index, row.tai()?, Height::new(row.u64()?), row.time()?))).map(Some)
    }

    /// Adds what other rows say: the statement before, and the close after.
    fn finished(&self, row: StatementRow) -> Result<StatementRow, StoreError> {
        let previous = match row.index.checked_sub(1) {
            Some(before) => self.statement_at_or_before(&statement_key(&row.account, row.shard, before))?,
            None => None,
        };
        let from = shard_key(row.shard, row.index);
        let close = self.rows(Family::CloseOrder, IteratorMode::From(&from, Direction::Forward))?.next().transpose()?;
        let close = match close.filter(|(key, _)| key.starts_with(&row.shard.get().to_be_bytes())) {
            Some((key, value)) => self.close(row.shard, Epoch::new(Row::new("close", &key, &value).only(Row::u64)?))?,
            None => None,
        };
        let epochs = close.map(|close| (close.close.first, close.close.last));
        let previous_index = previous.map(|(index, ..)| index);
        Ok(StatementRow { previous: previous.map(|(_, cumulative, ..)| cumulative), previous_index, epochs, ..row })
    }

    /// The block that took in an entry of a shard's log; none where it was not applied, or where that is not known.
    pub(crate) fn taken_in(&self, shard: ShardId, index: u64, entry: &LogEntry) -> Result<Option<At>, StoreError> {
        let at = match entry {
            LogEntry::Statement(statement) => {
                let found = self.statement_at_or_before(&statement_key(&statement.account, shard, index))?;
                let found = found.filter(|(found, ..)| *found == index);
                found.map(|(_, _, height, time)| At { height, time })
            }
            LogEntry::EpochClose(close) => {
                let row = self.close(shard, close.last)?.filter(|row| row.index == index);
                row.map(|row| At { height: row.height, time: row.time })
            }
        };
        Ok(at.filter(|at| *at != At::UNKNOWN))
    }

    /// The close of a shard that covers an epoch.
    pub fn close(&self, shard: ShardId, epoch: Epoch) -> Result<Option<CloseRow>, StoreError> {
        let key = shard_key(shard, epoch.get());
        let row = self.rows(Family::Closes, IteratorMode::From(&key, Direction::Forward))?.next().transpose()?;
        let Some((key, value)) = row.filter(|(key, _)| key.starts_with(&shard.get().to_be_bytes())) else {
            return Ok(None);
        };
        let row = CloseRow::from_bytes(shard, &key, &value)?;
        Ok((row.close.first <= epoch).then_some(row))
    }

    /// At most `limit` closes of a shard, newest first, whose last epoch is at most `from` (none: all).
    pub fn closes(&self, shard: ShardId, from: Option<Epoch>, limit: usize) -> Result<Vec<CloseRow>, StoreError> {
        let key = shard_key(shard, from.map_or(u64::MAX, Epoch::get));
        let rows = self.rows(Family::Closes, IteratorMode::From(&key, Direction::Reverse))?;
        let of_shard = |row: &Result<super::KeyValue, StoreError>| {
            row.as_ref().map_or(true, |(key, _)| key.starts_with(&shard.get().to_be_bytes()))
        };
        let rows = rows.take_while(of_shard).take(limit);
        rows.map(|row| row.and_then(|(key, value)| CloseRow::from_bytes(shard, &key, &value))).collect()
    }
}

fn statement_key(account: &Address, shard: ShardId, index: u64) -> Vec<u8> {
    [account.as_bytes().as_slice(), &shard.get().to_be_bytes(), &index.to_be_bytes()].concat()
}

fn order_key(account: &Address, cursor: &StatementCursor) -> Vec<u8> {
    let StatementCursor { height, shard, index } = cursor;
    [account.as_bytes().as_slice(), &height.get().to_be_bytes(), &shard.get().to_be_bytes(), &index.to_be_bytes()]
        .concat()
}

/// Shard ‖ index, or shard ‖ epoch.
fn shard_key(shard: ShardId, number: u64) -> Vec<u8> {
    [shard.get().to_be_bytes().as_slice(), &number.to_be_bytes()].concat()
}
