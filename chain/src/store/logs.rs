//! The append-only logs that a chain's state holds the frontiers of, entry by entry, with their inner nodes: one outbox
//! for every chain that this one speaks to; on the settlement chain also one inbox for every shard that it hears, and
//! the postings. Nothing of them is ever removed; but governance may let an inbox go on from another frontier, and what was read before is no part of it any more; and of
//! an outbox, who came from a snapshot has the entries alone that the other chain had not acknowledged.
//!
//! Key of a log: kind (1: 1 outbox, 2 inbox, 3 postings) ‖ length of the chain id (1) ‖ chain id; a postings' log has
//! neither. It goes before the index, so no log's rows stand among another's.

use std::fmt;
use std::str::FromStr;

use db3_merkle_log::{CompletedNode, Frontier, Hash, NodeSource, ProofError, inclusion_proof, leaf_hash, right_range};
use db3_primitives::ChainId;
use db3_primitives::limits::CHAIN_ID_BYTES_MAX;
use rocksdb::{Direction, IteratorMode, WriteBatch};

use super::{Family, Row, Store, StoreError};

/// A log of a chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Log {
    /// What it tells another chain.
    Outbox(ChainId),
    /// What it heard from another chain.
    Inbox(ChainId),
    /// The settlement chain's postings.
    Postings,
}

/// A log as a state names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedLog {
    /// Which.
    pub log: Log,
    /// Index of the first entry that everybody has who has the state: of an inbox, where governance let it go on; of an
    /// outbox, what the other chain acknowledged, and who was there from the beginning has older ones too.
    pub begins: u64,
    /// All of it, what is not kept included.
    pub frontier: Frontier,
}

/// A piece of an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutboxPart {
    /// Consecutive entries, as hashed.
    pub(crate) entries: Vec<Vec<u8>>,
    /// Roots of the subtrees right of the last one.
    pub(crate) right: Vec<Hash>,
}

impl NamedLog {
    /// A log that everybody has from its beginning.
    pub(crate) fn whole(log: Log, frontier: Frontier) -> Self {
        Self { log, begins: 0, frontier }
    }

    /// The log to a chain that has acknowledged so many of its entries.
    pub(crate) fn outbox(to: ChainId, acknowledged: u64, frontier: Frontier) -> Self {
        Self { log: Log::Outbox(to), begins: acknowledged.min(frontier.size()), frontier }
    }

    /// Number of its entries from there on: those that a snapshot carries.
    pub(crate) fn kept(&self) -> u64 {
        self.frontier.size().saturating_sub(self.begins)
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outbox(chain) => write!(f, "outbox {chain}"),
            Self::Inbox(chain) => write!(f, "inbox {chain}"),
            Self::Postings => f.write_str("postings"),
        }
    }
}

impl FromStr for Log {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let chain = |text: &str| ChainId::parse(text).map_err(|error| error.to_string());
        match text.split_once(' ') {
            Some(("outbox", name)) => chain(name).map(Self::Outbox),
            Some(("inbox", name)) => chain(name).map(Self::Inbox),
            None if text == "postings" => Ok(Self::Postings),
            Some(_) | None => Err(format!("{text:?} is no log")),
        }
    }
}

impl Log {
    fn key(&self, spare: usize) -> Vec<u8> {
        const _: () = assert!(CHAIN_ID_BYTES_MAX <= u8::MAX as usize, "its length fits a byte");
        let (kind, chain) = match self {
            Self::Outbox(chain) => (1, Some(chain)),
            Self::Inbox(chain) => (2, Some(chain)),
            Self::Postings => (3, None),
        };
        let name = chain.map(|chain| chain.as_str().as_bytes()).unwrap_or_default();
        let mut key = Vec::with_capacity(name.len().saturating_add(spare).saturating_add(2));
        key.push(kind);
        if chain.is_some() {
            key.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            key.extend_from_slice(name);
        }
        key
    }

    fn entry_key(&self, index: u64) -> Vec<u8> {
        let mut key = self.key(8);
        key.extend_from_slice(&index.to_be_bytes());
        key
    }

