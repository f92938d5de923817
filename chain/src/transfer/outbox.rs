//! The outbox of a state that comes from elsewhere. Its entries are only taken if they fold to what the state names.

use std::num::NonZeroU64;

use db3_merkle_log::{CompletedNode, Frontier};
use rocksdb::WriteBatch;

use super::TransferError;
use crate::store::{Store, StoreError};

/// Entries that are written at once.
const BATCH_ENTRIES: usize = 10_000;

/// Entries in order, and the nodes that they complete.
#[derive(Default)]
pub(super) struct Entries {
    frontier: Frontier,
    rows: Vec<(u64, Vec<u8>, Vec<CompletedNode>)>,
}

impl Entries {
    /// Adds the next entry.
    pub(super) fn add(&mut self, entry: Vec<u8>) {
        let index = self.frontier.size();
        let nodes = self.frontier.append(&entry);
        self.rows.push((index, entry, nodes));
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.frontier.size()
    }

    /// Whether they are the outbox of a state; `at` names the file that they come from.
    pub(super) fn check(&self, at: &str, expected: &Frontier) -> Result<(), TransferError> {
        if self.frontier == *expected {
            return Ok(());
        }
        Err(TransferError::malformed(at, "the outbox is not the one that the state names"))
    }

    /// Writes them and the epochs that they close, not synced.
    pub(super) fn write(&self, store: &Store, epoch_secs: NonZeroU64) -> Result<(), StoreError> {
        for rows in self.rows.chunks(BATCH_ENTRIES) {
            let mut batch = WriteBatch::default();
            for (index, entry, nodes) in rows {
                store.add_foreign_entry(&mut batch, *index, entry, epoch_secs)?;
                store.add_outbox_nodes(&mut batch, nodes)?;
            }
            store.write(batch, false)?;
        }
        Ok(())
    }
}
