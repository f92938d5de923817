//! A chain in a temporary folder, and accounts that write to it.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use db3_carry::Delivery;
use db3_carry::build::Source;
use db3_genesis::{PeerEntry, ShardGenesis, TrustEntry, Validator};
use db3_light_client::{Options, TrustRoot, UnixTime};
use db3_primitives::limits::MUTATION_BYTES_MAX;
use db3_primitives::{
    Address, BlockTime, ChainId, CreditEntry, Epoch, Heartbeat, LineEntry, Mutation, Namespace, Nonce, Operation,
    RecordKey, Scheme, SecretKey, ShardId, Tai, Write, sign_mutation,
};
use db3_proto::{encode_body, encode_envelope};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::app::Clock;
use crate::{ChainConfig, ChainHandle, InitInput, ReceiptState, StartError, StoredReceipt, init};

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

    /// A mutation that is as long as one may be.
    pub(super) fn longest(&self, now: u64, nonce: u64) -> Bytes {
        let with = |rest: usize| {
            let full = (0..26).map(|pair| put(&format!("full/{pair:02}"), &[7; 10_000]));
            self.sign(&self.mutation(now, nonce, full.chain([put("rest", &vec![7; rest])]).collect()))
        };
        // The lengths of lengths are the same for both.
        let envelope = with(1_000 + MUTATION_BYTES_MAX - with(1_000).len());
        assert_eq!(envelope.len(), MUTATION_BYTES_MAX);
        envelope
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
    home_with(&lines_of(1..10))
}

/// Lines of accounts, all as high.
pub(super) fn lines_of(accounts: std::ops::Range<u8>) -> Vec<(Address, Tai)> {
    accounts.map(|number| (Account::new(number).address(), Tai::new(CEILING))).collect()
}

/// A folder with a chain whose first blocks brought these lines.
pub(super) fn home_with(lines: &[(Address, Tai)]) -> (TempDir, PathBuf) {
    let (folder, home, mut settlement) = home_of(settings);
    settlement.says_lines(lines);
    let delivery = settlement.delivery(0, 0);
    let config = settings(&home);
    // Tests that have a runtime of their own call this as well.
    let run = move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async move {
            let chain = ChainHandle::start(config).await.unwrap();
            let submitted = chain.submit_delivery(delivery).await.unwrap();
            let height = submitted.block(soon()).await.unwrap().unwrap();
            chain.wait_height(height, soon()).await.unwrap();
            chain.shutdown().await;
        });
    };
    std::thread::spawn(run).join().unwrap();
    (folder, home)
}

/// A folder with a shard that has heard nothing yet, and the settlement chain that it hears.
pub(super) fn home_of(settings: impl Fn(&Path) -> ChainConfig) -> (TempDir, PathBuf, Settlement) {
    home_trusting(settings, None)
}

/// The same, with headers trusted for so many seconds.
pub(super) fn home_trusting(
    settings: impl Fn(&Path) -> ChainConfig,
    trusting_period_secs: Option<u64>,
) -> (TempDir, PathBuf, Settlement) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("node");
    let settlement = Settlement::new();
    init(&home, &settlement.shard(trusting_period_secs), &settings(&home)).unwrap();
    (folder, home, settlement)
}

/// A settlement chain that says what a test wants, with real headers and proofs. Its first word is a lease for ever.
pub(super) struct Settlement {
    pub(super) source: Source,
    time: BlockTime,
}

impl Settlement {
    pub(super) fn new() -> Self {
        Self::leasing(Epoch::new(u64::MAX))
    }

    /// One whose first word is a lease to the end of this epoch.
    pub(super) fn leasing(lease: Epoch) -> Self {
        // Whole, and a while ago: its blocks are not from the future.
        Self::beginning(BlockTime::from_secs(Clock::default().now().secs - 10), lease)
    }

    /// The one with this trust root, before it said anything more.
    pub(super) fn of_root(root: &TrustRoot) -> Self {
        let settlement =
            Self::beginning(BlockTime::from_secs(u64::try_from(root.time().secs()).unwrap() + 1), Epoch::new(u64::MAX));
        assert_eq!(settlement.source.headers().root(), root);
        settlement
    }

