//! Where the keys of a batch stand in a tree, found before anything is built.
//!
//! For each key: is it there, and if not, at which bit does it part from the keys that are. With that, the rebuilding
//! pass never looks at a leaf that it does not replace. The descents of several keys go in step, so that the processor
//! waits for many nodes at a time instead of one, and they touch the siblings on the way, whose holders the rebuilding
//! pass counts; so it finds in the cache all that it needs.

use std::hint::black_box;

use crate::bits::{BitPos, bit, first_difference};
use crate::node::{Child, Leaf, Node};

/// Descents in step: enough to hide the memory's latency, few enough to stay in registers and the first cache.
const LANES: usize = 16;

/// One change of a batch and its place.
pub(crate) struct Op<'b> {
    pub(crate) key: &'b [u8],
    /// `None` deletes.
    pub(crate) value: Option<&'b [u8]>,
    /// Where the key parts from all keys of the subtree; [`BitPos::NONE`] if it is one of them.
    pub(crate) parts: BitPos,
    pub(crate) effect: Effect,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Insert,
    Replace,
    Delete,
    /// The same value again, or the deletion of an absent key.
    Nothing,
}

impl<'b> Op<'b> {
    /// A change of an empty subtree.
    pub(crate) fn new(key: &'b [u8], value: Option<&'b [u8]>) -> Self {
        let effect = if value.is_some() { Effect::Insert } else { Effect::Nothing };
        Self { key, value, parts: BitPos::NONE, effect }
    }

    fn meet(&mut self, leaf: &Leaf) {
        let (key, value) = leaf.record();
        self.parts = first_difference(self.key, key);
        self.effect = match (self.parts == BitPos::NONE, self.value) {
            (true, Some(new)) if new == value => Effect::Nothing,
            (true, Some(_)) => Effect::Replace,
            (true, None) => Effect::Delete,
            (false, Some(_)) => Effect::Insert,
            (false, None) => Effect::Nothing,
        };
    }
}

/// Finds the places of `ops` in the subtree of `top`.
pub(crate) fn locate(top: &Child, ops: &mut [Op<'_>]) {
    for lanes in ops.chunks_mut(LANES) {
        let mut places = [top; LANES];
        let mut descending = true;
        while descending {
            descending = false;
            for (place, op) in places.iter_mut().zip(lanes.iter()) {
                if let Node::Inner(inner) = &place.node {
                    let right = bit(op.key, inner.pos);
                    black_box(inner.child(!right).node.holders());
                    *place = inner.child(right);
                    descending = true;
                }
            }
        }
        for (place, op) in places.iter().zip(lanes) {
            if let Node::Leaf(leaf) = &place.node {
                op.meet(leaf);
            }
        }
    }
}
