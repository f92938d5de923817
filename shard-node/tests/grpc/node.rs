//! A shard node for tests: one chain of one validator in a folder of its own, served on a free port.

use std::time::Duration;

use bytes::Bytes;
use db3_chain::transfer::snapshot;
use db3_chain::{ChainConfig, ChainHandle, ShardMachine};
use db3_light_client::{LightClient, Options, UnixTime};
use db3_primitives::{
    Address, Mutation, Namespace, Nonce, Operation, RecordKey, Scheme, SecretKey, Tai, Write, sign_mutation,
};
use db3_proto::v1::chain_service_client::ChainServiceClient;
use db3_proto::v1::shard_service_client::ShardServiceClient;
use db3_proto::{encode_body, envelope_message, v1};
use db3_shard_node::{ServeConfig, Served, serve};
use tempfile::TempDir;
use tonic::transport::Channel;

pub const EPOCH_SECS: u64 = 600;

/// What a test may change of a node.
pub struct Plan {
    pub shards: u32,
    pub block_ms: u64,
    pub serve: ServeConfig,
    pub chain: fn(&mut ChainConfig),
}

impl Default for Plan {
    fn default() -> Self {
        Self { shards: 1, block_ms: 10, serve: ServeConfig::new("127.0.0.1:0".parse().unwrap()), chain: |_| {} }
    }
}

pub struct TestNode {
    pub chain: ChainHandle,
    pub served: Served,
    pub shard: ShardServiceClient<Channel>,
    pub chains: ChainServiceClient<Channel>,
    _home: TempDir,
}

/// The key of a test account; 0, 1 and 2 have credit.
pub fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number + 1; 32]).unwrap()
}

pub fn own(number: u8) -> Namespace {
    Namespace::own(&key(number).address())
}

pub fn account(number: u8) -> Bytes {
    Bytes::copy_from_slice(key(number).address().as_bytes())
}

impl TestNode {
    pub async fn start() -> Self {
        Self::with(Plan::default()).await
    }

    pub async fn with(plan: Plan) -> Self {
        let home = TempDir::new().unwrap();
        let folder = home.path().join("node");
        let mut config = ChainConfig { block_ms: plan.block_ms, ..ChainConfig::new(&folder) };
        (plan.chain)(&mut config);
        // The namespaces of the test accounts decide the shard that serves them, so this is the shard of account 0.
        let map = db3_primitives::ShardMap::new(1, plan.shards).unwrap();
        let shard = map.shard_of_namespace(&own(0));
        let accounts: Vec<Address> = (0..3).map(address).collect();
        let credit = crate::credit::make(&folder, (shard.get(), plan.shards), EPOCH_SECS, &accounts, &config);
        // Credit comes soon, however slowly the test's own blocks follow one another.
        let quick = ChainConfig { block_ms: plan.block_ms.min(10), ..config.clone() };
        let slow = quick != config;
        let mut chain = ChainHandle::start(quick).await.unwrap();
        let held = chain.submit_delivery(credit).await.unwrap().block(soon()).await.unwrap();
        chain.wait_height(held.expect("a block with the credit"), soon()).await.unwrap();
        if slow {
            chain.shutdown().await;
            drop(chain);
            chain = ChainHandle::start(config).await.unwrap();
        }
        Self::serving(chain, plan.serve, home).await
    }

    async fn serving(chain: ChainHandle, config: ServeConfig, home: TempDir) -> Self {
        let served = serve(chain.clone(), config).await.unwrap();
        let channel = connect(&served).await;
        let size = 8 << 20;
        Self {
            shard: ShardServiceClient::new(channel.clone()).max_decoding_message_size(size),
            chains: ChainServiceClient::new(channel).max_decoding_message_size(size),
            chain,
            served,
            _home: home,
        }
    }

    /// The chain from here on, on a node that came from a snapshot: older blocks left nothing on it.
    pub async fn restored(self) -> Self {
        let Self { chain, served, shard, chains, _home: home } = self;
        drop((shard, chains));
        let settings = chain.config().clone();
        served.stop().await;
        chain.shutdown().await;
        drop(chain);
        let (made, _) = snapshot::make::<ShardMachine>(settings.clone()).unwrap();
        let folder = home.path().join("restored");
        let config = ChainConfig { home: folder.clone(), ..settings.clone() };
        snapshot::restore::<ShardMachine>(&folder, &made, &config).unwrap();
        let key = "config/priv_validator_key.json";
        std::fs::copy(settings.home.join(key), folder.join(key)).unwrap();
        let chain = ChainHandle::start(config).await.unwrap();
        Self::serving(chain, ServeConfig::new("127.0.0.1:0".parse().unwrap()), home).await
    }

