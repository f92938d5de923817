//! A kind of leaf as a block works on it: decoded when it is first written, and kept with what it was before the block.
//!
//! Writes of a draft can be taken back, so a transaction that fails leaves nothing behind. At the block's end each leaf
//! that differs from what it was is encoded once.
//!
//! What a leaf was before the block is read here and nowhere else: a writer that has read it already hands back the [`Seen`]
//! that it was given, which nobody else can make or change. So the check at the block's end begins with what there was.

use db3_state_tree::{Finger, Tree};

use crate::rows::Rows;
use db3_primitives::fatal::damaged;

/// A kind of leaf: its tree key and its encoding.
pub(crate) trait Object {
    /// What the tree key says, in the order of the tree keys.
    type Key: Ord + Copy;
    /// What the value says.
    type Leaf: Clone + PartialEq;

    fn key(key: Self::Key) -> Vec<u8>;
    /// What a tree key says.
    fn split(tree_key: &[u8]) -> Option<Self::Key>;
    fn encode(leaf: &Self::Leaf) -> Vec<u8>;
    fn decode(bytes: &[u8]) -> Option<Self::Leaf>;
}

/// One leaf as this block leaves it.
#[derive(Clone, Debug)]
pub(crate) struct Entry<L> {
    /// Before this block.
    pub(crate) before: Option<L>,
    /// Now.
    pub(crate) now: Option<L>,
}

/// A leaf as it was read, under its key.
pub(crate) struct Seen<O: Object> {
    key: O::Key,
    leaf: Option<O::Leaf>,
}

impl<O: Object> Seen<O> {
    pub(crate) fn key(&self) -> O::Key {
        self.key
    }

    /// None where there is none.
    pub(crate) fn leaf(&self) -> Option<&O::Leaf> {
        self.leaf.as_ref()
    }
}

/// A key, and what its leaf was before a write.
type Replaced<O> = (<O as Object>::Key, Option<<O as Object>::Leaf>);

/// The leaves of one kind that a block has written, over the tree.
pub(crate) struct Table<O: Object> {
    entries: Rows<O::Key, Entry<O::Leaf>>,
    /// What each write since the draft began replaced, in order; none outside a draft.
    undo: Option<Vec<Replaced<O>>>,
}

/// The leaf that a tree holds.
pub(crate) fn stored<O: Object>(tree: &Tree, key: O::Key) -> Option<O::Leaf> {
    let key = O::key(key);
    tree.get(&key).map(|bytes| O::decode(bytes).unwrap_or_else(|| damaged(&key)))
}

/// The same with a finger on that tree, for keys that come in order.
pub(crate) fn stored_near<O: Object>(finger: &mut Finger<'_>, key: O::Key) -> Option<O::Leaf> {
    let key = O::key(key);
    finger.get(&key).map(|bytes| O::decode(bytes).unwrap_or_else(|| damaged(&key)))
}

/// All leaves of a version whose tree keys begin with `prefix`, in order, with a finger on that version.
pub(crate) fn all_stored<O: Object>(finger: &mut Finger<'_>, prefix: &[u8]) -> Vec<Seen<O>> {
    // Most prefixes have one.
    let mut all = Vec::with_capacity(1);
    let mut found = finger.seek(prefix);
    while let Some((tree_key, bytes)) = found.filter(|(tree_key, _)| tree_key.starts_with(prefix)) {
        let (Some(key), Some(leaf)) = (O::split(tree_key), O::decode(bytes)) else { damaged(tree_key) };
        all.push(Seen { key, leaf: Some(leaf) });
        found = finger.advance();
    }
    all
}

impl<O: Object> Table<O> {
    pub(crate) fn new() -> Self {
        Self { entries: Rows::new(), undo: None }
    }

    /// The leaf now; none where there is none.
    pub(crate) fn get(&self, base: &Tree, key: O::Key) -> Option<O::Leaf> {
        match self.entries.get(&key) {
            Some(entry) => entry.now.clone(),
            None => stored::<O>(base, key),
        }
    }

    /// The leaf now, to be handed back with a write.
    pub(crate) fn see(&self, base: &Tree, key: O::Key) -> Seen<O> {
        Seen { key, leaf: self.get(base, key) }
    }

    /// The same with a finger on the base, for keys that come in order.
    pub(crate) fn see_near(&self, finger: &mut Finger<'_>, key: O::Key) -> Seen<O> {
        Seen { key, leaf: self.get_near(finger, key) }
    }

    /// The leaf now, with a finger on the base.
    pub(crate) fn get_near(&self, finger: &mut Finger<'_>, key: O::Key) -> Option<O::Leaf> {
        match self.entries.get(&key) {
            Some(entry) => entry.now.clone(),
            None => stored_near::<O>(finger, key),
        }
    }

    /// What the block has made of a leaf; none where it has not written it.
    pub(crate) fn written(&self, key: O::Key) -> Option<&Entry<O::Leaf>> {
        self.entries.get(&key)
    }

