//! A network for tests: one shard and the settlement chain, each of one validator, in folders of their own.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use db3_chain::transfer::snapshot;
use db3_chain::{Chain, ChainConfig, ChainHandle, InitInput, Machine, SettlementMachine, make_key};
use db3_genesis::{AccountEntry, AppState, PeerEntry, SettlementGenesis, ShardGenesis, TrustEntry};
use db3_light_client::{LightClient, Options, UnixTime};
use db3_node::relay::{RelaySettings, RelayTask, directions, relay};
use db3_primitives::{
    Address, BlockTime, ChainId, Height, Mutation, Namespace, NetworkName, Nonce, Operation, RecordKey, Scheme,
    SecretKey, ShardId, Tai, Transaction, TransactionOperation, Write, sign, sign_mutation,
};
use db3_proto::v1::chain_service_client::ChainServiceClient;
use db3_proto::v1::settlement_service_client::SettlementServiceClient;
use db3_proto::v1::shard_service_client::ShardServiceClient;
use db3_proto::{encode_body, encode_transaction_body, envelope_message, v1};
use db3_settlement_node::{ChainEndpoints, ServeConfig, Served};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tonic::transport::Channel;

pub const EPOCH_SECS: u64 = 600;
/// What each account has to pay with, and its credit on the shard.
pub const FUNDS: u128 = 1_000_000_000_000;

pub struct Net {
    pub settlement: Chain<SettlementMachine>,
    pub shard: ChainHandle,
    pub money: SettlementServiceClient<Channel>,
    pub records: ShardServiceClient<Channel>,
    pub of_settlement: ChainServiceClient<Channel>,
    pub of_shard: ChainServiceClient<Channel>,
    served: [Served; 2],
    relays: Vec<RelayTask>,
    folder: TempDir,
}

pub fn network() -> NetworkName {
    "test".parse().unwrap()
}

/// The key of a test account; 0 and 1 have money and credit.
pub fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number + 1; 32]).unwrap()
}

pub fn address(number: u8) -> Address {
    key(number).address()
}

