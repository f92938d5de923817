//! `nomt`, the Nearly Optimal Merkle Trie of Thrum, a database on disk with caches in memory; its folder is temporary.

use anyhow::Result;
use nomt::hasher::Sha2Hasher;
use nomt::proof::PathProof;
use nomt::trie::{LeafData, ValueHash};
use nomt::{KeyReadWrite, Nomt, Options, SessionParams};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::tree::subject::{Subject, Updated, timed};
use crate::tree::workload::{Key, Record};

/// Pages of 4 KiB of its hash table: room for some millions of records.
const BUCKETS: u32 = 256_000;
const CACHE_MIB: usize = 1_024;

/// A database in a temporary folder.
pub struct NearlyOptimal {
    // Closed before its folder is removed.
    database: Nomt<Sha2Hasher>,
    _folder: TempDir,
}

fn changes(records: &[Record]) -> Vec<(Key, KeyReadWrite)> {
    records.iter().map(|(key, value)| (*key, KeyReadWrite::Write(Some(value.to_vec())))).collect()
}

fn hash_of(value: &[u8]) -> ValueHash {
    Sha256::digest(value).into()
}

impl Subject for NearlyOptimal {
    type Proof = PathProof;

    const NAME: &'static str = "nomt 1.0";
    const THREADED: bool = true;

    fn open(threads: usize) -> Result<Self> {
        let folder = TempDir::new()?;
        let mut options = Options::new();
        options.path(folder.path());
        options.commit_concurrency(threads);
        options.hashtable_buckets(BUCKETS);
        options.page_cache_size(CACHE_MIB);
        options.leaf_cache_size(CACHE_MIB);
        Ok(Self { database: Nomt::open(options)?, _folder: folder })
    }

    fn fill(&mut self, records: &[Record]) -> Result<()> {
        for records in records.chunks(100_000) {
            self.update(records)?;
        }
        Ok(())
    }

    fn update(&mut self, records: &[Record]) -> Result<Updated> {
        let changes = changes(records);
        let (finished, root) = timed(|| self.database.begin_session(SessionParams::default()).finish(changes));
        let finished = finished?;
        let (committed, commit) = timed(|| finished.commit(&self.database));
        committed?;
        Ok(Updated { root, durable: Some(root.saturating_add(commit)) })
    }

    fn prove(&self, key: &Key) -> Result<Self::Proof> {
        self.database.begin_session(SessionParams::default()).prove(*key)
    }

    /// The terminal leaf, and 32 bytes a sibling.
    fn proof_bytes(proof: &Self::Proof) -> usize {
        proof.siblings.len().saturating_mul(32).saturating_add(65)
    }

    fn verify(&self, proof: Self::Proof, (key, value): &Record) -> bool {
        let bits = bits(key);
        let leaf = LeafData { key_path: *key, value_hash: hash_of(value) };
        proof
            .verify::<Sha2Hasher>(bits, self.database.root().into_inner())
            .is_ok_and(|proof| proof.confirm_value(&leaf).is_ok_and(|confirmed| confirmed))
    }
}

fn bits(key: &Key) -> &bitvec::slice::BitSlice<u8, bitvec::order::Msb0> {
    bitvec::view::BitView::view_bits(key)
}
