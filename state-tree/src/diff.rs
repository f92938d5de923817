//! [`Diff`]: what turns one version into another.

use std::iter::FusedIterator;

use crate::bits::{bit, first_difference};
use crate::node::{Child, Leaf, Node};

/// Iterator over the changes between two versions, in order of key; made by [`Tree::diff`](crate::Tree::diff).
#[must_use]
pub struct Diff<'t> {
    /// Subtrees still to compare, the next one last; each holds the keys of one stretch, older and newer.
    pending: Vec<Pair<'t>>,
}

#[derive(Clone, Copy)]
struct Pair<'t> {
    older: Option<&'t Child>,
    newer: Option<&'t Child>,
}

impl<'t> Diff<'t> {
    pub(crate) fn new(older: Option<&'t Child>, newer: Option<&'t Child>) -> Self {
        Self { pending: vec![Pair { older, newer }] }
    }

    fn push(&mut self, older: Option<&'t Child>, newer: Option<&'t Child>) {
        self.pending.push(Pair { older, newer });
    }

    /// Only one version has these keys.
    fn take_apart(&mut self, subtree: &'t Child, is_newer: bool) -> Option<&'t Leaf> {
        match &subtree.node {
            Node::Leaf(leaf) => return Some(leaf),
            Node::Inner(inner) => {
                for child in inner.children.iter().rev() {
                    self.push((!is_newer).then_some(child), is_newer.then_some(child));
                }
            }
        }
        None
    }

    /// Both versions have keys here, and they are not the same. Gives a leaf of the newer that replaces one of the older.
    fn compare(&mut self, older: &'t Child, newer: &'t Child) -> Option<&'t Leaf> {
        let (old_leaf, new_leaf) = (older.first_leaf(), newer.first_leaf());
        let parting = first_difference(old_leaf.key(), new_leaf.key());
        if parting < older.pos().min(newer.pos()) {
            self.one_after_the_other(older, newer, bit(old_leaf.key(), parting));
            return None;
        }
        match (&older.node, &newer.node) {
            (Node::Leaf(_), Node::Leaf(leaf)) => return Some(leaf),
            (Node::Inner(a), Node::Inner(b)) if a.pos == b.pos => {
                self.push(Some(a.child(true)), Some(b.child(true)));
                self.push(Some(a.child(false)), Some(b.child(false)));
            }
            (Node::Inner(a), _) if a.pos < newer.pos() => {
                let right = bit(new_leaf.key(), a.pos);
                self.push(Some(a.child(true)), right.then_some(newer));
                self.push(Some(a.child(false)), (!right).then_some(newer));
            }
            (_, Node::Inner(b)) => {
                let right = bit(old_leaf.key(), b.pos);
                self.push(right.then_some(older), Some(b.child(true)));
                self.push((!right).then_some(older), Some(b.child(false)));
            }
            (Node::Inner(_), Node::Leaf(_)) => {}
        }
        None
    }

    fn one_after_the_other(&mut self, older: &'t Child, newer: &'t Child, older_is_right: bool) {
        if older_is_right {
            self.push(Some(older), None);
            self.push(None, Some(newer));
        } else {
            self.push(None, Some(newer));
            self.push(Some(older), None);
        }
    }
}

impl<'t> Iterator for Diff<'t> {
    type Item = (&'t [u8], Option<&'t [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(Pair { older, newer }) = self.pending.pop() {
            let changed = match (older, newer) {
                (None, None) => None,
                (Some(older), None) => self.take_apart(older, false).map(|leaf| (leaf.key(), None)),
                (None, Some(newer)) => self.take_apart(newer, true).map(written),
                (Some(older), Some(newer)) if older.hash == newer.hash => None,
                (Some(older), Some(newer)) => self.compare(older, newer).map(written),
            };
            if changed.is_some() {
                return changed;
            }
        }
        None
    }
}

fn written(leaf: &Leaf) -> (&[u8], Option<&[u8]>) {
    let (key, value) = leaf.record();
    (key, Some(value))
}

impl FusedIterator for Diff<'_> {}
