//! Pages of the state tree: as many leaves of a range as a page may hold, from either end, and where the next begins.
//!
//! A page is complete over the range that it names: every leaf in `[from, to)` is in it. It holds at least one leaf if
//! there is one, so that a list always ends.

use bytes::Bytes;
use db3_primitives::limits;
use db3_proto::v1;
use db3_state_tree::Tree;

use super::context::View;
use super::token::{PageToken, Question};
use crate::kind::Kind;

/// What every item of a page costs beside its key and value: tags, lengths, names and hashes.
const ITEM_OVERHEAD_BYTES: usize = 192;

/// Leaves of a range.
pub struct Page<'t> {
    /// Key and value, in the order asked for.
    pub leaves: Vec<(&'t [u8], &'t [u8])>,
    from: Vec<u8>,
    to: Vec<u8>,
    next: Option<Vec<u8>>,
}

/// What a page is asked of: a range of tree keys, an order and a number.
pub struct Ask<'a> {
    /// First key, inclusive.
    pub from: Vec<u8>,
    /// End, exclusive.
    pub to: Vec<u8>,
    /// From the end to the start.
    pub reverse: bool,
    /// Most items.
    pub items: usize,
    /// What an item of this key and value adds to the answer, without the overhead.
    pub bytes: &'a dyn Fn(&[u8], &[u8]) -> usize,
}

impl Ask<'_> {
    /// Goes on where a token says, which is never outside the range that was asked for.
    pub fn resume(&mut self, token: Option<&PageToken>) {
        let Some(token) = token else { return };
        let cursor = token.cursor.clone();
        if self.reverse {
            self.to = cursor.min(std::mem::take(&mut self.to));
        } else {
            self.from = cursor.max(std::mem::take(&mut self.from));
        }
    }

    /// The page.
    #[must_use]
    pub fn page(self, tree: &Tree) -> Page<'_> {
        let to = self.to.clone().max(self.from.clone());
        let mut range = tree.range(&self.from, Some(&to));
        let mut leaves: Vec<(&[u8], &[u8])> = Vec::new();
        let mut bytes = 0_usize;
        let more = loop {
            let Some((key, value)) = (if self.reverse { range.next_back() } else { range.next() }) else { break false };
            let added = (self.bytes)(key, value).saturating_add(ITEM_OVERHEAD_BYTES);
            bytes = bytes.saturating_add(added);
            let full = leaves.len() >= self.items || bytes > limits::PAGE_BYTES_MAX;
            if full && !leaves.is_empty() {
                break true;
            }
            leaves.push((key, value));
        };
        let last = leaves.last().map(|(key, _)| *key);
        match last.filter(|_| more) {
            Some(last) if self.reverse => Page { from: last.to_vec(), to, next: Some(last.to_vec()), leaves },
            Some(last) => {
                let next = [last, &[0]].concat();
                Page { from: self.from, to: next.clone(), next: Some(next), leaves }
            }
            None => Page { from: self.from, to, next: None, leaves },
        }
    }
}

/// The parts of an answer that every list of leaves has.
pub struct PageFrame {
    /// Where the next page starts.
    pub next_page_token: String,
    /// That the page is complete.
    pub proof: Option<v1::RangeProof>,
    /// From which tree key.
    pub complete_from: Bytes,
    /// To which tree key.
    pub complete_to: Bytes,
}

impl Page<'_> {
    /// The token, and the proof if one is wanted.
    pub fn frame<K: Kind>(self, view: &View<K>, question: Question) -> PageFrame {
        let proof = view.proves().then(|| {
            let proven = view.tree().prove_range(&self.from, Some(&self.to), usize::MAX);
            v1::RangeProof {
                format: u32::from(db3_state_tree::RANGE_PROOF_FORMAT),
                data: Bytes::from(proven.proof.to_bytes()),
            }
        });
        let height = view.height();
        PageFrame {
            next_page_token: self.next.map_or_else(String::new, |cursor| PageToken { height, cursor }.seal(question)),
            proof,
            complete_from: Bytes::from(self.from),
            complete_to: Bytes::from(self.to),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;
    use db3_state_tree::Batch;
    use std::collections::BTreeMap;

    fn tree(keys: &[&str]) -> Tree {
        let batch: Batch = keys
            .iter()
            .map(|key| (key.as_bytes().to_vec(), Some(b"value".to_vec())))
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .collect();
        Tree::new().apply(batch).unwrap()
    }

    fn ask(reverse: bool, items: usize) -> Ask<'static> {
        Ask { from: b"a".to_vec(), to: b"z".to_vec(), reverse, items, bytes: &|key, value| key.len() + value.len() }
    }

    fn walk(tree: &Tree, reverse: bool) -> Vec<String> {
        let mut seen = Vec::new();
        let mut token: Option<PageToken> = None;
        loop {
            let mut asked = ask(reverse, 2);
            asked.resume(token.as_ref());
            let page = asked.page(tree);
            assert!(page.leaves.len() <= 2);
            let inside: Vec<_> = tree.range(&page.from, Some(&page.to)).map(|(key, _)| key).collect();
            assert_eq!(inside.len(), page.leaves.len(), "the page is complete over the range that it names");
            seen.extend(page.leaves.iter().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()));
            match page.next {
                Some(cursor) => token = Some(PageToken { height: 1, cursor }),
                None => return seen,
            }
        }
    }

    #[test]
    fn pages_give_every_leaf_once_from_either_end() {
        let keys = ["b", "ba", "c", "d", "e"];
        let tree = tree(&keys);
        assert_eq!(walk(&tree, false), keys);
        assert_eq!(walk(&tree, true), keys.iter().rev().copied().collect::<Vec<_>>());
    }

    #[test]
    fn a_token_cannot_lead_out_of_the_range() {
        let tree = tree(&["1", "b", "zz"]);
        for reverse in [false, true] {
            for cursor in [&b"\0"[..], b"zzz"] {
                let mut asked = ask(reverse, 10);
                asked.resume(Some(&PageToken { height: 1, cursor: cursor.to_vec() }));
                assert!(asked.page(&tree).leaves.iter().all(|(key, _)| *key == b"b"));
            }
        }
    }

    #[test]
    fn a_page_holds_at_least_one_leaf_however_large() {
        let tree = tree(&["b", "c"]);
        let mut asked = ask(false, 10);
        asked.bytes = &|_, _| limits::PAGE_BYTES_MAX;
        assert_eq!(asked.page(&tree).leaves.len(), 1);
    }
}
