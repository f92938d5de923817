//! What this crate asks of the caller's storage.

use crate::hash::Hash;

/// The hashes of all perfect subtrees of a log, by level and index, as [`crate::Frontier::append`] reported them.
pub trait NodeSource {
    /// A failure of the store itself.
    type Error;

    /// The root of the perfect subtree over the leaves [index · 2^level, (index + 1) · 2^level); none where it is not stored.
    fn node(&self, level: u8, index: u64) -> Result<Option<Hash>, Self::Error>;
}

/// A node store that has the entries as well.
pub trait LogSource: NodeSource {
    /// The entry at an index; none where it is not stored.
    fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// Why a proof could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError<E> {
    /// No such leaf in a tree of that size.
    #[error("a log of {size} entries has no index {index}")]
    OutOfRange {
        /// The index (or start) asked for.
        index: u64,
        /// The size asked for.
        size: u64,
    },
    /// The store lacks a subtree.
    #[error("the subtree {index} of level {level} is not stored")]
    Missing {
        /// Height above the leaves.
        level: u8,
        /// Position in its level.
        index: u64,
    },
    /// The store failed.
    #[error("the node store failed: {0}")]
    Source(E),
}

/// The stored subtree, or the error that names it.
pub(crate) fn stored<S: NodeSource>(source: &S, level: u8, index: u64) -> Result<Hash, ProofError<S::Error>> {
    source.node(level, index).map_err(ProofError::Source)?.ok_or(ProofError::Missing { level, index })
}
