//! A settlement chain, made-up shards that speak to it, and accounts that sign.

use std::num::NonZeroU64;
use std::sync::Arc;

use db3_carry::Delivery;
use db3_carry::build::Source;
use db3_light_client::{Options, UnixTime};
use db3_primitives::{
    Address, BlockTime, ChainId, Epoch, EpochClose, Hash32, Height, LogEntry, NetworkName, Nonce, Payee, PriceTable,
    Scheme, SecretKey, ShardId, SignedEnvelope, SignedTransaction, Statement, Tai, Transaction, TransactionOperation,
    VerifiedTransaction, signing_digest,
};
use db3_settlement_state::{BlockItem, Effects, Executor, Genesis, GenesisAccount, Outcome, SettlementState, execute};

/// 2026-01-01, a boundary of epochs.
pub const BEGIN: u64 = 1_767_225_600;
pub const EPOCH_SECS: u64 = 600;
pub const FIRST_EPOCH: u64 = BEGIN / EPOCH_SECS;

pub struct Actor {
    pub key: SecretKey,
    pub address: Address,
}

pub fn actor(seed: u8) -> Actor {
    let key = SecretKey::from_bytes([seed; 32]).unwrap();
    Actor { address: key.address(), key }
}

pub fn network() -> NetworkName {
    "devnet".parse().unwrap()
}

pub fn settlement() -> ChainId {
    ChainId::settlement(&network())
}

pub fn free() -> PriceTable {
    PriceTable {
        version: 1,
        per_mutation: Tai::ZERO,
        per_byte_in: Tai::ZERO,
        per_operation: Tai::ZERO,
        per_key_byte: Tai::ZERO,
        per_byte_stored: Tai::ZERO,
    }
}

pub fn account(address: Address, balance: u128, collateral: u128, wants: &[(u32, u128)]) -> GenesisAccount {
    GenesisAccount {
        account: address,
        balance: Tai::new(balance),
        collateral: Tai::new(collateral),
        trust: Tai::ZERO,
        wants: wants.iter().map(|(shard, want)| (ShardId::new(*shard), Tai::new(*want))).collect(),
    }
}

/// A made-up shard chain.
pub fn source(shard: u32) -> Source {
    let chain_id = ChainId::shard(&network(), ShardId::new(shard));
    Source::new(chain_id, &[([shard as u8 + 1; 32], 10)], UnixTime::new(BEGIN as i64, 0).unwrap()).unwrap()
}

pub fn genesis(sources: &[Source], accounts: Vec<GenesisAccount>) -> Genesis {
    let validators = vec![(Address::new([0xd1; 20]), 2), (Address::new([0xd2; 20]), 1)];
    Genesis {
        network: network(),
        shards: sources.len() as u32,
        epoch_secs: NonZeroU64::new(EPOCH_SECS).unwrap(),
        genesis_time: BlockTime::from_secs(BEGIN),
        prices: free(),
        expiry_max_secs: 3_600,
        factor_num: 1,
        factor_den: NonZeroU64::new(1).unwrap(),
        treasury: Address::new([0xee; 20]),
        lease_epochs: 3,
        deadline_secs: 100,
        grace_epochs: 1,
        seize_epochs: 2,
        write_off_epochs: 3,
        round_accounts_max: 4_096,
        accounts,
        payouts: vec![validators.clone(); sources.len()],
        own_payouts: validators,
        peers: sources.iter().map(|source| source.peer(Options::never_expires())).collect(),
        validators: Vec::new(),
    }
}

/// What a made-up shard remembers of its statements.
#[derive(Clone, Copy, Default)]
pub struct Emitted {
    pub next: u64,
    pub previous: Hash32,
    pub statements: u64,
    pub total: u128,
}

pub struct Net {
    pub state: SettlementState,
    pub sources: Vec<Source>,
    pub emitted: Vec<Emitted>,
    pub height: u64,
    pub now: u64,
}

impl Net {
    /// A network after its first block.
    pub fn new(shards: u32, accounts: Vec<GenesisAccount>) -> Self {
        Self::with(shards, |sources| genesis(sources, accounts))
    }

    pub fn with(shards: u32, genesis: impl FnOnce(&[Source]) -> Genesis) -> Self {
        let sources: Vec<Source> = (0..shards).map(source).collect();
        let state = SettlementState::genesis(&genesis(&sources)).unwrap();
        let emitted = vec![Emitted { next: FIRST_EPOCH, ..Emitted::default() }; sources.len()];
        let mut net = Self { state, sources, emitted, height: 0, now: BEGIN };
        net.block(0, &[], &[]);
        net
    }

