//! The working version of a block: its writes over an unchanging tree.
//!
//! Two layers: the draft of the mutation under execution, and what the block has kept so far. A mutation that fails
//! leaves its draft behind and nothing else, so it is all-or-nothing whatever it wrote before it failed. The tree
//! itself is changed once, at the block's end, with one sorted batch.

use std::collections::BTreeMap;

use db3_state_tree::Tree;

/// Writes by tree key; none deletes.
type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Draft over block over tree.
pub(crate) struct Overlay {
    base: Tree,
    block: Writes,
    draft: Writes,
}

impl Overlay {
    pub(crate) fn over(base: Tree) -> Self {
        Self { base, block: Writes::new(), draft: Writes::new() }
    }

    /// The version before this block.
    pub(crate) fn base(&self) -> &Tree {
        &self.base
    }

    /// The value as the next operation sees it.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match self.draft.get(key).or_else(|| self.block.get(key)) {
            Some(written) => written.as_deref(),
            None => self.base.get(key),
        }
    }

    /// Writes into the draft.
    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.draft.insert(key, Some(value));
    }

    /// Deletes in the draft.
    pub(crate) fn delete(&mut self, key: Vec<u8>) {
        self.draft.insert(key, None);
    }

    /// Takes the draft over into the block.
    pub(crate) fn keep(&mut self) {
        // `BTreeMap::append` would rebuild the whole block's map for every mutation.
        while let Some((key, value)) = self.draft.pop_first() {
            self.block.insert(key, value);
        }
    }

    /// Forgets the draft.
    pub(crate) fn discard(&mut self) {
        self.draft.clear();
    }

    /// The version after this block: the base itself where nothing was written.
    pub(crate) fn into_tree(mut self) -> Result<Tree, db3_state_tree::BatchError> {
        self.keep();
        if self.block.is_empty() {
            return Ok(self.base);
        }
        self.base.apply(self.block.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn base() -> Tree {
        Tree::new().apply(vec![(b"a".to_vec(), Some(b"1".to_vec()))]).unwrap()
    }

    #[test]
    fn a_discarded_draft_leaves_no_trace() {
        let mut overlay = Overlay::over(base());
        overlay.put(b"b".to_vec(), b"2".to_vec());
        overlay.delete(b"a".to_vec());
        assert_eq!((overlay.get(b"a"), overlay.get(b"b")), (None, Some(&b"2"[..])));
        overlay.discard();
        assert_eq!((overlay.get(b"a"), overlay.get(b"b")), (Some(&b"1"[..]), None));
        assert_eq!(overlay.into_tree().unwrap().root(), base().root());
    }

    #[test]
    fn a_later_draft_sees_what_an_earlier_one_left() {
        let mut overlay = Overlay::over(base());
        overlay.delete(b"a".to_vec());
        overlay.keep();
        assert_eq!(overlay.get(b"a"), None);
        overlay.put(b"a".to_vec(), b"3".to_vec());
        assert_eq!(overlay.get(b"a"), Some(&b"3"[..]));
        assert_eq!(overlay.into_tree().unwrap().get(b"a"), Some(&b"3"[..]));
    }
}
