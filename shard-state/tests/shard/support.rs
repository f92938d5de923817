//! Accounts, signed mutations and a chain to run them on.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use db3_carry::Delivery;
use db3_primitives::{
    AccountLeaf, Address, BlockTime, ChainLeaf, Height, LogEntry, Mutation, Namespace, NetworkName, Nonce, Operation,
    PriceTable, RecordKey, Rejection, Scheme, SecretKey, ShardId, SignedMutation, TableName, Tai, VerifiedMutation,
    Write, key as tree_key, sign_mutation,
};
use db3_shard_state::{BlockItem, Effects, Executor, OutboundEntry, Outcome, Receipt, ShardState, execute};

use crate::settlement::settlement_peer;

pub const EPOCH_SECS: u64 = 10;
pub const START_SECS: u64 = 1_000;

/// An account with its key.
pub struct Actor {
    key: SecretKey,
    pub address: Address,
}

pub fn actor(number: u8) -> Actor {
    let key = SecretKey::from_bytes([number; 32]).unwrap();
    let address = key.address();
    Actor { key, address }
}

pub fn namespace(name: &str) -> Namespace {
    name.parse().unwrap()
}

pub fn table(name: &str) -> TableName {
    name.parse().unwrap()
}

pub fn key(bytes: impl AsRef<[u8]>) -> RecordKey {
    RecordKey::new(bytes.as_ref().to_vec()).unwrap()
}

pub fn write(name: &str, record: &str, value: &str) -> Write {
    Write { table: table(name), key: key(record), value: value.as_bytes().to_vec(), if_version: None }
}

pub fn put(name: &str, record: &str, value: &str) -> Operation {
    Operation::Put(write(name, record, value))
}

/// What a test's first version is made of: a genesis, and what deliveries of the settlement chain would have made of it.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "the names of the genesis that it stands for")]
pub struct Genesis {
    pub network: NetworkName,
    pub shard: ShardId,
    pub shards: u32,
    pub epoch_secs: NonZeroU64,
    pub genesis_time: BlockTime,
    pub prices: PriceTable,
    pub lease_epoch: u64,
    pub close_accounts_max: u32,
    pub expiry_max_secs: u64,
    pub lines: Vec<(Address, Tai)>,
}

impl Genesis {
    /// The genesis itself, in which nobody may spend anything.
    pub fn shard(&self) -> db3_shard_state::Genesis {
        db3_shard_state::Genesis {
            network: self.network.clone(),
            shard: self.shard,
            shards: self.shards,
            epoch_secs: self.epoch_secs,
            genesis_time: self.genesis_time,
            prices: self.prices,
            close_accounts_max: self.close_accounts_max,
            expiry_max_secs: self.expiry_max_secs,
            settlement: settlement_peer(&self.network),
            validators: Vec::new(),
        }
    }

    /// With the lease and the lines.
    pub fn state(&self) -> ShardState {
        let state = ShardState::genesis(&self.shard()).unwrap();
        let chain = ChainLeaf { lease_epoch: self.lease_epoch, ..state.chain().clone() };
        let mut leaves: BTreeMap<Vec<u8>, Option<Vec<u8>>> = self
            .lines
            .iter()
            .map(|(account, ceiling)| {
                (tree_key::account(account), Some(AccountLeaf::with_ceiling(*ceiling).to_bytes()))
            })
            .collect();
        leaves.insert(tree_key::chain(), Some(chain.to_bytes()));
        ShardState::from_tree(state.tree().apply(leaves.into_iter().collect()).unwrap()).unwrap()
    }
}

/// A shard that is alone in its network, so that every namespace is its own.
pub fn genesis(lines: &[(Address, u128)]) -> Genesis {
    Genesis {
        network: NetworkName::try_from("test").unwrap(),
        shard: ShardId::new(0),
        shards: 1,
        epoch_secs: NonZeroU64::new(EPOCH_SECS).unwrap(),
        genesis_time: BlockTime::from_secs(START_SECS),
        prices: PriceTable::v1(),
        lease_epoch: 1_000_000,
        close_accounts_max: 100,
        expiry_max_secs: 3_600,
        lines: lines.iter().map(|(account, ceiling)| (*account, Tai::new(*ceiling))).collect(),
    }
}

/// A mutation on the sender's own namespace that expires in a minute.
pub fn mutation(actor: &Actor, nonce: u64, operations: Vec<Operation>) -> Mutation {
    Mutation {
        network: NetworkName::try_from("test").unwrap(),
        account: actor.address,
        namespace: Namespace::own(&actor.address),
        nonce: Nonce::new(nonce),
        expire_unix_secs: START_SECS + 60,
        max_fee: Tai::new(1_000_000_000),
        operations,
    }
}

/// Signs. The body stands for the canonical encoding: it says all that the mutation says, in some bytes.
pub fn sign(actor: &Actor, mutation: &Mutation) -> VerifiedMutation {
    let body = body(mutation);
    let bytes = u32::try_from(body.len() + 75).unwrap();
    sign_bytes(actor, mutation, body, bytes)
}

