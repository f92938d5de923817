//! A settlement chain in a temporary folder, and the one shard that it hears: it states what a test wants.

use std::num::NonZeroU64;
use std::path::PathBuf;

use bytes::Bytes;
use db3_carry::Delivery;
use db3_carry::build::Source;
use db3_genesis::{AccountEntry, GenesisOperator, PayoutEntry, PeerEntry, SettlementGenesis};
use db3_light_client::{Options, TrustRoot, UnixTime};
use db3_primitives::{
    Address, BlockTime, ChainId, Epoch, EpochClose, Height, LogEntry, Nonce, Payee, Scheme, ShardId, Statement, Tai,
    Transaction, TransactionOperation, sign,
};
use db3_proto::{encode_envelope, encode_transaction_body};
use tempfile::TempDir;

use super::governance::operator;
use super::support::{Account, EPOCH_SECS, settings, settlement, soon, trust};
use crate::app::Clock;
use crate::{Chain, InitInput, SettlementMachine, init, make_key};

pub(super) type Settlement = Chain<SettlementMachine>;

pub(super) const BALANCE: u128 = 1_000_000_000_000;
const CREDIT: u128 = 1_000_000_000;
pub(super) const SHARD: ShardId = ShardId::new(0);

/// A settlement chain's folder and the one shard that it hears.
pub(super) struct Network {
    _folder: TempDir,
    pub(super) home: PathBuf,
    pub(super) shard: Shard,
}

/// A shard that states what a test wants.
pub(super) struct Shard {
    pub(super) source: Source,
    last: Option<EpochClose>,
    time: u64,
    /// What its closes name as applied of the log to it.
    pub(super) knows: u64,
}

pub(super) fn epoch_secs() -> NonZeroU64 {
    NonZeroU64::new(EPOCH_SECS).unwrap()
}

pub(super) fn shard_id() -> ChainId {
    ChainId::shard(&"test".parse().unwrap(), SHARD)
}

fn unix(secs: u64, nanos: u32) -> UnixTime {
    UnixTime::new(i64::try_from(secs).unwrap(), nanos).unwrap()
}

impl Network {
    pub(super) fn new() -> Self {
        Self::with(false)
    }

    /// One whose validator has an operator.
    pub(super) fn governed() -> Self {
        Self::with(true)
    }

    fn with(governed: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("node");
        let now = Clock::default().now().secs;
        // A while ago, but in the epoch that is open.
        let shard = Shard::beginning((now - 10).max(now - now % EPOCH_SECS));
        let peer = PeerEntry::new(&shard_id(), &trust(&shard.source.peer(Options::never_expires()).root), None);
        let account = |number: u8| {
            let (balance, credit) = (Tai::new(BALANCE), Tai::new(CREDIT));
            AccountEntry::with_credit(Account::new(number).address(), balance, credit, 1).unwrap()
        };
        let treasury = Account::new(99).address();
        let mut genesis = SettlementGenesis::new(
            &"test".parse().unwrap(),
            epoch_secs(),
            treasury,
            (1..=3).map(account).collect(),
            vec![peer],
        );
        if governed {
            let (key, account) = (make_key(&home).unwrap(), operator().address());
            genesis.operators = vec![GenesisOperator::new(&key.pubkey, &account, &account)];
            genesis.payouts[1] = vec![PayoutEntry { address: account.to_string(), power: key.power }];
        }
        let input = InitInput { app_state: genesis.into(), time: Some(BlockTime::from_secs(now)) };
        init(&home, &input, &settings(&home)).unwrap();
        Self { _folder: folder, home, shard }
    }

    pub(super) async fn start(&self) -> Settlement {
        Settlement::start(settings(&self.home)).await.unwrap()
    }
}

impl Shard {
    fn beginning(time: u64) -> Self {
        let source = Source::new(shard_id(), &[([100; 32], 1)], unix(time, 0)).unwrap();
        Self { source, last: None, time, knows: 0 }
    }