    fn node_key(&self, level: u8, index: u64) -> Vec<u8> {
        let mut key = self.key(9);
        key.push(level);
        key.extend_from_slice(&index.to_be_bytes());
        key
    }
}

impl Store {
    pub(crate) fn add_entry(
        &self,
        batch: &mut WriteBatch,
        log: &Log,
        index: u64,
        entry: &[u8],
    ) -> Result<(), StoreError> {
        batch.put_cf(self.family(Family::Logs)?, log.entry_key(index), entry);
        Ok(())
    }

    pub(crate) fn add_node(&self, batch: &mut WriteBatch, log: &Log, node: &CompletedNode) -> Result<(), StoreError> {
        // Level 0 is made from the entry itself.
        if node.level > 0 {
            batch.put_cf(self.family(Family::LogNodes)?, log.node_key(node.level, node.index), node.hash);
        }
        Ok(())
    }

    /// Notes the subtrees that a log goes on from where the entries below them are not kept, a single leaf too.
    pub(crate) fn add_frontier(&self, batch: &mut WriteBatch, log: &Log, from: &Frontier) -> Result<(), StoreError> {
        for node in from.nodes() {
            batch.put_cf(self.family(Family::LogNodes)?, log.node_key(node.level, node.index), node.hash);
        }
        Ok(())
    }

    /// Notes that an outbox came with a state from elsewhere, with its entries from this index on. It stands there also if
    /// that state was never taken in the end, and the node executed the blocks before: so it says why an entry is missing, not
    /// that it is.
    pub(crate) fn add_outbox_begins(&self, batch: &mut WriteBatch, log: &Log, begins: u64) -> Result<(), StoreError> {
        batch.put_cf(self.family(Family::LogNodes)?, log.key(0), begins.to_be_bytes());
        Ok(())
    }

    /// That index; 0 where the outbox never came from elsewhere.
    fn outbox_begins(&self, log: &Log) -> Result<u64, StoreError> {
        let key = log.key(0);
        match self.get(Family::LogNodes, &key)? {
            Some(bytes) => Row::new("beginning of an outbox", &key, &bytes).only(Row::u64),
            None => Ok(0),
        }
    }

