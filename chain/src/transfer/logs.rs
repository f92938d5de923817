//! The logs of a state that comes from elsewhere. Their entries are only taken if they fold to what the state names.

use std::collections::BTreeMap;

use db3_merkle_log::{CompletedNode, Frontier};
use db3_primitives::{BlockTime, Height};
use rocksdb::WriteBatch;

use super::TransferError;
use crate::machine::{At, LogRow, Machine};
use crate::store::logs::{Log, NamedLog};
use crate::store::{Store, StoreError};

/// Entries that are written at once.
const BATCH_ENTRIES: usize = 10_000;

/// The entries of every log, and the nodes that they complete.
pub(super) struct Logs {
    logs: BTreeMap<Log, Entries>,
    /// The place of the block whose state it is.
    state: At,
}

#[derive(Default)]
struct Entries {
    /// What the entries go on from.
    begins: Frontier,
    frontier: Frontier,
    rows: Vec<(LogRow, Vec<CompletedNode>)>,
    /// The block that took in the newest entry of which that is known.
    newest: Option<At>,
}

impl Logs {
    /// Of the state that a block left.
    pub(super) fn of(state: At) -> Self {
        Self { logs: BTreeMap::new(), state }
    }

    /// Begins a log whose first entries are not kept, with their frontier in hex digits; `at` names the place in the file.
    pub(super) fn begin(&mut self, at: impl ToString, log: Log, begins: &str) -> Result<(), TransferError> {
        let bytes = hex::decode(begins).map_err(|error| error.to_string());
        let frontier = bytes.and_then(|bytes| Frontier::from_bytes(&bytes).map_err(|error| error.to_string()));
        let begins = match frontier {
            Ok(frontier) if !self.logs.contains_key(&log) => frontier,
            Ok(_) => return Err(TransferError::malformed(at, format!("the log {log} begins twice"))),
            Err(error) => return Err(TransferError::malformed(at, format!("the log {log} begins nowhere: {error}"))),
        };
        let frontier = begins.clone();
        self.logs.insert(log, Entries { begins, frontier, ..Entries::default() });
        Ok(())
    }

    /// Adds the next entry of a log, and the block that took it in, if that is known: none before that of an earlier
    /// entry, and none after the state's; `at` names the place in the file.
    pub(super) fn add(
        &mut self,
        at: impl ToString,
        log: Log,
        entry: Vec<u8>,
        taken: Option<At>,
    ) -> Result<(), TransferError> {
        let name = log.to_string();
        let Entries { frontier, rows, newest, .. } = self.logs.entry(log).or_default();
        let index = frontier.size();
        if let Some(taken) = taken {
            let earliest = newest.unwrap_or(At { height: Height::new(1), time: BlockTime::default() });
            let within = |from: At, to: At| from.height <= to.height && from.time <= to.time;
            if !within(earliest, taken) || !within(taken, self.state) {
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
        self.logs.values().fold(0, |sum, log| sum.saturating_add(log.rows.len() as u64))
    }

    /// Whether they are the logs of a state, and every entry one that can be adopted: nothing that they hold makes
    /// [`write`](Self::write) fail after that. `at` names the file that they come from.
    pub(super) fn check<M: Machine>(&self, at: &str, state: &M::State) -> Result<(), TransferError> {
        let (expected, empty) = (M::logs(state), Entries::default());
        let is_false = |named: &&NamedLog| {
            let found = self.logs.get(&named.log).unwrap_or(&empty);
            found.frontier != named.frontier || found.begins.size() != named.begins
        };
        if let Some(NamedLog { log, .. }) = expected.iter().find(is_false) {
            return Err(TransferError::malformed(at, format!("the log {log} is not the one that the state names")));
        }
        if let Some(log) = self.logs.keys().find(|log| expected.iter().all(|named| named.log != **log)) {
            return Err(TransferError::malformed(at, format!("the state names no log {log}")));
        }
        for (log, entries) in &self.logs {
            for (row, _) in &entries.rows {
                let wrong = |error| format!("entry {} of the log {log}: {error}", row.index);
                M::check_entry(row, log).map_err(|error| TransferError::malformed(at, wrong(error)))?;
            }
        }
        Ok(())
    }

    /// Writes them and what `M` keeps about them, not synced.
    pub(super) fn write<M: Machine>(&self, store: &Store, state: &M::State) -> Result<(), StoreError> {
        for (log, entries) in &self.logs {
            let mut batch = WriteBatch::default();
            store.add_frontier(&mut batch, log, &entries.begins)?;
            if let Log::Outbox(_) = log {
                store.add_outbox_begins(&mut batch, log, entries.begins.size())?;
            }
            store.write(batch, false)?;
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
