//! The shape of a pruned tree: its nodes in pre-order (a node, what is left of it, what is right of it), one bit each, 1
//! for an inner node and 0 for an end; most significant bit first, the last byte filled with zeros.
//!
//! A tree of `n` ends has `2 n - 1` nodes, so whoever knows the number of ends knows the number of bits.

use crate::bits::PATH_STEPS_MAX;
use crate::hash::{Hash, inner_hash};
use crate::proof::ProofError;

/// Packs a shape.
#[derive(Default)]
pub(crate) struct ShapeWriter {
    bytes: Vec<u8>,
    /// The next bit's value in the last byte; 0 if that byte is full.
    place: u8,
}

impl ShapeWriter {
    pub(crate) fn push(&mut self, inner: bool) {
        if self.place == 0 {
            self.bytes.push(0);
            self.place = 0x80;
        }
        if let Some(last) = self.bytes.last_mut()
            && inner
        {
            *last |= self.place;
        }
        self.place >>= 1;
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The root of the pruned tree of this shape with these ends, of which there must be `count`, at least one.
pub(crate) fn root_of(shape: &[u8], count: usize, mut ends: impl Iterator<Item = Hash>) -> Result<Hash, ProofError> {
    let nodes = count.saturating_mul(2).saturating_sub(1);
    if shape.len() != nodes.div_ceil(8) {
        return Err(ProofError::Malformed { detail: "the shape does not fit the number of records" });
    }
    let mut bits = shape.iter().flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1 == 1));
    // Inner nodes on the way to the current one, each with the hash of its left side once that is known.
    let mut above: Vec<Option<Hash>> = Vec::new();
    let root = loop {
        if bits.next().ok_or(ENDS_EARLY)? {
            if above.len() >= PATH_STEPS_MAX {
                return Err(ProofError::PathTooLong { steps: above.len() });
            }
            above.push(None);
        } else if let Some(root) = close(&mut above, ends.next().ok_or(ENDS_EARLY)?) {
            break root;
        }
    };
    if ends.next().is_some() || bits.any(|bit| bit) {
        return Err(ProofError::Malformed { detail: "the shape ends before the proof does" });
    }
    Ok(root)
}

const ENDS_EARLY: ProofError = ProofError::Malformed { detail: "the shape asks for more than the proof has" };

/// Puts a finished subtree into its place, and those that it finishes into theirs; gives the root when all are.
fn close(above: &mut Vec<Option<Hash>>, finished: Hash) -> Option<Hash> {
    let mut hash = finished;
    while let Some(left) = above.pop() {
        let Some(left) = left else {
            above.push(Some(hash));
            return None;
        };
        hash = inner_hash(&left, &hash);
    }
    Some(hash)
}