    /// The one with this trust root, before it said anything.
    pub(super) fn of_root(root: &TrustRoot) -> Self {
        let shard = Self::beginning(u64::try_from(root.time().secs()).unwrap() + 1);
        assert_eq!(shard.source.headers().root(), root);
        shard
    }

    /// The epoch in which it began, and which it closes first.
    fn began(&self) -> Epoch {
        let root = self.source.headers().root().time();
        Epoch::of(u64::try_from(root.secs()).unwrap() + 1, epoch_secs())
    }

    /// Closes an epoch in which these accounts came to owe so much in all, and brings it over.
    pub(super) async fn close(&mut self, chain: &Settlement, epoch: Epoch, sums: &[(Address, u128, u128)]) -> Height {
        self.write_close(epoch, sums);
        self.bring(chain, epoch).await
    }

    /// Writes the statements of an epoch, each with the sum before and after, and its close.
    pub(super) fn write_close(&mut self, epoch: Epoch, sums: &[(Address, u128, u128)]) -> EpochClose {
        let mut sums = sums.to_vec();
        sums.sort_unstable();
        for (account, _, cumulative) in &sums {
            let statement =
                Statement { account: *account, payee: Payee::ValidatorPool, cumulative: Tai::new(*cumulative) };
            self.says(&LogEntry::Statement(statement));
        }
        let close = EpochClose {
            shard: SHARD,
            first: self.last.map_or_else(|| self.began(), |last| last.last.next().unwrap()),
            last: epoch,
            first_height: Height::new(1),
            last_height: Height::new(2),
            bills_root: [5; 32],
            bill_count: 3,
            statements: sums.len() as u64,
            total: Tai::new(sums.iter().map(|(_, before, after)| after - before).sum()),
            inbox_cursor: self.knows,
            previous: self.last.map_or([0; 32], |last| last.hash()),
        };
        self.says(&LogEntry::EpochClose(close));
        self.last = Some(close);
        self.time = end_of(epoch);
        close
    }

    pub(super) fn says(&mut self, entry: &LogEntry) {
        self.source.append(&settlement(), &entry.to_bytes()).unwrap();
    }

    /// A block, and everything that is new.
    pub(super) fn next(&mut self, chain: &Settlement) -> Delivery {
        self.block();
        let channel = chain.committed().state.channel(&shard_id()).unwrap();
        self.source.delivery(&settlement(), channel.cursor(), usize::MAX, channel.trusted_height()).unwrap()
    }

    /// A block.
    pub(super) fn block(&mut self) {
        let nanos = u32::try_from(self.source.headers().height()).unwrap() + 1;
        self.source.block(unix(self.time, nanos)).unwrap();
    }

    /// Moves the chain's time past that of the next block.
    pub(super) fn wait_for_the_end(&self, chain: &Settlement) {
        chain.advance_time((self.time + 1).saturating_sub(chain.now().secs)).unwrap();
    }

    /// A block after the end of an epoch, and everything that is new.
    pub(super) async fn bring(&mut self, chain: &Settlement, epoch: Epoch) -> Height {
        self.time = end_of(epoch);
        self.wait_for_the_end(chain);
        let delivery = self.next(chain);
        chain.submit_delivery(delivery).await.unwrap().block(soon()).await.unwrap().unwrap()
    }
}

fn end_of(epoch: Epoch) -> u64 {
    epoch.next().unwrap().start_secs(epoch_secs()).unwrap()
}

pub(super) fn transaction(chain: &Settlement, number: u8, nonce: u64, operations: Vec<TransactionOperation>) -> Bytes {
    let account = Account::new(number);
    let transaction = Transaction {
        network: "test".parse().unwrap(),
        account: account.address(),
        nonce: Nonce::new(nonce),
        expire_unix_secs: chain.now().secs + 600,
        max_fee: Tai::new(CREDIT),
        operations,
    };
    let body = encode_transaction_body(&transaction);
    Bytes::from(encode_envelope(&sign(&account.key, &transaction, body, Scheme::Raw)))
}
