//! What a chain says of the log traffic of one block: what it wrote for others and what it took from them.

use db3_primitives::{ChainId, Rejection};

/// An entry that a block appended to an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundEntry {
    /// The chain that it is for.
    pub destination: ChainId,
    /// Its index in that chain's log.
    pub index: u64,
    /// Its fixed-width encoding, which the log hashes.
    pub bytes: Vec<u8>,
}

/// A delivery that a block applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The chain whose entries they are.
    pub source: ChainId,
    /// Index of the first entry taken: the cursor before.
    pub first: u64,
    /// How many entries were taken, those refused included.
    pub applied: u64,
    /// The cursor after.
    pub cursor: u64,
    /// Those of them that had no effect.
    pub refused: Vec<RefusedEntry>,
}

/// A proven entry that had no effect; the cursor moves past it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEntry {
    /// Its index.
    pub index: u64,
    /// Why.
    pub detail: Rejection,
}
