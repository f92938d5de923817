//! Our tree.

use std::collections::VecDeque;
use std::mem::replace;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use db3_state_tree::{Proof, Tree, verify_existence};

use crate::tree::subject::{Subject, Updated, timed};
use crate::tree::workload::{Key, Record};

/// The current version, and some before it, which readers may still hold.
pub struct Ours {
    threads: usize,
    tree: Tree,
    older: VecDeque<Tree>,
}

/// Older versions that are kept; one more is dropped after each update, as in a node.
const VERSIONS_KEPT: usize = 4;
/// Blocks are further apart than this; what a version alone held is freed meanwhile.
const BETWEEN_BLOCKS: Duration = Duration::from_millis(40);

fn batch(records: &[Record]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    records.iter().map(|(key, value)| (key.to_vec(), Some(value.to_vec()))).collect()
}

impl Subject for Ours {
    type Proof = Proof;

    const NAME: &'static str = "db3-state-tree";
    const THREADED: bool = true;

    fn open(threads: usize) -> Result<Self> {
        Ok(Self { threads, tree: Tree::new(), older: VecDeque::new() })
    }

    fn fill(&mut self, records: &[Record]) -> Result<()> {
        for records in records.chunks(10_000) {
            self.tree = self.tree.apply_on(self.threads, batch(records))?;
        }
        Ok(())
    }

    fn update(&mut self, records: &[Record]) -> Result<Updated> {
        let batch = batch(records);
        let (tree, root) = timed(|| self.tree.apply_on(self.threads, batch));
        self.older.push_back(replace(&mut self.tree, tree?));
        if self.older.len() > VERSIONS_KEPT {
            self.older.pop_front();
            sleep(BETWEEN_BLOCKS);
        }
        Ok(Updated { root, durable: None })
    }

    fn prove(&self, key: &Key) -> Result<Proof> {
        Ok(self.tree.prove(key))
    }

    /// The key, the value, and 33 bytes a step: its side and its sibling.
    fn proof_bytes(proof: &Proof) -> usize {
        match proof {
            Proof::Exists(proof) => proof.path.len().saturating_mul(33),
            Proof::Absent(_) => 0,
        }
    }

    fn verify(&self, proof: Proof, (key, value): &Record) -> bool {
        match proof {
            Proof::Exists(proof) => verify_existence(&self.tree.root(), key, value, &proof).is_ok(),
            Proof::Absent(_) => false,
        }
    }
}
