//! A chain in a temporary folder, and accounts that write to it.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use db3_primitives::{
    Address, ChainId, Mutation, Namespace, Nonce, Operation, RecordKey, Scheme, SecretKey, ShardId, Tai, Write,
    sign_mutation,
};
use db3_proto::{encode_body, encode_envelope};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{ChainConfig, ChainHandle, InitInput, ReceiptState, StoredReceipt, init};

pub(super) const EPOCH_SECS: u64 = 60;
pub(super) const CEILING: u128 = 1_000_000_000_000;

/// An account that numbers and signs its own mutations.
pub(super) struct Account {
    pub(super) key: SecretKey,
    pub(super) nonce: u64,
    pub(super) expires_in: u64,
}

impl Account {
    pub(super) fn new(number: u8) -> Self {
        Self { key: SecretKey::from_bytes([number; 32]).unwrap(), nonce: 1, expires_in: 600 }
    }

    pub(super) fn address(&self) -> Address {
        self.key.address()
    }

    pub(super) fn namespace(&self) -> Namespace {
        Namespace::own(&self.address())
    }

    /// The next mutation: so many pairs from `key` on in table `t`.
    pub(super) fn put(&mut self, now: u64, key: &str, pairs: usize) -> Bytes {
        let nonce = self.nonce;
        self.nonce += 1;
        self.put_with_nonce(now, key, pairs, nonce)
    }

    pub(super) fn put_with_nonce(&self, now: u64, key: &str, pairs: usize, nonce: u64) -> Bytes {
        let operations = (0..pairs).map(|pair| put(&format!("{key}/{pair}"), format!("value of {key}").as_bytes()));
        self.sign(&self.mutation(now, nonce, operations.collect()))
    }

    pub(super) fn mutation(&self, now: u64, nonce: u64, operations: Vec<Operation>) -> Mutation {
        Mutation {
            network: "test".parse().unwrap(),
            account: self.address(),
            namespace: self.namespace(),
            nonce: Nonce::new(nonce),
            expire_unix_secs: now + self.expires_in,
            max_fee: Tai::new(CEILING),
            operations,
        }
    }

    pub(super) fn sign(&self, mutation: &Mutation) -> Bytes {
        sign(&self.key, mutation)
    }
}

pub(super) fn sign(key: &SecretKey, mutation: &Mutation) -> Bytes {
    let body = encode_body(mutation);
    Bytes::from(encode_envelope(&sign_mutation(key, mutation, body, Scheme::Raw)))
}

pub(super) fn put(key: &str, value: &[u8]) -> Operation {
    Operation::Put(Write {
        table: "t".parse().unwrap(),
        key: RecordKey::new(key.as_bytes().to_vec()).unwrap(),
        value: value.to_vec(),
        if_version: None,
    })
}

/// Settings that make things happen soon.
pub(super) fn settings(home: &Path) -> ChainConfig {
    ChainConfig { block_ms: 5, snapshot_interval_blocks: 7, verify_threads: 2, ..ChainConfig::new(home) }
}

/// A folder with a chain for accounts 1 to 9.
pub(super) fn home() -> (TempDir, PathBuf) {
    home_with(&(1..10).map(|number| (Account::new(number).address(), Tai::new(CEILING))).collect::<Vec<_>>())
}

pub(super) fn home_with(lines: &[(Address, Tai)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("node");
    let input = InitInput {
        network: "test".parse().unwrap(),
        shard: ShardId::new(0),
        shards: 1,
        epoch_secs: NonZeroU64::new(EPOCH_SECS).unwrap(),
        lines: lines.to_vec(),
        time: None,
    };
    init(&home, &input, &settings(&home)).unwrap();
    (folder, home)
}

pub(super) async fn start(home: &Path) -> ChainHandle {
    ChainHandle::start(settings(home)).await.unwrap()
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Submits and waits until the mutation's block is provable.
pub(super) async fn commit(chain: &ChainHandle, envelope: Bytes) -> std::sync::Arc<StoredReceipt> {
    let mut submitted = chain.submit(envelope).await.unwrap();
    match submitted.receipt.provable(soon()).await {
        ReceiptState::Done(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

/// The chain that the outbox is for.
pub(super) fn settlement() -> ChainId {
    ChainId::settlement(&"test".parse().unwrap())
}

pub(super) fn now(chain: &ChainHandle) -> u64 {
    chain.now().secs
}

/// Waits until something holds.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = soon();
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            // A file that the database just removed is not part of its state any more.
            let _ = std::fs::copy(entry.path(), target);
        }
    }
}
