//! The closes of a shard's epochs, found in its outbox.
//!
//! Row of `epochs`, by the last epoch that the close covers: index in the outbox (8) ‖ height (8) ‖ time (12) ‖ close
//! (141).

use std::num::NonZeroU64;

use db3_primitives::{BlockTime, Epoch, EpochClose, Height, LogEntry};
use rocksdb::{Direction, IteratorMode, WriteBatch};

use super::row::time_bytes;
use super::{Family, Row, Store, StoreError};

/// A closed epoch, or several that closed as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochRow {
    /// Its close.
    pub close: EpochClose,
    /// Position of the close in the outbox; its statements stand right before it.
    pub outbox_index: u64,
    /// Block that wrote the close; in a restored or imported folder, for closes before it, the epochs' last block.
    pub height: Height,
    /// Time of that block; in such a folder the end of the last epoch.
    pub time: BlockTime,
}

impl EpochRow {
    fn to_bytes(&self) -> Vec<u8> {
        [
            self.outbox_index.to_be_bytes().as_slice(),
            &self.height.get().to_be_bytes(),
            &time_bytes(self.time),
            &self.close.to_bytes(),
        ]
        .concat()
    }

    fn from_bytes(key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        let mut row = Row::new("epoch", key, bytes);
        let (outbox_index, height, time) = (row.u64()?, Height::new(row.u64()?), row.time()?);
        let damaged = row.damaged("is no close");
        match LogEntry::from_bytes(row.rest()) {
            Ok(LogEntry::EpochClose(close)) => Ok(Self { close, outbox_index, height, time }),
            Ok(LogEntry::Statement(_)) | Err(_) => Err(damaged),
        }
    }
}

impl Store {
    /// Notes a close that a block wrote.
    pub(crate) fn add_close(&self, batch: &mut WriteBatch, row: &EpochRow) -> Result<(), StoreError> {
        batch.put_cf(self.family(Family::Epochs)?, row.close.last.get().to_be_bytes(), row.to_bytes());
        Ok(())
    }

    /// Notes an entry that comes with a state from elsewhere, if it is a close. Which block wrote it is not known.
    pub(crate) fn add_foreign_close(
        &self,
        batch: &mut WriteBatch,
        index: u64,
        entry: &[u8],
        epoch_secs: NonZeroU64,
    ) -> Result<(), StoreError> {
        let decoded = LogEntry::from_bytes(entry)
            .map_err(|error| StoreError::damaged("outbox entry", &index.to_be_bytes(), error))?;
        let LogEntry::EpochClose(close) = decoded else { return Ok(()) };
        let end = close.last.next().and_then(|next| next.start_secs(epoch_secs));
        let time = BlockTime::from_secs(end.unwrap_or(u64::MAX));
        self.add_close(batch, &EpochRow { close, outbox_index: index, height: close.last_height, time })
    }

    /// The close that covers an epoch; none while it is open or being closed.
    pub fn epoch(&self, epoch: Epoch) -> Result<Option<EpochRow>, StoreError> {
        let key = epoch.get().to_be_bytes();
        let row = self.rows(Family::Epochs, IteratorMode::From(&key, Direction::Forward))?.next().transpose()?;
        let Some((key, value)) = row else { return Ok(None) };
        let row = EpochRow::from_bytes(&key, &value)?;
        Ok((row.close.first <= epoch).then_some(row))
    }

    /// At most `limit` closes, newest first, that begin at or before `from` (none: all).
    pub fn epochs(&self, from: Option<Epoch>, limit: usize) -> Result<Vec<EpochRow>, StoreError> {
        let mut found = Vec::new();
        // The close that covers `from` stands under a later number.
        if let Some(row) = from.map(|epoch| self.epoch(epoch)).transpose()?.flatten() {
            found.push(row);
        }
        let before = found.first().map(|row| row.close.first).or(from);
        let key = before.unwrap_or(Epoch::new(u64::MAX)).get().to_be_bytes();
        for row in self.rows(Family::Epochs, IteratorMode::From(&key, Direction::Reverse))? {
            let (key, value) = row?;
            let row = EpochRow::from_bytes(&key, &value)?;
            if found.len() >= limit {
                break;
            }
            if found.first().is_none_or(|first| row.close.last < first.close.first) {
                found.push(row);
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}