    /// A block so many seconds after the one before. Nothing in it may be refused.
    pub fn block(&mut self, secs: u64, deliveries: &[Delivery], transactions: &[VerifiedTransaction]) -> Effects {
        self.height += 1;
        self.now += secs;
        let items: Vec<BlockItem> =
            transactions.iter().map(|transaction| BlockItem::Verified(Arc::new(transaction.clone()))).collect();
        let time = BlockTime::from_secs(self.now);
        let (state, effects) = execute(&self.state, Height::new(self.height), time, deliveries, &items);
        state.audit().unwrap();
        let balance = |account: &Address| state.balance(account).map(|leaf| leaf.balance);
        let lower = self.state.accounts().filter(|(account, leaf)| balance(account) < Some(leaf.balance));
        assert!(lower.map(|(account, _)| account).eq(effects.lowered.iter().copied()), "{:?}", effects.lowered);
        self.state = state;
        assert_eq!(effects.refused, [], "at height {}", self.height);
        effects
    }

    /// Blocks until nothing is to be done without a new reason.
    pub fn settle(&mut self) -> Vec<Effects> {
        let mut all = Vec::new();
        while self.state.work_pending(BlockTime::from_secs(self.now)) {
            all.push(self.block(0, &[], &[]));
        }
        all
    }

    /// The shard writes a statement.
    pub fn state_of(&mut self, shard: usize, account: Address, cumulative: u128) {
        let line = self.state.line(&account, ShardId::new(shard as u32));
        let emitted = &mut self.emitted[shard];
        emitted.statements += 1;
        emitted.total += cumulative - line.map_or(0, |line| line.reported.get()).min(cumulative);
        let statement = Statement { account, payee: Payee::ValidatorPool, cumulative: Tai::new(cumulative) };
        self.write(shard, &LogEntry::Statement(statement).to_bytes());
    }

    /// The close of the epochs up to `last`, as an honest shard would write it that has applied all that was sent.
    pub fn close_of(&self, shard: usize, last: u64) -> EpochClose {
        let emitted = &self.emitted[shard];
        EpochClose {
            shard: ShardId::new(shard as u32),
            first: Epoch::new(emitted.next),
            last: Epoch::new(last),
            first_height: Height::new(1),
            last_height: Height::new(2),
            bills_root: [7; 32],
            bill_count: emitted.statements,
            statements: emitted.statements,
            total: Tai::new(emitted.total),
            inbox_cursor: self.state.shard(ShardId::new(shard as u32)).unwrap().sent,
            previous: emitted.previous,
        }
    }

    /// The shard writes a close.
    pub fn close(&mut self, shard: usize, close: &EpochClose) {
        self.emitted[shard] = Emitted { next: close.last.get() + 1, previous: close.hash(), ..Emitted::default() };
        self.write(shard, &LogEntry::EpochClose(*close).to_bytes());
    }

    pub fn write(&mut self, shard: usize, entry: &[u8]) {
        self.sources[shard].append(&settlement(), entry).unwrap();
    }

    /// The shard makes a block, and this is what an honest relayer takes from it.
    pub fn delivery(&mut self, shard: usize) -> Delivery {
        self.now += 1;
        self.sources[shard].block(UnixTime::new(self.now as i64, 0).unwrap()).unwrap();
        let chain_id = self.sources[shard].chain_id().clone();
        let channel = self.state.channel(&chain_id).unwrap();
        let (cursor, trusted) = (channel.cursor(), channel.trusted_height());
        self.sources[shard].delivery(&settlement(), cursor, usize::MAX, trusted).unwrap()
    }

    /// All that the shard wrote arrives in one block.
    pub fn carry(&mut self, shard: usize) -> Effects {
        let delivery = self.delivery(shard);
        self.block(0, &[delivery], &[])
    }

    /// A transaction with the account's next nonce.
    pub fn sign(&self, actor: &Actor, operations: Vec<TransactionOperation>) -> VerifiedTransaction {
        let nonce = self.state.window(&actor.address).next();
        sign(actor, &self.transaction(actor, nonce, operations))
    }

    pub fn transaction(&self, actor: &Actor, nonce: Nonce, operations: Vec<TransactionOperation>) -> Transaction {
        Transaction {
            network: network(),
            account: actor.address,
            nonce,
            expire_unix_secs: self.now + 600,
            max_fee: Tai::new(1_000_000),
            operations,
        }
    }

    /// One transaction in a block of its own, and its outcome.
    pub fn transact(&mut self, actor: &Actor, operations: Vec<TransactionOperation>) -> Outcome {
        let verified = self.sign(actor, operations);
        self.height += 1;
        let mut executor = Executor::new(&self.state, Height::new(self.height), BlockTime::from_secs(self.now));
        let outcome = executor.apply(&verified);
        let (state, _) = executor.finish();
        state.audit().unwrap();
        self.state = state;
        outcome
    }
}

/// Signs a transaction. The body need only differ from others: its form is proven where protobuf is known.
pub fn sign(actor: &Actor, transaction: &Transaction) -> VerifiedTransaction {
    let body = format!("{transaction:?}").into_bytes();
    let signature = actor.key.sign(&signing_digest(transaction, &body, Scheme::Raw));
    let envelope = SignedEnvelope { body, scheme: Scheme::Raw, signature };
    SignedTransaction::new(transaction.clone(), envelope, 200).verify().unwrap()
}
