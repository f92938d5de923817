//! The logs of a state that comes from elsewhere. Their entries are only taken if they fold to what the state names.

use std::collections::BTreeMap;

use db3_merkle_log::{CompletedNode, Frontier};
use rocksdb::WriteBatch;

use super::TransferError;
use crate::machine::Machine;
use crate::store::logs::Log;
use crate::store::{Store, StoreError};

/// Entries that are written at once.
const BATCH_ENTRIES: usize = 10_000;

/// The entries of every log, and the nodes that they complete.
#[derive(Default)]
pub(super) struct Logs {
    logs: BTreeMap<Log, Entries>,
}

#[derive(Default)]
struct Entries {
    frontier: Frontier,
    rows: Vec<(u64, Vec<u8>, Vec<CompletedNode>)>,
}

impl Logs {
    /// Adds the next entry of a log.
    pub(super) fn add(&mut self, log: Log, entry: Vec<u8>) {
        let Entries { frontier, rows } = self.logs.entry(log).or_default();
        let index = frontier.size();
        let nodes = frontier.append(&entry);
        rows.push((index, entry, nodes));
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> u64 {
        self.logs.values().fold(0, |sum, log| sum.saturating_add(log.frontier.size()))
    }

    /// Whether they are the logs of a state; `at` names the file that they come from.
    pub(super) fn check(&self, at: &str, expected: &[(Log, Frontier)]) -> Result<(), TransferError> {
        let empty = Frontier::new();
        let of = |log: &Log| self.logs.get(log).map_or(&empty, |log| &log.frontier);
        if let Some((log, _)) = expected.iter().find(|(log, frontier)| of(log) != frontier) {
            return Err(TransferError::malformed(at, format!("the log {log} is not the one that the state names")));
        }
        match self.logs.keys().find(|log| expected.iter().all(|(expected, _)| expected != *log)) {
            Some(log) => Err(TransferError::malformed(at, format!("the state names no log {log}"))),
            None => Ok(()),
        }
    }

    /// Writes them and what `M` keeps about them, not synced.
    pub(super) fn write<M: Machine>(&self, store: &Store, state: &M::State) -> Result<(), StoreError> {
        for (log, entries) in &self.logs {
            for rows in entries.rows.chunks(BATCH_ENTRIES) {
                let mut batch = WriteBatch::default();
                for (index, entry, nodes) in rows {
                    store.add_entry(&mut batch, log, *index, entry)?;
                    for node in nodes {
                        store.add_node(&mut batch, log, node)?;
                    }
                    M::adopt_entry(store, &mut batch, state, log, *index, entry)?;
                }
                store.write(batch, false)?;
            }
        }
        Ok(())
    }
}
