//! RFC 6962, section 2.1, written down as it stands there: slow, recursive, and sharing nothing with the crate but SHA-256.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use db3_merkle_log::{CompletedNode, Hash, LogSource, NodeSource};
use sha2::{Digest, Sha256};

/// MTH(D[n]).
pub fn root(entries: &[Vec<u8>]) -> Hash {
    match entries {
        [] => Sha256::digest([]).into(),
        [entry] => Sha256::digest([&[0], entry.as_slice()].concat()).into(),
        _ => {
            let (left, right) = entries.split_at(split(entries.len()));
            Sha256::digest([&[1][..], &root(left), &root(right)].concat()).into()
        }
    }
}

/// PATH(m, D[n]).
#[allow(dead_code, reason = "each test file uses its part")]
pub fn path(index: usize, entries: &[Vec<u8>]) -> Vec<Hash> {
    if entries.len() == 1 {
        return Vec::new();
    }
    let k = split(entries.len());
    let (left, right) = entries.split_at(k);
    if index < k {
        let mut path = path(index, left);
        path.push(root(right));
        path
    } else {
        let mut path = path(index - k, right);
        path.push(root(left));
        path
    }
}

/// The largest power of two below n.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// A log store in memory.
#[derive(Default)]
#[allow(dead_code, reason = "each test file uses its part")]
pub struct Store {
    pub entries: Vec<Vec<u8>>,
    pub nodes: BTreeMap<(u8, u64), Hash>,
    /// Subtrees that were asked for, for tests that count them.
    pub asked: RefCell<Vec<(u8, u64)>>,
}

#[allow(dead_code, reason = "each test file uses its part")]
impl Store {
    pub fn add(&mut self, entry: &[u8], nodes: &[CompletedNode]) {
        self.entries.push(entry.to_vec());
        for node in nodes {
            assert!(self.nodes.insert((node.level, node.index), node.hash).is_none(), "a subtree is completed once");
        }
    }
}

impl NodeSource for Store {
    type Error = Infallible;
    fn node(&self, level: u8, index: u64) -> Result<Option<Hash>, Infallible> {
        self.asked.borrow_mut().push((level, index));
        Ok(self.nodes.get(&(level, index)).copied())
    }
}

impl LogSource for Store {
    fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.entries.get(usize::try_from(index).unwrap()).cloned())
    }
}
