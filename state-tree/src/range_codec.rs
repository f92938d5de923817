//! [`RangeProof`] and its bytes.
//!
//! Format 1, integers big endian:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format, 1 |
//! | 1 | edges: bit 0, there is a left edge; bit 1, there is a right edge; other bits 0 |
//! | 2 | number of left hashes |
//! | 2 | number of right hashes |
//! | 32 each | left hashes |
//! | 2 + n + 32 | left edge, if there: length of its key, key, hash of its value |
//! | 2 + n + 32 | right edge, if there |
//! | 32 each | right hashes |
//! | the rest | shape: the pruned tree in pre-order, a bit a node, as `range_shape` has it |
//!
//! The ends of the shape are, from left to right: the left hashes, the left edge, the records (which travel beside the
//! proof), the right edge, the right hashes. A proof has one encoding; bytes that are not it are refused.

use crate::bits::PATH_STEPS_MAX;
use crate::hash::Hash;
use crate::proof::ProofError;
use crate::verify::check_key;

/// The format that [`RangeProof::to_bytes`] writes.
pub const RANGE_PROOF_FORMAT: u8 = 1;

const LEFT_EDGE: u8 = 1;
const RIGHT_EDGE: u8 = 2;

/// What shows, beside the records of a range, that none is missing: the tree pruned to the range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeProof {
    /// Hashes of the subtrees left of everything that is shown, from left to right.
    pub(crate) left_hashes: Vec<Hash>,
    /// The record next below the range.
    pub(crate) left: Option<EdgeLeaf>,
    /// The record next above the range.
    pub(crate) right: Option<EdgeLeaf>,
    /// Hashes of the subtrees right of everything that is shown, from left to right.
    pub(crate) right_hashes: Vec<Hash>,
    /// Packed pre-order shape.
    pub(crate) shape: Vec<u8>,
}

/// A record next to the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EdgeLeaf {
    pub(crate) key: Vec<u8>,
    pub(crate) value_hash: Hash,
}

impl RangeProof {
    /// The proof's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let flag = |edge: &Option<EdgeLeaf>, flag| if edge.is_some() { flag } else { 0 };
        let mut bytes = vec![RANGE_PROOF_FORMAT, flag(&self.left, LEFT_EDGE) | flag(&self.right, RIGHT_EDGE)];
        bytes.extend(length(self.left_hashes.len()));
        bytes.extend(length(self.right_hashes.len()));
        bytes.extend_from_slice(self.left_hashes.as_flattened());
        for edge in self.left.iter().chain(&self.right) {
            bytes.extend(length(edge.key.len()));
            bytes.extend_from_slice(&edge.key);
            bytes.extend_from_slice(&edge.value_hash);
        }
        bytes.extend_from_slice(self.right_hashes.as_flattened());
        bytes.extend_from_slice(&self.shape);
        bytes
    }

    /// Reads a proof's bytes. Whether it holds, [`verify_range`](crate::verify_range) tells.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        let mut reader = Reader(bytes);
        let [format] = reader.array()?;
        if format != RANGE_PROOF_FORMAT {
            return Err(ProofError::FormatUnknown { format });
        }
        let [edges] = reader.array()?;
        if edges & !(LEFT_EDGE | RIGHT_EDGE) != 0 {
            return Err(ProofError::Malformed { detail: "unknown bits among the edges" });
        }
        let left_count = reader.length()?;
        let right_count = reader.length()?;
        let left_hashes = reader.hashes(left_count)?;
        let left = (edges & LEFT_EDGE != 0).then(|| reader.edge()).transpose()?;
        let right = (edges & RIGHT_EDGE != 0).then(|| reader.edge()).transpose()?;
        let right_hashes = reader.hashes(right_count)?;
        Ok(Self { left_hashes, left, right, right_hashes, shape: reader.0.to_vec() })
    }

    /// Number of ends besides the records.
    pub(crate) fn ends(&self) -> usize {
        let edges = self.left.iter().chain(&self.right).count();
        self.left_hashes.len().saturating_add(self.right_hashes.len()).saturating_add(edges)
    }
}

/// Counts and key lengths are bounded by the length of keys, far below 2^16.
fn length(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8], ProofError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProofError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn length(&mut self) -> Result<usize, ProofError> {
        self.array().map(|bytes| u16::from_be_bytes(bytes).into())
    }

    fn hashes(&mut self, count: usize) -> Result<Vec<Hash>, ProofError> {
        if count > PATH_STEPS_MAX {
            return Err(ProofError::PathTooLong { steps: count });
        }
        Ok(self.take(count.saturating_mul(32))?.as_chunks().0.to_vec())
    }

    fn edge(&mut self) -> Result<EdgeLeaf, ProofError> {
        let len = self.length()?;
        let key = self.take(len)?.to_vec();
        check_key(&key)?;
        Ok(EdgeLeaf { key, value_hash: self.array()? })
    }
}

const CUT_OFF: ProofError = ProofError::Malformed { detail: "it ends too early" };
