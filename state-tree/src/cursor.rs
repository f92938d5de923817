//! A place in the tree: a leaf and the way to it. Moves in order of key, without recursion.

use crate::bits::{bit, first_difference};
use crate::node::{Child, Inner, Leaf, Node};

/// A leaf and the inner nodes above it, from the root on, each with whether the way goes right.
pub(crate) struct Cursor<'t> {
    path: Vec<(&'t Inner, bool)>,
    leaf: &'t Leaf,
}

/// Paths of this length need no second allocation: twice the depth of a million random keys.
const USUAL_DEPTH: usize = 48;

impl<'t> Cursor<'t> {
    /// The first leaf at or below `child`, always turning left, or right, or after the bits of a key.
    fn descend(mut path: Vec<(&'t Inner, bool)>, mut child: &'t Child, turn: impl Fn(&Inner) -> bool) -> Self {
        loop {
            match &child.node {
                Node::Leaf(leaf) => return Self { path, leaf },
                Node::Inner(inner) => {
                    let right = turn(inner);
                    path.push((inner, right));
                    child = inner.child(right);
                }
            }
        }
    }

    /// The leaf with the greatest key.
    pub(crate) fn last(root: &'t Child) -> Self {
        Self::descend(Vec::with_capacity(USUAL_DEPTH), root, |_| true)
    }

    /// The only leaf that can be `key`'s.
    pub(crate) fn nearest(root: &'t Child, key: &[u8]) -> Self {
        Self::descend(Vec::with_capacity(USUAL_DEPTH), root, |inner| bit(key, inner.pos))
    }

    /// The same from this place: up only as far as the ways part, and down again. So a walk in order of key costs O(1) a
    /// step where the keys stand close together.
    pub(crate) fn move_to(mut self, key: &[u8]) -> Self {
        let parting = first_difference(key, self.leaf.key());
        let mut top = None;
        while let Some((inner, _)) = self.path.pop_if(|(inner, _)| inner.pos >= parting) {
            top = Some(inner);
        }
        match top {
            // The ways part at or above this node, whose keys all have the bits that are above it.
            Some(top) => {
                let right = bit(key, top.pos);
                self.path.push((top, right));
                Self::descend(self.path, top.child(right), |inner| bit(key, inner.pos))
            }
            None => self,
        }
    }

    /// The leaf with the smallest key ≥ `key`.
    pub(crate) fn at_or_after(root: &'t Child, key: &[u8]) -> Option<Self> {
        Self::nearest(root, key).forward_to(key)
    }

    /// From the only leaf that can be `key`'s to the one with the smallest key ≥ `key`.
    pub(crate) fn forward_to(mut self, key: &[u8]) -> Option<Self> {
        let pos = first_difference(key, self.leaf.key());
        // Everything below the last node above `pos` lies on one side of `key`.
        if bit(key, pos) {
            while self.path.pop_if(|(inner, _)| inner.pos > pos).is_some() {}
            self.next()
        } else {
            let below = self.path.partition_point(|(inner, _)| inner.pos < pos);
            match self.path.get(below) {
                Some(&(top, _)) => {
                    self.path.truncate(below);
                    self.path.push((top, false));
                    Some(Self::descend(self.path, top.child(false), |_| false))
                }
                None => Some(self),
            }
        }
    }

    /// The leaf with the greatest key < `key`.
    pub(crate) fn before(root: &'t Child, key: &[u8]) -> Option<Self> {
        match Self::at_or_after(root, key) {
            Some(cursor) => cursor.previous(),
            None => Some(Self::last(root)),
        }
    }

    /// The leaf after this one, or, if the path was cut above it, after all leaves below the cut.
    pub(crate) fn next(mut self) -> Option<Self> {
        while let Some((inner, right)) = self.path.pop() {
            if !right {
                self.path.push((inner, true));
                return Some(Self::descend(self.path, inner.child(true), |_| false));
            }
        }
        None
    }

    /// The leaf before this one.
    pub(crate) fn previous(mut self) -> Option<Self> {
        while let Some((inner, right)) = self.path.pop() {
            if right {
                self.path.push((inner, false));
                return Some(Self::descend(self.path, inner.child(false), |_| true));
            }
        }
        None
    }

    pub(crate) fn leaf(&self) -> &'t Leaf {
        self.leaf
    }

    /// The inner nodes above the leaf, from the root on, each with whether the way goes right.
    pub(crate) fn path(&self) -> &[(&'t Inner, bool)] {
        &self.path
    }
}
