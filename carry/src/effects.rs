//! What a block did with logs, as either kind of chain says it: entries it wrote for others, and deliveries it applied.

use db3_primitives::ChainId;

/// An entry that a block appended to an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundEntry {
    /// Whom it is for.
    pub destination: ChainId,
    /// Its index in that outbox.
    pub index: u64,
    /// The entry.
    pub bytes: Vec<u8>,
}

/// What a delivery did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The chain that wrote the entries.
    pub source: ChainId,
    /// Index of the first new entry: the cursor before.
    pub first: u64,
    /// How many entries were taken; 0 with headers alone.
    pub applied: u64,
    /// The cursor after.
    pub cursor: u64,
    /// Entries, among those taken, that had no effect: they are proven, so the cursor passes them.
    pub refused: Vec<RefusedEntry>,
}

/// A proven entry that says something which no honest chain writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEntry {
    /// Its index in the log.
    pub index: u64,
    /// What is wrong with it.
    pub detail: String,
}
