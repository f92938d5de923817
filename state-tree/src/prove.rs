//! [`Tree::prove`]: proofs about one key.

use crate::bits::bit;
use crate::cursor::Cursor;
use crate::node::{Child, Inner, Node};
use crate::proof::{AbsenceProof, ExistenceProof, PathStep, Proof, Side};
use crate::tree::Tree;

/// Paths of this length need no second allocation: somewhat deeper than a million random keys.
const USUAL_DEPTH: usize = 32;

impl Tree {
    /// Proves the value of `key`, or that it is absent.
    #[must_use]
    pub fn prove(&self, key: &[u8]) -> Proof {
        let Some(root) = self.top() else {
            return absent(key, None, None);
        };
        if let Some(proof) = present(root, key) {
            return Proof::Exists(proof);
        }
        match Cursor::at_or_after(root, key) {
            Some(right) => {
                let proof = existence(&right);
                absent(key, right.previous().as_ref(), Some(proof))
            }
            None => absent(key, Some(&Cursor::last(root)), None),
        }
    }
}

/// The proof of a key that is there, gathered on the way down.
fn present(root: &Child, key: &[u8]) -> Option<ExistenceProof> {
    let mut path = Vec::with_capacity(USUAL_DEPTH);
    let mut child = root;
    let value = loop {
        match &child.node {
            Node::Leaf(leaf) => {
                let (found, value) = leaf.record();
                break (found == key).then_some(value)?;
            }
            Node::Inner(inner) => {
                let right = bit(key, inner.pos);
                path.push(step(inner, right));
                child = inner.child(right);
            }
        }
    };
    path.reverse();
    Some(ExistenceProof { key: key.to_vec(), value: value.to_vec(), path })
}

fn absent(key: &[u8], left: Option<&Cursor<'_>>, right: Option<ExistenceProof>) -> Proof {
    Proof::Absent(AbsenceProof { key: key.to_vec(), left: left.map(existence), right })
}

fn existence(cursor: &Cursor<'_>) -> ExistenceProof {
    let (key, value) = cursor.leaf().record();
    let path = cursor.path().iter().rev().map(|&(inner, right)| step(inner, right)).collect();
    ExistenceProof { key: key.to_vec(), value: value.to_vec(), path }
}

fn step(inner: &Inner, right: bool) -> PathStep {
    PathStep { side: if right { Side::Left } else { Side::Right }, sibling: inner.child(!right).hash }
}
