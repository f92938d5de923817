//! The frontier of a log: the hashes of the perfect subtrees that make up [0, size), left to right, so largest first.
//!
//! Byte layout: size (u64, big endian) ‖ hashes (32 bytes each), one for each 1 bit of the size. The empty log is eight zero
//! bytes.
//!
//! It never holds another number of hashes than its size asks for.

use crate::hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash};
use crate::limits::LOG_SIZE_MAX;
use crate::range::subtrees;

/// All that is needed of a log in order to append to it and to know its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

/// A perfect subtree that an append made complete; it never changes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedNode {
    /// Height above the leaves: the subtree has 2^level of them.
    pub level: u8,
    /// Position among the subtrees of its level: it covers the leaves [index · 2^level, (index + 1) · 2^level).
    pub index: u64,
    /// Its root.
    pub hash: Hash,
}

/// Bytes that are no frontier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// Fewer than the eight bytes of a size.
    #[error("a frontier has at least 8 bytes, not {bytes}")]
    Truncated {
        /// Bytes given.
        bytes: usize,
    },
    /// More entries than any log has.
    #[error("a log has at most {LOG_SIZE_MAX} entries, not {size}")]
    TooLarge {
        /// The size given.
        size: u64,
    },
    /// The hashes are not as many as the size asks for.
    #[error("a frontier of size {size} has {expected} hashes of 32 bytes, not {bytes} bytes")]
    WrongLength {
        /// The size given.
        size: u64,
        /// Hashes for that size.
        expected: usize,
        /// Bytes after the size.
        bytes: usize,
    },
}

impl Frontier {
    /// The empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the perfect subtrees, left to right.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The same with their places, for the node store of who goes on from here without the entries.
    pub fn nodes(&self) -> impl Iterator<Item = CompletedNode> {
        let places = subtrees(0, self.size).zip(&self.hashes);
        places.map(|((level, index), hash)| CompletedNode { level, index, hash: *hash })
    }

    /// Root of the whole tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_right = self.hashes.iter().rev();
        let Some(last) = from_right.next() else { return EMPTY_ROOT };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Appends an entry. Returns every subtree that this completes, from the leaf upwards, for the caller's node store.
    pub fn append(&mut self, entry: &[u8]) -> Vec<CompletedNode> {
        self.append_leaf_hash(leaf_hash(entry))
    }

    /// As [`append`](Self::append), for an entry of which only the leaf hash is known.
    pub fn append_leaf_hash(&mut self, leaf: Hash) -> Vec<CompletedNode> {
        let mut completed = Vec::with_capacity(1);
        self.push_subtree(0, leaf, |node| completed.push(node));
        completed
    }

    /// As [`append`](Self::append), and hands every completed subtree to the caller instead of returning a list of its own
    /// for each entry.
    pub fn append_with(&mut self, entry: &[u8], completed: impl FnMut(CompletedNode)) {
        self.push_subtree(0, leaf_hash(entry), completed);
    }

    /// Appends a perfect subtree of 2^`level` leaves. The size must be a multiple of that; the callers in this crate see to it.
    pub(crate) fn push_subtree(&mut self, level: u8, hash: Hash, mut completed: impl FnMut(CompletedNode)) {
        let mut node = CompletedNode { level, index: self.size.checked_shr(u32::from(level)).unwrap_or(0), hash };
        completed(node);
        // As in binary addition: every 1 bit from `level` upwards is a left neighbour to join with, until the first 0.
        while node.index & 1 == 1
            && let Some(left) = self.hashes.pop()
        {
            node = CompletedNode {
                level: node.level.saturating_add(1),
                index: node.index >> 1,
                hash: node_hash(&left, &node.hash),
            };
            completed(node);
        }
        self.hashes.push(node.hash);
        self.size = self.size.saturating_add(1_u64.checked_shl(u32::from(level)).unwrap_or(0));
    }

    /// Fixed encoding: size (u64, big endian) ‖ hashes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend(self.hashes.iter().flatten());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; nothing else is accepted.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let Some((size, rest)) = bytes.split_first_chunk::<8>() else {
            return Err(FrontierError::Truncated { bytes: bytes.len() });
        };
        let size = u64::from_be_bytes(*size);
        if size > LOG_SIZE_MAX {
            return Err(FrontierError::TooLarge { size });
        }
        let expected = usize::try_from(size.count_ones()).unwrap_or(usize::MAX);
        let (hashes, tail) = rest.as_chunks::<32>();
        if hashes.len() != expected || !tail.is_empty() {
            return Err(FrontierError::WrongLength { size, expected, bytes: rest.len() });
        }
        Ok(Self { size, hashes: hashes.to_vec() })
    }
}
