//! The log of entries for the settlement chain with its inner nodes, and the closes of epochs found in it. Entries are
//! never removed: the settlement chain has acknowledged none of them yet.
//!
//! Row of `epochs`, by the last epoch that the close covers: index in the outbox (8) ‖ height (8) ‖ time (12) ‖ close
//! (141).

use std::num::NonZeroU64;

use db3_merkle_log::{CompletedNode, Hash, NodeSource, ProofError, leaf_hash, right_range};
use db3_primitives::{BlockTime, Epoch, EpochClose, Height, LogEntry};
use db3_shard_state::Effects;
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
    pub(crate) fn add_entries(
        &self,
        batch: &mut WriteBatch,
        height: Height,
        time: BlockTime,
        effects: &Effects,
    ) -> Result<(), StoreError> {
        let (outbox, epochs) = (self.family(Family::Outbox)?, self.family(Family::Epochs)?);
        for (index, entry) in &effects.entries {
            batch.put_cf(outbox, index.to_be_bytes(), entry.to_bytes());
            if let LogEntry::EpochClose(close) = entry {
                let row = EpochRow { close: *close, outbox_index: *index, height, time };
                batch.put_cf(epochs, close.last.get().to_be_bytes(), row.to_bytes());
            }
        }
        self.add_outbox_nodes(batch, &effects.outbox_nodes)
    }

    /// Adds an entry that comes with a state from elsewhere. Which block wrote it is not known.
    pub(crate) fn add_foreign_entry(
        &self,
        batch: &mut WriteBatch,
        index: u64,
        entry: &[u8],
        epoch_secs: NonZeroU64,
    ) -> Result<(), StoreError> {
        let key = index.to_be_bytes();
        let decoded = LogEntry::from_bytes(entry).map_err(|error| StoreError::damaged("outbox entry", &key, error))?;
        batch.put_cf(self.family(Family::Outbox)?, key, entry);
        if let LogEntry::EpochClose(close) = decoded {
            let end = close.last.next().and_then(|next| next.start_secs(epoch_secs));
            let time = BlockTime::from_secs(end.unwrap_or(u64::MAX));
            let row = EpochRow { close, outbox_index: index, height: close.last_height, time };
            batch.put_cf(self.family(Family::Epochs)?, close.last.get().to_be_bytes(), row.to_bytes());
        }
        Ok(())
    }

    pub(crate) fn add_outbox_nodes(&self, batch: &mut WriteBatch, nodes: &[CompletedNode]) -> Result<(), StoreError> {
        let family = self.family(Family::OutboxNodes)?;
        // Level 0 is made from the entry itself.
        for node in nodes.iter().filter(|node| node.level > 0) {
            batch.put_cf(family, node_key(node.level, node.index), node.hash);
        }
        Ok(())
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

    /// An entry's bytes.
    pub fn outbox_entry(&self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(Family::Outbox, &index.to_be_bytes())
    }

    /// At most `limit` entries from `from`, below `size`, and at most `bytes_max` bytes but at least one entry.
    pub fn outbox(&self, from: u64, size: u64, limit: usize, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let key = from.to_be_bytes();
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0_usize;
        for (row, expected) in self.rows(Family::Outbox, IteratorMode::From(&key, Direction::Forward))?.zip(from..size)
        {
            let (key, value) = row?;
            if *key != expected.to_be_bytes() {
                return Err(StoreError::missing("outbox entry", expected));
            }
            bytes = bytes.saturating_add(value.len());
            if found.len() >= limit || (bytes > bytes_max && !found.is_empty()) {
                break;
            }
            found.push(value.into_vec());
        }
        Ok(found)
    }

    /// Roots of the subtrees that cover [next, size), left to right: what a delivery carries beside its entries.
    pub fn outbox_right(&self, next: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        right_range(&OutboxLog { store: self }, next, size).map_err(missing_node)
    }
}

/// The log of entries, as the proofs of `db3_merkle_log` read it.
struct OutboxLog<'a> {
    store: &'a Store,
}

impl NodeSource for OutboxLog<'_> {
    type Error = StoreError;

    fn node(&self, level: u8, index: u64) -> Result<Option<Hash>, StoreError> {
        if level == 0 {
            return Ok(self.store.outbox_entry(index)?.map(|entry| leaf_hash(&entry)));
        }
        let key = node_key(level, index);
        let hash = self.store.get(Family::OutboxNodes, &key)?;
        hash.map(|bytes| Row::new("node of the outbox", &key, &bytes).only(Row::hash)).transpose()
    }
}

fn missing_node(error: ProofError<StoreError>) -> StoreError {
    match error {
        ProofError::Source(error) => error,
        other => StoreError::missing("node of the outbox", other),
    }
}

fn node_key(level: u8, index: u64) -> [u8; 9] {
    let mut key = [level; 9];
    let (_, second) = key.split_at_mut(1);
    second.copy_from_slice(&index.to_be_bytes());
    key
}
