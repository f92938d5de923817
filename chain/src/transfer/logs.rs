//! The logs of a state that comes from elsewhere. Their entries are only taken if they fold to what the state names.

use std::collections::BTreeMap;

use db3_merkle_log::{CompletedNode, Frontier};
use db3_primitives::{BlockTime, Height};
use rocksdb::WriteBatch;

use super::TransferError;
use crate::machine::{At, LogRow, Machine};
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
    rows: Vec<(LogRow, Vec<CompletedNode>)>,
    /// The block that took in the newest entry of which that is known.
    newest: Option<At>,
}

impl Logs {
    /// Adds the next entry of a log, and the block that took it in: none before that of an earlier entry, and none after
    /// the state's; `at` names the place in the file.
    pub(super) fn add(
        &mut self,
        at: impl ToString,
        log: Log,
        entry: Vec<u8>,
        taken: Option<At>,
        state: At,
    ) -> Result<(), TransferError> {
        let name = log.to_string();
        let Entries { frontier, rows, newest } = self.logs.entry(log).or_default();
        let index = frontier.size();
        if let Some(taken) = taken {
            let earliest = newest.unwrap_or(At { height: Height::new(1), time: BlockTime::default() });
            let within = |from: At, to: At| from.height <= to.height && from.time <= to.time;
            if !within(earliest, taken) || !within(taken, state) {
                let detail = format!(
                    "entry {index} of the log {name} cannot have been taken in by block {} at {}",
                    taken.height,
                    taken.time.rfc3339()
                );
                return Err(TransferError::malformed(at, detail));
            }
            *newest = Some(taken);
        }
        let nodes = frontier.append(&entry);
        rows.push((LogRow { index, bytes: entry, taken }, nodes));
        Ok(())
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
                for (row, nodes) in rows {
                    store.add_entry(&mut batch, log, row.index, &row.bytes)?;
                    for node in nodes {
                        store.add_node(&mut batch, log, node)?;
                    }
                    M::adopt_entry(store, &mut batch, state, row, log)?;
                }
                store.write(batch, false)?;
            }
        }
        Ok(())
    }
}
