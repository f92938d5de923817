//! [`Tree::prove_range`]: proofs that a range is complete.
//!
//! The tree is pruned to what lies between the record next below the range and the record next above it; what is left
//! of the one and right of the other is a hash each. Where the range begins with a record's very key, or ends right
//! behind one, nothing can be missing there, and no neighbour is shown.

use crate::bits::bit;
use crate::cursor::Cursor;
use crate::hash::value_hash;
use crate::node::{Child, Leaf, Node};
use crate::range_codec::{EdgeLeaf, RangeProof};
use crate::range_shape::ShapeWriter;
use crate::tree::Tree;

/// A proof for a range, or for the part of it that a limit left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRange {
    /// Proves that `[from, end)` has exactly the first [`records`](Self::records) records of the range asked for.
    pub proof: RangeProof,
    /// Where the proven range ends: `to`, or, if the limit cut it, right behind its last record: that one's key and a
    /// zero byte.
    pub end: Option<Vec<u8>>,
    /// Number of records in the proven range.
    pub records: usize,
}

impl Tree {
    /// Proves which records have keys in `[from, to)`, at most `limit` of them (and at least one, if there is one).
    ///
    /// The records themselves are those of [`range`](Self::range), from the first on. A `to` below `from` is taken for
    /// `from`. [`verify_range`](crate::verify_range) checks the proof.
    #[must_use]
    pub fn prove_range(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> ProvenRange {
        let to = to.map(|to| to.max(from));
        let mut rest = self.range(from, to);
        let (mut first, mut last, mut records) = (None, None, 0_usize);
        for (key, _) in rest.by_ref().take(limit.max(1)) {
            first = first.or(Some(key));
            last = Some(key);
            records = records.saturating_add(1);
        }
        let end = match last {
            Some(last) if rest.next().is_some() => Some(after(last)),
            _ => to.map(<[u8]>::to_vec),
        };
        let proof = match self.top() {
            Some(root) => Frame::around(root, from, end.as_deref(), first, last).prune(root),
            None => RangeProof::default(),
        };
        ProvenRange { proof, end, records }
    }
}

/// The smallest key above `key`.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The outermost leaves that are shown, and whether they are neighbours of the range rather than records in it. `None`:
/// there is nothing beyond on that side.
struct Frame<'t> {
    left: Option<(&'t Leaf, bool)>,
    right: Option<(&'t Leaf, bool)>,
}

enum Part<'t> {
    Shown(&'t Child, bool, bool),
    LeftHash(&'t Child),
    RightHash(&'t Child),
}

impl<'t> Frame<'t> {
    fn around(root: &'t Child, from: &[u8], end: Option<&[u8]>, first: Option<&[u8]>, last: Option<&[u8]>) -> Self {
        let leaf = |cursor: Cursor<'t>| cursor.leaf();
        let left = if first == Some(from) {
            Some((root.descend(from), false))
        } else {
            Cursor::before(root, from).map(|cursor| (leaf(cursor), true))
        };
        let right = match (end, last) {
            (Some(end), Some(last)) if end == after(last) => Some((root.descend(last), false)),
            (Some(end), _) => Cursor::at_or_after(root, end).map(|cursor| (leaf(cursor), true)),
            (None, _) => None,
        };
        Self { left, right }
    }

    fn prune(&self, root: &'t Child) -> RangeProof {
        let goes_right =
            |frame: Option<(&Leaf, bool)>, on: bool, pos| frame.filter(|_| on).map(|(leaf, _)| bit(leaf.key(), pos));
        let mut proof = RangeProof::default();
        let mut shape = ShapeWriter::default();
        let mut pending = vec![Part::Shown(root, true, true)];
        while let Some(part) = pending.pop() {
            let (child, on_left, on_right) = match part {
                Part::Shown(child, on_left, on_right) => (child, on_left, on_right),
                Part::LeftHash(child) => {
                    shape.push(false);
                    proof.left_hashes.push(child.hash);
                    continue;
                }
                Part::RightHash(child) => {
                    shape.push(false);
                    proof.right_hashes.push(child.hash);
                    continue;
                }
            };
            let Node::Inner(inner) = &child.node else {
                shape.push(false);
                continue;
            };
            shape.push(true);
            let left_edge = goes_right(self.left, on_left, inner.pos);
            let right_edge = goes_right(self.right, on_right, inner.pos);
            let (low, high) = (inner.child(false), inner.child(true));
            pending.push(match right_edge {
                Some(false) => Part::RightHash(high),
                edge => Part::Shown(high, left_edge == Some(true), edge.is_some()),
            });
            pending.push(match left_edge {
                Some(true) => Part::LeftHash(low),
                edge => Part::Shown(low, edge.is_some(), right_edge == Some(false)),
            });
        }
        proof.left = self.left.and_then(edge);
        proof.right = self.right.and_then(edge);
        proof.shape = shape.into_bytes();
        proof
    }
}

fn edge((leaf, is_neighbour): (&Leaf, bool)) -> Option<EdgeLeaf> {
    is_neighbour.then(|| EdgeLeaf { key: leaf.key().to_vec(), value_hash: value_hash(leaf.value()) })
}