pub fn account(number: u8) -> Bytes {
    Bytes::copy_from_slice(address(number).as_bytes())
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Makes the folders of both chains.
fn make(folder: &Path) -> (PathBuf, PathBuf) {
    let (settlement, shard) = (ChainId::settlement(&network()), ChainId::shard(&network(), ShardId::new(0)));
    let homes = (folder.join("settlement"), folder.join("shard"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let time = BlockTime::from_secs(now);
    let peer = |chain_id: &ChainId, home: &Path| {
        let trust = TrustEntry::before(Height::new(1), time, vec![make_key(home).unwrap()]);
        PeerEntry::new(chain_id, &trust, None)
    };
    let (of_settlement, of_shard) = (peer(&settlement, &homes.0), peer(&shard, &homes.1));
    let funds = Tai::new(FUNDS);
    let accounts = (0..2).map(|number| AccountEntry::with_credit(address(number), funds, funds, 1).unwrap()).collect();
    let epoch_secs = NonZeroU64::new(EPOCH_SECS).unwrap();
    let states = [
        (
            &homes.0,
            AppState::Settlement(SettlementGenesis::new(&network(), epoch_secs, address(9), accounts, vec![of_shard])),
        ),
        (&homes.1, AppState::Shard(ShardGenesis::new(&network(), ShardId::new(0), 1, epoch_secs, of_settlement))),
    ];
    for (home, app_state) in states {
        db3_chain::init(home, &InitInput { app_state, time: Some(time) }, &settings(home)).unwrap();
    }
    homes
}

fn settings(home: &Path) -> ChainConfig {
    ChainConfig { block_ms: 10, ..ChainConfig::new(home) }
}

/// A folder that comes from a snapshot of a chain, which ends.
async fn again<M: Machine>(chain: Chain<M>) -> PathBuf {
    let settings = chain.config().clone();
    chain.shutdown().await;
    drop(chain);
    let (made, _) = snapshot::make::<M>(settings.clone()).unwrap();
    let home = settings.home.with_extension("restored");
    snapshot::restore::<M>(&home, &made, &ChainConfig { home: home.clone(), ..settings.clone() }).unwrap();
    let key = "config/priv_validator_key.json";
    std::fs::copy(settings.home.join(key), home.join(key)).unwrap();
    home
}

async fn connect(served: &Served) -> Channel {
    tonic::transport::Endpoint::from_shared(format!("http://{}", served.addr())).unwrap().connect().await.unwrap()
}

impl Net {
    /// Both chains, served, with a relay in each node.
    pub async fn start() -> Self {
        Self::with_relays(2).await
    }

    pub async fn with_relays(count: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let homes = make(folder.path());
        Self::over(folder, homes, 0, count).await
    }

    /// Both chains from here on, each on a node that came from a snapshot, with a relay in each.
    pub async fn restored(self) -> Self {
        let Self { settlement, shard, served, relays, folder, .. } = self;
        for relay in relays {
            relay.stop().await;
        }
        for served in served {
            served.stop().await;
        }
        let ahead = shard.store().offset_secs().unwrap();
        let homes = (again(settlement).await, again(shard).await);
        Self::over(folder, homes, ahead, 2).await
    }

    /// The chains of these folders, with so many relays and their time so many seconds ahead.
    async fn over(folder: TempDir, homes: (PathBuf, PathBuf), ahead: u64, count: usize) -> Self {
        let settlement = Chain::<SettlementMachine>::start(settings(&homes.0)).await.unwrap();
        let shard = ChainHandle::start(settings(&homes.1)).await.unwrap();
        settlement.advance_time(ahead).unwrap();
        shard.advance_time(ahead).unwrap();
        let listeners =
            [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
        let addresses = [listeners[0].local_addr().unwrap(), listeners[1].local_addr().unwrap()];
        let ids = [settlement.genesis().chain_id().clone(), shard.genesis().chain_id().clone()];
        let endpoints: Vec<ChainEndpoints> = ids
            .iter()
            .zip(addresses)
            .map(|(id, at)| ChainEndpoints { chain_id: id.clone(), endpoints: vec![format!("http://{at}")] })
            .collect();
        let config = |at| ServeConfig { endpoints: endpoints.clone(), ..ServeConfig::new(at) };
        let [first, second] = listeners;
        let served = [
            db3_settlement_node::serve_on(first, settlement.clone(), config(addresses[0])).await.unwrap(),
            db3_shard_node::serve_on(second, shard.clone(), config(addresses[1])).await.unwrap(),
        ];
        let (to_settlement, to_shard) = (connect(&served[0]).await, connect(&served[1]).await);
        let quick =
            RelaySettings { jitter: Duration::ZERO, poll: Duration::from_millis(50), timeout: Duration::from_secs(10) };
        let relays = (0..count)
            .map(|at| {
                let own = at % 2;
                let carried = relay(directions(&ids[own], addresses[own], &endpoints), &quick).unwrap();
                if own == 0 { RelayTask::start(carried, &settlement) } else { RelayTask::start(carried, &shard) }
            })
            .collect();
        Self {
            settlement,
            shard,
            money: SettlementServiceClient::new(to_settlement.clone()),
            records: ShardServiceClient::new(to_shard.clone()),
            of_settlement: ChainServiceClient::new(to_settlement),
            of_shard: ChainServiceClient::new(to_shard),
            served,
            relays,
            folder,
        }
    }

    /// Waits until the shard lets an account spend.
    pub async fn credit(&self, number: u8) {
        until("credit on the shard", || {
            let state = &self.shard.provable().state;
            state.account(&address(number)).is_some_and(|leaf| leaf.ceiling >= Tai::new(FUNDS))
        })
        .await;
    }

    /// Writes one record of an account into its own namespace; the fee.
    pub async fn write(&mut self, number: u8, nonce: u64) -> Tai {
        let mutation = Mutation {
            network: network(),
            account: address(number),
            namespace: Namespace::own(&address(number)),
            nonce: Nonce::new(nonce),
            expire_unix_secs: self.shard.now().secs + 600,
            max_fee: Tai::new(FUNDS),
            operations: vec![Operation::Put(Write {
                table: "notes".parse().unwrap(),
                key: RecordKey::new(format!("k{nonce}").into_bytes()).unwrap(),
                value: b"value".to_vec(),
                if_version: None,
            })],
        };
        let body = encode_body(&mutation);
        let envelope = envelope_message(&sign_mutation(&key(number), &mutation, body, Scheme::Raw));
        let request = v1::SubmitMutationRequest { mutation: Some(envelope), wait: v1::WaitMode::Provable.into() };
        let receipt = self.records.submit_mutation(request).await.unwrap().into_inner().receipt.unwrap();
        assert_eq!(receipt.state(), v1::ReceiptState::Applied, "{receipt:?}");
        receipt.fee_tai.parse().unwrap()
    }

    /// A signed transaction.
    pub fn transaction(&self, number: u8, nonce: u64, operations: Vec<TransactionOperation>) -> v1::SignedEnvelope {
        let transaction = Transaction {
            network: network(),
            account: address(number),
            nonce: Nonce::new(nonce),
            expire_unix_secs: self.settlement.now().secs + 600,
            max_fee: Tai::new(1_000_000_000),
            operations,
        };
        let body = encode_transaction_body(&transaction);
        envelope_message(&sign(&key(number), &transaction, body, Scheme::Raw))
    }

    pub async fn submit(&mut self, envelope: v1::SignedEnvelope) -> Result<v1::Receipt, tonic::Status> {
        let request = v1::SubmitTransactionRequest { transaction: Some(envelope), wait: v1::WaitMode::Provable.into() };
        Ok(self.money.submit_transaction(request).await?.into_inner().receipt.unwrap())
    }

    pub async fn account(&mut self, number: u8) -> v1::SettlementAccount {
        let request = v1::GetAccountRequest { account: account(number), read: None };
        self.money.get_account(request).await.unwrap().into_inner().account.unwrap()
    }

    /// Moves both chains just over the end of the open epoch, long before the deadline after which a round waits no
    /// more for a late shard, and waits until the epoch is settled; the epoch.
    pub async fn settle(&mut self) -> u64 {
        let open = self.shard.committed().state.open_epoch().0;
        let end = (open.get() + 1) * EPOCH_SECS;
        let secs = (end + 1).saturating_sub(self.shard.now().secs);
        self.shard.advance_time(secs).unwrap();
        self.settlement.advance_time(secs).unwrap();
        until("the epoch's settlement", || {
            self.settlement.provable().state.round().settled.is_some_and(|settled| settled >= open)
        })
        .await;
        open.get()
    }
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = soon();
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn proving() -> v1::ReadOptions {
    v1::ReadOptions { prove: true, ..v1::ReadOptions::default() }
}

/// The root that a read's context proves, by a light client that begins at a chain's genesis.
pub fn proven_root(genesis: &db3_genesis::GenesisDocument, context: &v1::ReadContext) -> [u8; 32] {
    let block = context.light_block.as_ref().expect("a proving answer has a light block");
    let mut client = LightClient::from_root(genesis.trust_root().unwrap(), Options::never_expires());
    let now = UnixTime::new(block.time.as_ref().unwrap().seconds + 1, 0).unwrap();
    client.verify(&block.tendermint_light_block, None, now).unwrap();
    assert_eq!(client.newest().unwrap().app_hash.unwrap().as_slice(), &context.root[..]);
    context.root.as_ref().try_into().unwrap()
}

/// The code of a failed call's rejection.
pub fn code(status: &tonic::Status) -> u32 {
    db3_proto::status::from_status(status).expect("a rejection in the details").code
}