    /// Writes a leaf, or deletes it.
    pub(crate) fn set(&mut self, base: &Tree, key: O::Key, leaf: Option<O::Leaf>) {
        self.write_over(key, || stored::<O>(base, key), leaf);
    }

    /// Writes a leaf that was seen, so that it need not be read again.
    pub(crate) fn replace(&mut self, seen: Seen<O>, leaf: Option<O::Leaf>) {
        self.write_over(seen.key, || seen.leaf, leaf);
    }

    fn write_over(&mut self, key: O::Key, read: impl FnOnce() -> Option<O::Leaf>, leaf: Option<O::Leaf>) {
        let make = || {
            let before = read();
            Entry { now: before.clone(), before }
        };
        let replaced = self.entries.update(key, make, |entry| std::mem::replace(&mut entry.now, leaf));
        if let Some(undo) = &mut self.undo {
            undo.push((key, replaced));
        }
    }

    /// Begins a draft: what is written from now on can be taken back.
    pub(crate) fn draft(&mut self) {
        self.undo = Some(Vec::new());
    }

    /// Ends the draft; its writes are the block's.
    pub(crate) fn keep(&mut self) {
        self.undo = None;
    }

    /// Ends the draft and takes its writes back.
    pub(crate) fn discard(&mut self) {
        for (key, replaced) in self.undo.take().into_iter().flatten().rev() {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.now = replaced;
            }
        }
    }

    /// Whether all that was written is below a key.
    pub(crate) fn is_below(&self, key: O::Key) -> bool {
        self.entries.are_below(&key)
    }

    /// How many leaves were written.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Everything that was written, in order of key.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (O::Key, &Entry<O::Leaf>)> {
        self.entries.iter()
    }

    /// Everything that was written from a key on, in order.
    pub(crate) fn written_from(&self, key: O::Key) -> impl Iterator<Item = (O::Key, &Entry<O::Leaf>)> {
        self.entries.iter_from(key)
    }

    /// The same, as leaves that were read.
    pub(crate) fn seen_from(&self, key: O::Key) -> impl Iterator<Item = Seen<O>> {
        self.written_from(key).map(|(key, entry)| Seen { key, leaf: entry.now.clone() })
    }

    /// Adds what has changed to a batch for the tree.
    pub(crate) fn write(&self, batch: &mut Vec<(Vec<u8>, Option<Vec<u8>>)>) {
        for (key, entry) in self.entries.iter() {
            if entry.now != entry.before {
                batch.push((O::key(key), entry.now.as_ref().map(O::encode)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    struct Number;

    impl Object for Number {
        type Key = u8;
        type Leaf = u8;

        fn key(key: u8) -> Vec<u8> {
            vec![key]
        }

        fn split(tree_key: &[u8]) -> Option<u8> {
            tree_key.first().copied()
        }

        fn encode(leaf: &u8) -> Vec<u8> {
            vec![*leaf]
        }

        fn decode(bytes: &[u8]) -> Option<u8> {
            bytes.first().copied()
        }
    }

    #[test]
    fn what_is_discarded_leaves_no_trace_and_what_is_kept_stays() {
        let base = Tree::new().apply(vec![(vec![1], Some(vec![10])), (vec![2], Some(vec![20]))]).unwrap();
        let mut table = Table::<Number>::new();
        table.set(&base, 1, Some(10));
        table.draft();
        table.replace(table.see(&base, 1), Some(11));
        table.keep();
        table.draft();
        table.set(&base, 1, Some(12));
        table.set(&base, 1, None);
        table.set(&base, 2, None);
        table.set(&base, 3, Some(30));
        assert_eq!([1, 2, 3].map(|key| table.get(&base, key)), [None, None, Some(30)]);
        table.discard();
        assert_eq!([1, 2, 3].map(|key| table.get(&base, key)), [Some(11), Some(20), None]);
        let mut batch = Vec::new();
        table.write(&mut batch);
        assert_eq!(batch, [(vec![1], Some(vec![11]))]);
    }
    #[test]
    fn what_a_leaf_was_before_the_block_is_what_stood_in_the_version() {
        let base = Tree::new().apply(vec![(vec![1], Some(vec![10])), (vec![2], Some(vec![20]))]).unwrap();
        let mut table = Table::<Number>::new();
        let mut finger = base.finger();
        let both = all_stored::<Number>(&mut finger, &[]);
        assert_eq!(
            both.iter().map(|seen| (seen.key(), seen.leaf().copied())).collect::<Vec<_>>(),
            [(1, Some(10)), (2, Some(20))]
        );
        for seen in both {
            table.replace(seen, Some(77));
        }
        // Also where the block had written before it read, and where nothing stood.
        for key in 1..4 {
            table.replace(table.see_near(&mut finger, key), Some(78));
        }
        let before: Vec<_> = table.entries().map(|(key, entry)| (key, entry.before, entry.now)).collect();
        assert_eq!(before, [(1, Some(10), Some(78)), (2, Some(20), Some(78)), (3, None, Some(78))]);
    }
}
