//! Nodes and how they lie in memory. They are never changed once made, only shared or dropped.
//!
//! A leaf is one allocation, `key length (u16, big endian) ‖ key ‖ value`. An inner node is one allocation with its bit
//! position and two [`Child`]ren, each a pointer and the hash of what it points to. With 64-bit pointers a child has 48
//! bytes and an inner node 104, counters of the allocation aside.

use std::sync::Arc;

use crate::bits::{BitPos, bit};
use crate::hash::{Hash, InnerMessage, leaf_hash, value_hash};

/// A subtree, held by its parent: its hash and its top node.
#[derive(Clone)]
pub(crate) struct Child {
    pub(crate) hash: Hash,
    pub(crate) node: Node,
}

#[derive(Clone)]
pub(crate) enum Node {
    Leaf(Leaf),
    Inner(Arc<Inner>),
}

/// Stands where the keys below it first differ, at bit `pos`.
pub(crate) struct Inner {
    pub(crate) pos: BitPos,
    /// Keys whose bit is 0, keys whose bit is 1.
    pub(crate) children: [Child; 2],
}

/// A record.
#[derive(Clone)]
pub(crate) struct Leaf(Arc<[u8]>);

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Child>() == 48 && size_of::<Inner>() == 104);

impl Child {
    /// A leaf of a record; `scratch` is only there to be used again.
    pub(crate) fn leaf(key: &[u8], value: &[u8], scratch: &mut Vec<u8>) -> Self {
        let node = Node::Leaf(Leaf::new(key, value, scratch));
        Self { hash: leaf_hash(key, &value_hash(value)), node }
    }

    /// The subtree of two, whose keys first differ at `pos`.
    pub(crate) fn join(pos: BitPos, left: Self, right: Self) -> Self {
        // In this order: the bytes to hash are ready before the new memory, seldom in the cache, is written, and that
        // comes while they are hashed. (One sixth of the time of a batch.)
        let message = InnerMessage::new(&left.hash, &right.hash);
        let node = Node::Inner(Arc::new(Inner { pos, children: [left, right] }));
        Self { hash: message.hash(), node }
    }

    /// Where the keys below first differ; [`BitPos::NONE`] for a leaf.
    pub(crate) fn pos(&self) -> BitPos {
        match &self.node {
            Node::Leaf(_) => BitPos::NONE,
            Node::Inner(inner) => inner.pos,
        }
    }

    /// The only leaf that can be `key`'s.
    pub(crate) fn descend(&self, key: &[u8]) -> &Leaf {
        let mut child = self;
        loop {
            match &child.node {
                Node::Leaf(leaf) => return leaf,
                Node::Inner(inner) => child = inner.child(bit(key, inner.pos)),
            }
        }
    }

    /// The leaf with the smallest key.
    pub(crate) fn first_leaf(&self) -> &Leaf {
        let mut child = self;
        loop {
            match &child.node {
                Node::Leaf(leaf) => return leaf,
                Node::Inner(inner) => child = inner.child(false),
            }
        }
    }
}

impl Node {
    /// How many hold it.
    #[inline]
    pub(crate) fn holders(&self) -> usize {
        match self {
            Self::Leaf(leaf) => Arc::strong_count(&leaf.0),
            Self::Inner(inner) => Arc::strong_count(inner),
        }
    }
}

impl Inner {
    /// The right child or the left.
    #[inline]
    pub(crate) fn child(&self, right: bool) -> &Child {
        let [low, high] = &self.children;
        if right { high } else { low }
    }
}

impl Leaf {
    fn new(key: &[u8], value: &[u8], scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        // A batch refuses longer keys before any leaf is made.
        scratch.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
        scratch.extend_from_slice(key);
        scratch.extend_from_slice(value);
        Self(Arc::from(scratch.as_slice()))
    }

    #[inline]
    pub(crate) fn record(&self) -> (&[u8], &[u8]) {
        let Some((key_len, rest)) = self.0.split_first_chunk() else {
            return (&[], &[]);
        };
        rest.split_at_checked(u16::from_be_bytes(*key_len).into()).unwrap_or((rest, &[]))
    }

    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        self.record().0
    }

    #[inline]
    pub(crate) fn value(&self) -> &[u8] {
        self.record().1
    }
}
