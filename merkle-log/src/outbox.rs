//! The writing end: what a chain keeps in its state of the log that it sends to another chain.
//!
//! The state value is the frontier's encoding, size ‖ hashes, so the proof of that one leaf under an app hash proves size and
//! root of the whole log. The entries and the completed subtrees are the caller's to store.

use crate::frontier::{CompletedNode, Frontier, FrontierError};
use crate::limits::ENTRY_BYTES_MAX;

/// An append-only log towards one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    frontier: Frontier,
}

/// What an append made, for the caller's stores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the entry and its nodes must be stored, or they can never be delivered"]
pub struct Appended {
    /// Index of the entry.
    pub index: u64,
    /// Every subtree that it completed, from the leaf upwards.
    pub nodes: Vec<CompletedNode>,
}

/// An entry that could never be delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry has at most {ENTRY_BYTES_MAX} bytes, not {bytes}")]
pub struct EntryTooLong {
    /// Bytes of the entry.
    pub bytes: usize,
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Size and hashes of the log.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Appends an entry of at most [`ENTRY_BYTES_MAX`] bytes; a longer one changes nothing.
    pub fn append(&mut self, entry: &[u8]) -> Result<Appended, EntryTooLong> {
        let mut nodes = Vec::with_capacity(1);
        let index = self.append_with(entry, |node| nodes.push(node))?;
        Ok(Appended { index, nodes })
    }

    /// As [`append`](Self::append), and hands every completed subtree to the caller; tells the index. They must be stored.
    pub fn append_with(&mut self, entry: &[u8], completed: impl FnMut(CompletedNode)) -> Result<u64, EntryTooLong> {
        if entry.len() > ENTRY_BYTES_MAX {
            return Err(EntryTooLong { bytes: entry.len() });
        }
        let index = self.frontier.size();
        self.frontier.append_with(entry, completed);
        Ok(index)
    }

    /// The state value: size ‖ hashes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.frontier.to_bytes()
    }

    /// Reads the state value.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        Frontier::from_bytes(bytes).map(|frontier| Self { frontier })
    }
}