    fn beginning(time: BlockTime, lease: Epoch) -> Self {
        let mut source = Source::new(settlement(), &[([200; 32], 1)], unix(time)).unwrap();
        let heartbeat = Heartbeat { epoch: Epoch::new(0), lease, inbox_cursor: 0 };
        source.append(&shard_id(), &CreditEntry::Heartbeat(heartbeat).to_bytes()).unwrap();
        Self { source, time }
    }

    /// A shard that hears it, and trusts its headers for so many seconds; none: for ever.
    pub(super) fn shard(&self, trusting_period_secs: Option<u64>) -> InitInput {
        let root = self.source.peer(Options::never_expires()).root;
        let peer = PeerEntry::new(&settlement(), &trust(&root), trusting_period_secs);
        let epoch_secs = NonZeroU64::new(EPOCH_SECS).unwrap();
        let app_state = ShardGenesis::new(&"test".parse().unwrap(), ShardId::new(0), 1, epoch_secs, peer);
        InitInput { app_state: app_state.into(), time: Some(self.time) }
    }

    /// Gives accounts these lines.
    pub(super) fn says_lines(&mut self, lines: &[(Address, Tai)]) {
        for (account, ceiling) in lines {
            self.says(CreditEntry::Line(LineEntry { account: *account, ceiling: *ceiling }));
        }
    }

    /// Writes an entry; the next delivery has a block that proves it.
    pub(super) fn says(&mut self, entry: CreditEntry) {
        self.source.append(&shard_id(), &entry.to_bytes()).unwrap();
    }

    /// A new block, and what a relayer brings a shard that has so many entries and trusts the header of this height.
    pub(super) fn delivery(&mut self, cursor: u64, trusted_height: u64) -> Delivery {
        self.block();
        self.source.delivery(&shard_id(), cursor, usize::MAX, trusted_height).unwrap()
    }

    /// A new block.
    pub(super) fn block(&mut self) {
        let nanos = u32::try_from(self.source.headers().height()).unwrap() + 1;
        self.source.block(unix(BlockTime { nanos, ..self.time })).unwrap();
    }
}

impl Settlement {
    /// What it said, under headers that another key signed.
    pub(super) fn delivery_of(&self, seed: [u8; 32]) -> Delivery {
        let mut forged = Source::new(settlement(), &[(seed, 1)], unix(self.time)).unwrap();
        for entry in self.source.log(&shard_id()).unwrap().entries() {
            forged.append(&shard_id(), entry).unwrap();
        }
        forged.block(unix(BlockTime { nanos: 1, ..self.time })).unwrap();
        forged.delivery(&shard_id(), 0, usize::MAX, 0).unwrap()
    }
}

pub(super) fn trust(root: &TrustRoot) -> TrustEntry {
    let validators = root.validators().validators().into_iter();
    TrustEntry {
        height: root.height(),
        time: BlockTime { secs: u64::try_from(root.time().secs()).unwrap(), nanos: root.time().nanos() },
        validators: validators.map(|(pubkey, power)| Validator { pubkey, power }).collect(),
    }
}

fn unix(time: BlockTime) -> UnixTime {
    UnixTime::new(i64::try_from(time.secs).unwrap(), time.nanos).unwrap()
}

pub(super) fn shard_id() -> ChainId {
    ChainId::shard(&"test".parse().unwrap(), ShardId::new(0))
}

pub(super) async fn start(home: &Path) -> ChainHandle {
    start_with(settings(home)).await.unwrap()
}

/// Starts a chain whose folder nobody has open. A process that another test has just forked holds the lock of every open folder
/// until it becomes another program.
pub(super) async fn start_with(config: ChainConfig) -> Result<ChainHandle, StartError> {
    let until = soon();
    loop {
        match ChainHandle::start(config.clone()).await {
            Err(error) if error.is_already_running() && Instant::now() < until => tokio::task::yield_now().await,
            started => return started,
        }
    }
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
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
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
