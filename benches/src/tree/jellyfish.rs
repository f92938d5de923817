//! `jmt`, the Jellyfish Merkle Tree of Diem and Penumbra, on its in-memory store.

use anyhow::{Result, ensure};
use jmt::mock::MockTreeStore;
use jmt::proof::SparseMerkleProof;
use jmt::storage::TreeWriter;
use jmt::{KeyHash, RootHash, Sha256Jmt};

use crate::tree::subject::{Subject, Updated, timed};
use crate::tree::workload::{Key, Record};

/// A tree on the library's in-memory store, all versions kept.
pub struct Jellyfish {
    store: MockTreeStore,
    version: u64,
    root: RootHash,
}

impl Jellyfish {
    fn write(&mut self, records: &[Record]) -> Result<()> {
        let values = records.iter().map(|(key, value)| (KeyHash(*key), Some(value.to_vec())));
        let next = self.version.saturating_add(1);
        let (root, changes) = Sha256Jmt::new(&self.store).put_value_set(values, next)?;
        self.store.write_node_batch(&changes.node_batch)?;
        self.root = root;
        self.version = next;
        Ok(())
    }
}

impl Subject for Jellyfish {
    type Proof = SparseMerkleProof<sha2_0_10::Sha256>;

    const NAME: &'static str = "jmt 0.12";
    const THREADED: bool = false;

    fn open(_threads: usize) -> Result<Self> {
        Ok(Self { store: MockTreeStore::default(), version: 0, root: RootHash([0; 32]) })
    }

    fn fill(&mut self, records: &[Record]) -> Result<()> {
        // One version, so that no outdated node stays in the store.
        let values = records.iter().map(|(key, value)| (KeyHash(*key), Some(value.to_vec())));
        let (root, changes) = Sha256Jmt::new(&self.store).put_value_set(values, self.version)?;
        self.store.write_node_batch(&changes.node_batch)?;
        self.root = root;
        Ok(())
    }

    fn update(&mut self, records: &[Record]) -> Result<Updated> {
        let (written, root) = timed(|| self.write(records));
        written?;
        Ok(Updated { root, durable: None })
    }

    fn prove(&self, key: &Key) -> Result<Self::Proof> {
        let (value, proof) = Sha256Jmt::new(&self.store).get_with_proof(KeyHash(*key), self.version)?;
        ensure!(value.is_some(), "a record is missing");
        Ok(proof)
    }

    fn proof_bytes(proof: &Self::Proof) -> usize {
        borsh::object_length(proof).unwrap_or_default()
    }

    fn verify(&self, proof: Self::Proof, (key, value): &Record) -> bool {
        proof.verify_existence(self.root, KeyHash(*key), value).is_ok()
    }
}