    /// Signs a mutation of an account on a namespace.
    pub fn sign(
        &self,
        number: u8,
        namespace: &Namespace,
        nonce: u64,
        operations: Vec<Operation>,
    ) -> v1::SignedEnvelope {
        let mutation = self.mutation(number, namespace, nonce, operations);
        signed(&key(number), &mutation)
    }

    pub fn mutation(&self, number: u8, namespace: &Namespace, nonce: u64, operations: Vec<Operation>) -> Mutation {
        Mutation {
            network: "test".parse().unwrap(),
            account: key(number).address(),
            namespace: namespace.clone(),
            nonce: Nonce::new(nonce),
            expire_unix_secs: self.chain.now().secs + 600,
            max_fee: Tai::new(100_000_000_000),
            operations,
        }
    }

    /// One put of an account into its own namespace.
    pub fn put(&self, number: u8, nonce: u64, table: &str, record: &str, value: &str) -> v1::SignedEnvelope {
        self.sign(number, &own(number), nonce, vec![put(table, record, value)])
    }

    /// Submits and waits until the effects can be proven.
    pub async fn write(&mut self, envelope: v1::SignedEnvelope) -> v1::Receipt {
        let request = v1::SubmitMutationRequest { mutation: Some(envelope), wait: v1::WaitMode::Provable.into() };
        let receipt = self.shard.submit_mutation(request).await.unwrap().into_inner().receipt.unwrap();
        assert!(receipt.height > 0 && receipt.provable_height > 0, "{receipt:?}");
        receipt
    }

    pub async fn refused(&mut self, envelope: v1::SignedEnvelope) -> tonic::Status {
        let request = v1::SubmitMutationRequest { mutation: Some(envelope), wait: v1::WaitMode::Checked.into() };
        self.shard.submit_mutation(request).await.unwrap_err()
    }

    /// Moves time over the end of the open epoch and waits until its close is provable.
    pub async fn close_epoch(&self) -> u64 {
        let (open, _) = self.chain.committed().state.open_epoch();
        self.chain.advance_time(EPOCH_SECS).unwrap();
        let mut version = self.chain.provable();
        while version.state.open_epoch().0 <= open || version.state.emission().is_some() {
            version = self.chain.wait_height(version.height.next().unwrap(), soon()).await.unwrap();
        }
        open.get()
    }

    /// The root that a read's context proves, by a light client that begins at the genesis.
    pub fn proven_root(&self, context: &v1::ReadContext) -> [u8; 32] {
        let block = context.light_block.as_ref().expect("a proving answer has a light block");
        assert_eq!(block.height, context.height + 1);
        let root = self.chain.genesis().trust_root().unwrap();
        let mut client = LightClient::from_root(root, Options::never_expires());
        let time = block.time.as_ref().unwrap();
        let now = UnixTime::new(time.seconds + 1, 0).unwrap();
        client.verify(&block.tendermint_light_block, None, now).unwrap();
        let header = client.newest().unwrap();
        assert_eq!(header.app_hash.unwrap().as_slice(), &context.root[..]);
        context.root.as_ref().try_into().unwrap()
    }
}

pub async fn connect(served: &Served) -> Channel {
    let endpoint = format!("http://{}", served.addr());
    tonic::transport::Endpoint::from_shared(endpoint).unwrap().connect().await.unwrap()
}

pub fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(20)
}

pub fn signed(key: &SecretKey, mutation: &Mutation) -> v1::SignedEnvelope {
    let body = encode_body(mutation);
    envelope_message(&sign_mutation(key, mutation, body, Scheme::Raw))
}

pub fn write(table: &str, record: &str, value: &str, if_version: Option<u64>) -> Write {
    Write {
        table: table.parse().unwrap(),
        key: RecordKey::new(record.as_bytes().to_vec()).unwrap(),
        value: value.as_bytes().to_vec(),
        if_version,
    }
}

pub fn put(table: &str, record: &str, value: &str) -> Operation {
    Operation::Put(write(table, record, value, None))
}

pub fn proving() -> v1::ReadOptions {
    v1::ReadOptions { prove: true, ..v1::ReadOptions::default() }
}

pub fn address(number: u8) -> Address {
    key(number).address()
}

/// The code of a failed call's rejection.
pub fn code(status: &tonic::Status) -> u32 {
    db3_proto::status::from_status(status).expect("a rejection in the details").code
}