    /// What a delivery of an outbox carries from `from` on: entries, as many as [`log_entries`](Self::log_entries) gives,
    /// and the subtrees right of them. None where it came with a state from elsewhere and these did not come along.
    pub(crate) fn outbox_part(
        &self,
        log: &Log,
        from: u64,
        size: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Option<OutboxPart>, StoreError> {
        let part = || {
            let entries = self.log_entries(log, from, size, limit, bytes_max)?;
            let next = from.saturating_add(entries.len() as u64);
            Ok(OutboxPart { entries, right: self.log_right(log, next, size)? })
        };
        match part() {
            Err(StoreError::Missing { .. }) if from < self.outbox_begins(log)? => Ok(None),
            part => part.map(Some),
        }
    }

    /// The frontier of a log at an index from which on it is kept, or below.
    pub(crate) fn log_frontier(&self, log: &Log, size: u64) -> Result<Frontier, StoreError> {
        let hashes = self.log_right(log, 0, size)?;
        let bytes = [size.to_be_bytes().as_slice(), hashes.as_flattened()].concat();
        Frontier::from_bytes(&bytes).map_err(|error| StoreError::damaged("log", log.to_string().as_bytes(), error))
    }

    /// That frontier in hex digits, as it goes with a log to elsewhere; none where the log is kept from its beginning.
    pub(crate) fn begins_of(&self, named: &NamedLog) -> Result<Option<String>, StoreError> {
        if named.begins == 0 {
            return Ok(None);
        }
        self.log_frontier(&named.log, named.begins).map(|frontier| Some(hex::encode(frontier.to_bytes())))
    }

    /// Whether every entry of a log is here from its first on, and leads to the frontier that a state names.
    pub(crate) fn check_log(&self, named: &NamedLog) -> Result<(), StoreError> {
        let NamedLog { log, begins, frontier } = named;
        let begins = match log {
            // Who has older ones must have them whole.
            Log::Outbox(_) => self.outbox_begins(log)?.min(*begins),
            Log::Inbox(_) | Log::Postings => *begins,
        };
        let mut found = self.log_frontier(log, begins)?;
        for index in begins..frontier.size() {
            let entry = self.log_entry(log, index)?.ok_or_else(|| missing_entry(log, index))?;
            found.append_with(&entry, |_| ());
        }
        if found == *frontier {
            return Ok(());
        }
        let detail = "its entries are not those that the state names";
        Err(StoreError::damaged("log", log.to_string().as_bytes(), detail))
    }

    /// An entry's bytes.
    pub fn log_entry(&self, log: &Log, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(Family::Logs, &log.entry_key(index))
    }

    /// Index of the newest entry that was written.
    pub(crate) fn last_index(&self, log: &Log) -> Result<Option<u64>, StoreError> {
        let end = log.entry_key(u64::MAX);
        let row = self.rows(Family::Logs, IteratorMode::From(&end, Direction::Reverse))?.next().transpose()?;
        let index = |key: &[u8]| Some(u64::from_be_bytes(key.strip_prefix(log.key(0).as_slice())?.try_into().ok()?));
        Ok(row.and_then(|(key, _)| index(&key)))
    }

    /// At most `limit` entries from `from`, below `size`, and at most `bytes_max` bytes but at least one entry.
    pub fn log_entries(
        &self,
        log: &Log,
        from: u64,
        size: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let first = log.entry_key(from);
        let mut rows = self.rows(Family::Logs, IteratorMode::From(&first, Direction::Forward))?;
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0_usize;
        for expected in (from..size).take(limit) {
            let row = rows.next().transpose()?.filter(|(key, _)| **key == *log.entry_key(expected));
            let (_, entry) = row.ok_or_else(|| missing_entry(log, expected))?;
            bytes = bytes.saturating_add(entry.len());
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(entry.into_vec());
        }
        Ok(found)
    }

    /// Roots of the subtrees that cover [next, size), left to right: what a delivery carries beside its entries.
    pub fn log_right(&self, log: &Log, next: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        right_range(&Nodes { store: self, log }, next, size).map_err(|error| missing_node(log, error))
    }

    /// Siblings that lead from an entry to the root of the log at `size` entries.
    pub fn log_proof(&self, log: &Log, index: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        inclusion_proof(&Nodes { store: self, log }, index, size).map_err(|error| missing_node(log, error))
    }
}

/// A log as the proofs of `db3_merkle_log` read it.
struct Nodes<'a> {
    store: &'a Store,
    log: &'a Log,
}

impl NodeSource for Nodes<'_> {
    type Error = StoreError;

    fn node(&self, level: u8, index: u64) -> Result<Option<Hash>, StoreError> {
        // Of a leaf that a log goes on from; the entry, if there is one, is of what was read before.
        let key = self.log.node_key(level, index);
        if let Some(bytes) = self.store.get(Family::LogNodes, &key)? {
            return Row::new("node of a log", &key, &bytes).only(Row::hash).map(Some);
        }
        if level > 0 {
            return Ok(None);
        }
        Ok(self.store.log_entry(self.log, index)?.map(|entry| leaf_hash(&entry)))
    }
}

pub(crate) fn missing_entry(log: &Log, index: u64) -> StoreError {
    StoreError::missing("entry", format!("{index} of the log {log}"))
}

fn missing_node(log: &Log, error: ProofError<StoreError>) -> StoreError {
    match error {
        ProofError::Source(error) => error,
        other => StoreError::missing("node", format!("of the log {log}: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::Log;

    #[test]
    fn a_log_is_read_from_what_it_is_written_as() {
        for text in ["outbox test-shard-3", "inbox test-settlement", "postings"] {
            assert_eq!(text.parse::<Log>().map(|log| log.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "outbox", "outbox x", "inbox a b", "postings 1"] {
            assert!(text.parse::<Log>().is_err(), "{text}");
        }
    }
}
