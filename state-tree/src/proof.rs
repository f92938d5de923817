//! Proofs about one key. They carry what ICS-23's `tendermint` spec needs and convert to it field by field.

use crate::hash::Hash;

/// What a tree says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The key is there.
    Exists(ExistenceProof),
    /// The key is not there.
    Absent(AbsenceProof),
}

/// A record and the way from its leaf to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistenceProof {
    /// The record's key.
    pub key: Vec<u8>,
    /// The record's value.
    pub value: Vec<u8>,
    /// The siblings on the way, the leaf's own first, at most [`PATH_STEPS_MAX`](crate::PATH_STEPS_MAX).
    pub path: Vec<PathStep>,
}

/// The records next to an absent key. In the empty tree there is neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsenceProof {
    /// The key that is not there.
    pub key: Vec<u8>,
    /// The record with the greatest key below; `None` if there is none.
    pub left: Option<ExistenceProof>,
    /// The record with the smallest key above; `None` if there is none.
    pub right: Option<ExistenceProof>,
}

/// One inner node on the way from a leaf to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStep {
    /// Where the sibling stands.
    pub side: Side,
    /// The sibling's hash.
    pub sibling: Hash,
}

/// A side of an inner node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Smaller keys.
    Left,
    /// Greater keys.
    Right,
}

/// Why a proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A key is empty or longer than [`KEY_BYTES_MAX`](crate::KEY_BYTES_MAX).
    #[error("the proof has a key of {bytes} bytes; keys have 1 to 512")]
    KeyLength {
        /// Its length.
        bytes: usize,
    },
    /// No stored value is empty.
    #[error("the proof has an empty value, and no stored value is empty")]
    ValueEmpty,
    /// The proof is about another key.
    #[error("the proof is about another key")]
    OtherKey,
    /// The proof is about another value.
    #[error("the proof is about another value")]
    OtherValue,
    /// The path is longer than any tree is deep.
    #[error("the proof's path has {steps} steps, more than any tree is deep")]
    PathTooLong {
        /// Number of steps; for a range proof, those read until then.
        steps: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to another root")]
    OtherRoot,
    /// A neighbour is on the wrong side of the key, or is the key.
    #[error("a neighbour in the proof is not on its side of the key")]
    NeighbourMisplaced,
    /// There may be records between the neighbours.
    #[error("the neighbours in the proof are not adjacent leaves")]
    NotAdjacent,
    /// A record is outside the range, or not above the one before it. Counts from 0.
    #[error("record {record} is out of order or outside the range")]
    RecordMisplaced {
        /// Which of the records.
        record: usize,
    },
    /// Records may be missing at an end of the range.
    #[error("records may be missing at an end of the range")]
    NotComplete,
    /// The bytes are no range proof of this format.
    #[error("the range proof is malformed: {detail}")]
    Malformed {
        /// What is wrong.
        detail: &'static str,
    },
    /// The bytes are of a format that this version cannot check; they may be right.
    #[error("range proofs of format {format} cannot be checked by this version")]
    FormatUnknown {
        /// The format's number.
        format: u8,
    },
}
