//! One account that reads and writes registers at a node of its choice: one attempt a call, never a second one, so that
//! what is written down is what one call did.

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use db3_client::keystore::{Folder, open};
use db3_client::{NetworkFile, load_network};
use db3_primitives::{
    Mutation, Namespace, Nonce, Operation, RecordKey, Scheme, SecretKey, Tai, Write, mutation_id, sign_mutation,
};
use db3_proto::status::CallError;
use db3_proto::v1::chain_service_client::ChainServiceClient;
use db3_proto::v1::shard_service_client::ShardServiceClient;
use db3_proto::{encode_body, envelope_message, v1};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::call::Outcome;
use crate::nonces::Nonces;

/// The table that holds the registers.
const TABLE: &str = "registers";
/// Signed mutations are good for so long: what no block took by then, none takes.
pub const EXPIRE_SECS: u64 = 30;
/// Until nobody can use the nonce of a write whose outcome is unknown: blocks may come later than clocks say.
const NONCE_LOST: Duration = Duration::from_secs(EXPIRE_SECS + 10);
const NONCE_USED: u32 = 207;
/// How long a call may take.
const CALL_MAX: Duration = Duration::from_secs(8);
const FEE_MAX: Tai = Tai::new(10_000_000);
/// Refusals with these numbers and above are about the node, not about the mutation.
const CODE_OF_NODE: u32 = 500;

/// The account, the network and what all clients share.
pub struct Caller {
    network: NetworkFile,
    key: SecretKey,
    namespace: Namespace,
    nonces: Nonces,
}

/// The newest height that some clients have been told of, or one alone. Reads are asked at or above it: a node that is
/// behind waits instead of giving an older state.
#[derive(Debug, Default)]
pub struct Seen {
    height: AtomicU64,
    /// Who is told as well, and tells nothing back.
    others: Option<Arc<Self>>,
}

impl Seen {
    /// Of one client alone, which passes on what it is told.
    pub fn alone(others: &Arc<Self>) -> Self {
        Self { height: AtomicU64::default(), others: Some(Arc::clone(others)) }
    }

    /// What somebody was told.
    pub fn tell(&self, height: u64) {
        self.height.fetch_max(height, Ordering::SeqCst);
        self.others.iter().for_each(|others| others.tell(height));
    }

    /// What it is.
    pub fn height(&self) -> u64 {
        self.height.load(Ordering::SeqCst)
    }
}

/// A node.
#[derive(Clone)]
pub struct Node {
    /// Its address.
    pub url: String,
    channel: Channel,
}

impl Node {
    fn new(url: &str) -> Result<Self> {
        let endpoint = Endpoint::from_shared(url.to_owned())?.connect_timeout(Duration::from_secs(2)).tcp_nodelay(true);
        Ok(Self { url: url.to_owned(), channel: endpoint.connect_lazy() })
    }

    /// Its shard service.
    pub fn shard(&self) -> ShardServiceClient<Channel> {
        ShardServiceClient::new(self.channel.clone())
    }

    /// Its chain service.
    pub fn chain(&self) -> ChainServiceClient<Channel> {
        ChainServiceClient::new(self.channel.clone())
    }
}

impl Caller {
    /// Opens the account `name` of a keystore folder, for the network of a file.
    pub fn open(network: &Path, keystore: &Path, name: &str, password: &str) -> Result<Self> {
        let network = load_network(network)?;
        let account =
            Folder::new(keystore).find(name)?.with_context(|| format!("{} holds no {name}", keystore.display()))?;
        let secret = open(&account.key_file()?, password)?;
        let key = SecretKey::from_bytes(*secret)?;
        let namespace = Namespace::own(&key.address());
        Ok(Self { network, key, namespace, nonces: Nonces::default() })
    }

    /// The nodes of the shard that holds the account's own namespace.
    pub fn nodes(&self) -> Result<Vec<Node>> {
        let shard = self.network.shard_map()?.shard_of_namespace(&self.namespace);
        let entry = self.network.shard(shard).context("the network file names no such shard")?;
        entry.endpoints.iter().map(|url| Node::new(url)).collect()
    }

    /// Its address, which bills name.
    pub fn address(&self) -> Bytes {
        Bytes::copy_from_slice(self.key.address().as_bytes())
    }

    /// Asks for the account's nonces and the newest height, so that calls can begin.
    pub async fn prepare(&self, node: &Node, seen: &Seen) -> Result<()> {
        let request = v1::GetNonceWindowRequest {
            account: self.address(),
            namespace: self.namespace.as_str().to_owned(),
            read: None,
        };
        let answer = node.shard().get_nonce_window(timed(request)).await?.into_inner();
        self.nonces.begin(&answer.window.unwrap_or_default());
        let status = node.chain().get_status(timed(v1::GetStatusRequest {})).await?.into_inner();
        seen.tell(status.provable_height);
        Ok(())
    }