pub fn sign_bytes(actor: &Actor, mutation: &Mutation, body: Vec<u8>, bytes: u32) -> VerifiedMutation {
    let envelope = sign_mutation(&actor.key, mutation, body, Scheme::Raw);
    SignedMutation::new(mutation.clone(), envelope, bytes).verify().unwrap()
}

pub fn body(mutation: &Mutation) -> Vec<u8> {
    let Mutation { network, account, namespace, nonce, expire_unix_secs, max_fee, operations } = mutation;
    let mut body = format!("{network} {account} {namespace} {nonce} {expire_unix_secs} {max_fee}").into_bytes();
    for operation in operations {
        let (tag, name, record, value, if_version) = match operation {
            Operation::Put(write) => {
                (b'p', write.table.as_str(), write.key.as_bytes(), &write.value[..], write.if_version)
            }
            Operation::Insert(write) => {
                (b'i', write.table.as_str(), write.key.as_bytes(), &write.value[..], write.if_version)
            }
            Operation::Update(write) => {
                (b'u', write.table.as_str(), write.key.as_bytes(), &write.value[..], write.if_version)
            }
            Operation::Delete { table, key, if_version } => {
                (b'd', table.as_str(), key.as_bytes(), &b""[..], *if_version)
            }
            Operation::CreateNamespace => (b'n', "", &b""[..], &b""[..], None),
            Operation::CreateTable { table } => (b't', table.as_str(), &b""[..], &b""[..], None),
        };
        body.push(tag);
        for part in [name.as_bytes(), record, value, format!("{if_version:?}").as_bytes()] {
            body.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            body.extend(part);
        }
    }
    body
}

/// One chain: its newest version, height and time.
pub struct Chain {
    pub state: ShardState,
    pub height: u64,
    pub time: u64,
}

impl Chain {
    pub fn new(genesis: &Genesis) -> Self {
        Self { state: genesis.state(), height: 0, time: genesis.genesis_time.secs }
    }

    /// Runs the next block, `secs` later.
    pub fn block(&mut self, secs: u64, mutations: &[VerifiedMutation]) -> Effects {
        let items: Vec<BlockItem> = mutations.iter().cloned().map(Arc::new).map(BlockItem::Verified).collect();
        self.items(secs, &items)
    }

    pub fn items(&mut self, secs: u64, items: &[BlockItem]) -> Effects {
        self.height += 1;
        self.time += secs;
        let (state, effects) =
            execute(&self.state, Height::new(self.height), BlockTime::from_secs(self.time), &[], items);
        self.state = state;
        effects
    }

    /// Runs the next block with deliveries, all of which must be good, and then mutations.
    pub fn block_with(&mut self, secs: u64, deliveries: &[Delivery], mutations: &[VerifiedMutation]) -> Effects {
        let mut executor = self.executor(secs);
        for delivery in deliveries {
            let _ = executor.deliver(delivery).unwrap();
        }
        for mutation in mutations {
            if let Outcome::Refused(rejection) = executor.apply(mutation) {
                executor.refuse(mutation, rejection);
            }
        }
        self.take(secs, executor)
    }

    /// Goes on with the result of a block that would come next, `secs` later.
    pub fn take(&mut self, secs: u64, executor: Executor) -> Effects {
        let (state, effects) = executor.finish();
        let ceiling = |account: &Address| state.account(account).map(|leaf| leaf.ceiling);
        let lower = self.state.accounts().filter(|(account, leaf)| ceiling(account) < Some(leaf.ceiling));
        let told = |account: &Address| effects.lowered.contains(account);
        assert!(lower.into_iter().all(|(account, _)| told(&account)), "{:?}", effects.lowered);
        (self.state, self.height, self.time) = (state, self.height + 1, self.time + secs);
        effects
    }

    /// What admission says of a delivery.
    pub fn check(&self, delivery: &Delivery) -> Result<(), Rejection> {
        self.state.check_delivery(delivery, BlockTime::from_secs(self.time))
    }

    /// An executor for the block that would come next, `secs` later.
    pub fn executor(&self, secs: u64) -> Executor {
        Executor::new(&self.state, Height::new(self.height + 1), BlockTime::from_secs(self.time + secs))
    }

    /// Runs one mutation in a block of its own.
    pub fn run(&mut self, actor: &Actor, mutation: &Mutation) -> Receipt {
        self.block(0, &[sign(actor, mutation)]).receipts.pop().unwrap()
    }

    pub fn value(&self, name: &Namespace, in_table: &str, record: &str) -> Option<Vec<u8>> {
        self.state.record(name, &table(in_table), &key(record)).map(|(_, value)| value.to_vec())
    }
}

/// What an entry of the outbox says.
pub fn log_entry(entry: &OutboundEntry) -> LogEntry {
    LogEntry::from_bytes(&entry.bytes).unwrap()
}

/// The rejection of an outcome that must be one of no effect.
pub fn refusal(outcome: Outcome) -> Rejection {
    match outcome {
        Outcome::Refused(rejection) => rejection,
        Outcome::Applied(receipt) | Outcome::Failed(receipt) => panic!("it took effect: {receipt:?}"),
    }
}
