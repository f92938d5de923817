//! `sparse-merkle-tree`, Nervos' library, with its `trie` shape, its in-memory store and SHA-256.

use anyhow::Result;
use sha2::{Digest, Sha256};
use sparse_merkle_tree::default_store::DefaultStore;
use sparse_merkle_tree::traits::{Hasher, Value};
use sparse_merkle_tree::{CompiledMerkleProof, H256, SparseMerkleTree};

use crate::tree::subject::{Subject, Updated, timed};
use crate::tree::workload::{Key, Record, VALUE_BYTES};

/// SHA-256, as the library wants it.
#[derive(Default)]
pub struct Sha(Sha256);

impl Hasher for Sha {
    fn write_h256(&mut self, hash: &H256) {
        self.0.update(hash.as_slice());
    }

    fn write_byte(&mut self, byte: u8) {
        self.0.update([byte]);
    }

    fn finish(self) -> H256 {
        <[u8; 32]>::from(self.0.finalize()).into()
    }
}

/// A value of the benchmark; all zeros stands for absence.
#[derive(Clone)]
pub struct Stored(Box<[u8; VALUE_BYTES]>);

impl Default for Stored {
    fn default() -> Self {
        Self(Box::new([0; VALUE_BYTES]))
    }
}

impl Value for Stored {
    fn to_h256(&self) -> H256 {
        hash_of(&self.0)
    }

    fn zero() -> Self {
        Self::default()
    }
}

fn hash_of(value: &[u8; VALUE_BYTES]) -> H256 {
    if *value == [0; VALUE_BYTES] { H256::zero() } else { <[u8; 32]>::from(Sha256::digest(value)).into() }
}

/// A tree on the library's in-memory store.
pub struct Sparse(SparseMerkleTree<Sha, Stored, DefaultStore<Stored>>);

impl Subject for Sparse {
    type Proof = CompiledMerkleProof;

    const NAME: &'static str = "sparse-merkle-tree 0.6";
    const THREADED: bool = false;

    fn open(_threads: usize) -> Result<Self> {
        Ok(Self(SparseMerkleTree::default()))
    }

    fn fill(&mut self, records: &[Record]) -> Result<()> {
        let leaves = records.iter().map(|(key, value)| ((*key).into(), Stored(Box::new(*value)))).collect();
        self.0.update_all(leaves).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        Ok(())
    }

    fn update(&mut self, records: &[Record]) -> Result<Updated> {
        let leaves = records.iter().map(|(key, value)| ((*key).into(), Stored(Box::new(*value)))).collect();
        let (updated, root) = timed(|| self.0.update_all(leaves).map(|_| ()));
        updated.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        Ok(Updated { root, durable: None })
    }

    fn prove(&self, key: &Key) -> Result<Self::Proof> {
        let keys = vec![(*key).into()];
        self.0
            .merkle_proof(keys.clone())
            .and_then(|proof| proof.compile(keys))
            .map_err(|error| anyhow::anyhow!("{error:?}"))
    }

    fn proof_bytes(proof: &Self::Proof) -> usize {
        proof.0.len()
    }

    fn verify(&self, proof: Self::Proof, (key, value): &Record) -> bool {
        proof.verify::<Sha>(self.0.root(), vec![((*key).into(), hash_of(value))]).unwrap_or(false)
    }
}