    /// Reads a register.
    pub async fn read(&self, node: &Node, key: &str, seen: &Seen) -> Outcome {
        let request = v1::GetRecordRequest {
            namespace: self.namespace.as_str().to_owned(),
            table: TABLE.to_owned(),
            key: Bytes::copy_from_slice(key.as_bytes()),
            read: Some(v1::ReadOptions { min_height: seen.height(), ..v1::ReadOptions::default() }),
        };
        match node.shard().get_record(timed(request)).await {
            Ok(answer) => was_read(answer.into_inner(), seen),
            Err(status) => Outcome::None { why: told(&status) },
        }
    }

    /// Writes a register and waits until a block holds it.
    pub async fn write(
        &self,
        node: &Node,
        key: &str,
        value: &str,
        if_version: Option<u64>,
        seen: &Seen,
    ) -> Result<Outcome> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let write = Write {
            table: TABLE.parse()?,
            key: RecordKey::new(key.as_bytes().to_vec())?,
            value: value.as_bytes().to_vec(),
            if_version,
        };
        let nonce = self.nonces.take();
        let mutation = Mutation {
            network: self.network.name.clone(),
            account: self.key.address(),
            namespace: self.namespace.clone(),
            nonce: Nonce::new(nonce),
            expire_unix_secs: now.saturating_add(EXPIRE_SECS),
            max_fee: FEE_MAX,
            operations: vec![Operation::Put(write)],
        };
        let envelope = sign_mutation(&self.key, &mutation, encode_body(&mutation), Scheme::Raw);
        let id = hex::encode(mutation_id(&envelope.body).as_bytes());
        let request = v1::SubmitMutationRequest {
            mutation: Some(envelope_message(&envelope)),
            wait: v1::WaitMode::Committed.into(),
        };
        let answer = node.shard().submit_mutation(timed(request)).await;
        let used = answer.as_ref().map_or_else(|status| code(status) == Some(NONCE_USED), |_| true);
        let outcome = match answer {
            Ok(answer) => was_written(answer.into_inner().receipt, id, seen),
            Err(status) => refused(&status, id),
        };
        match &outcome {
            Outcome::Info { .. } => self.nonces.give_back(nonce, NONCE_LOST),
            Outcome::None { .. } if !used => self.nonces.give_back(nonce, Duration::ZERO),
            Outcome::None { .. } | Outcome::Ok { .. } | Outcome::Mismatch { .. } => {}
        }
        Ok(outcome)
    }
}

fn was_read(answer: v1::GetRecordResponse, seen: &Seen) -> Outcome {
    let height = answer.context.map_or(0, |context| context.height);
    seen.tell(height);
    match answer.record {
        None => Outcome::Ok { version: 0, value: None, height, id: None },
        Some(record) => {
            let value = String::from_utf8_lossy(&record.value).into_owned();
            Outcome::Ok { version: record.version, value: Some(value), height, id: None }
        }
    }
}

fn was_written(receipt: Option<v1::Receipt>, id: String, seen: &Seen) -> Outcome {
    let Some(receipt) = receipt else { return Outcome::Info { why: "an answer without a receipt".to_owned(), id } };
    let outcome = said_by(receipt, id);
    outcome.height().into_iter().for_each(|height| seen.tell(height));
    outcome
}

/// What a receipt says of a write.
pub fn said_by(receipt: v1::Receipt, id: String) -> Outcome {
    match receipt.state() {
        v1::ReceiptState::Applied => {
            let version = receipt.results.first().map_or(0, |result| result.version);
            Outcome::Ok { version, value: None, height: receipt.height, id: Some(id) }
        }
        v1::ReceiptState::Failed => {
            let reason = receipt.rejection.map(|rejection| rejection.reason).unwrap_or_default();
            match reason.as_str() {
                "VERSION_MISMATCH" => Outcome::Mismatch { height: receipt.height, id },
                _ => Outcome::None { why: reason },
            }
        }
        state => Outcome::Info { why: state.as_str_name().to_owned(), id },
    }
}

/// What a failed call means: a numbered refusal says that this call put nothing in a block, unless it is about the node.
fn refused(status: &Status, id: String) -> Outcome {
    match code(status) {
        Some(code) if code < CODE_OF_NODE => Outcome::None { why: told(status) },
        None if never_connected(status) => Outcome::None { why: told(status) },
        Some(_) | None => Outcome::Info { why: told(status), id },
    }
}

fn code(status: &Status) -> Option<u32> {
    CallError::from(status).rejection_code()
}

fn told(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

fn never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.downcast_ref::<tonic::ConnectError>().is_some() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A request that the node gives up on when this side does.
pub fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_MAX);
    request
}
