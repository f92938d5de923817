//! A chain of one node that writes a log and reads one, behind the real gRPC service.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use db3_carry::build::Source;
use db3_carry::{Channel, Delivery};
use db3_light_client::{ClaimedHeader, Options, UnixTime};
use db3_merkle_log::{Frontier, right_range};
use db3_primitives::{ChainId, Rejection};
use db3_proto::status::to_status;
use db3_proto::v1::chain_service_server::{ChainService, ChainServiceServer};
use db3_proto::{decode_delivery_message, ics23, v1};
use db3_state_tree::Proof;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// How a chain's node lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lie {
    #[default]
    None,
    /// Another entry than the log's.
    WrongEntry,
    /// Pages that never end, with entries that are none.
    EndlessPages,
    /// Pages without entries that never end.
    EmptyPages,
    /// Right hashes of another place.
    WrongRight,
    /// Another chain's name.
    OtherChain,
    /// A header with another app hash.
    OtherHeader,
    /// No answer.
    Silence,
    /// Deliveries are taken and forgotten.
    Forgets,
}

pub struct State {
    pub source: Source,
    pub channels: BTreeMap<ChainId, Channel>,
    pub read: BTreeMap<ChainId, Vec<Vec<u8>>>,
    pub lie: Lie,
    pub frozen: Option<(String, u32)>,
    pub now: UnixTime,
    /// The time at which deliveries are judged, where it is not that of the newest block.
    pub judged_at: Option<UnixTime>,
    /// How often each method was called.
    pub calls: BTreeMap<&'static str, usize>,
    /// The codes of refused deliveries.
    pub refused: Vec<u32>,
}

#[derive(Clone)]
pub struct Fake(Arc<Mutex<State>>);

pub const GENESIS_SECS: i64 = 1_700_000_000;

pub fn at(secs: i64) -> UnixTime {
    UnixTime::new(GENESIS_SECS + secs, 0).unwrap()
}

pub fn seeds(from: u8, to: u8) -> Vec<([u8; 32], u64)> {
    (from..to).map(|seed| ([seed + 1; 32], 10)).collect()
}

pub fn chain(name: &str) -> ChainId {
    ChainId::parse(name).unwrap()
}

impl Fake {
    pub fn new(name: &str) -> Self {
        let source = Source::new(chain(name), &seeds(0, 4), at(0)).unwrap();
        let state = State {
            source,
            channels: BTreeMap::new(),
            read: BTreeMap::new(),
            lie: Lie::None,
            frozen: None,
            now: at(0),
            judged_at: None,
            calls: BTreeMap::new(),
            refused: Vec::new(),
        };
        let fake = Self(Arc::new(Mutex::new(state)));
        fake.block();
        fake
    }

    /// This chain hears the other from now on.
    pub fn hears(&self, other: &Self, options: Options) {
        let (peer, source) = {
            let other = other.lock();
            (other.source.peer(options), other.source.chain_id().clone())
        };
        self.lock().channels.insert(source, Channel::new(peer).unwrap());
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn id(&self) -> ChainId {
        self.lock().source.chain_id().clone()
    }

    /// Makes a block ten seconds after the one before.
    pub fn block(&self) {
        self.block_after(10);
    }

    pub fn block_after(&self, secs: i64) {
        let state = &mut *self.lock();
        state.now = UnixTime::new(state.now.secs() + secs, 0).unwrap();
        state.source.block(state.now).unwrap();
    }

    /// Writes entries for a reader, numbered on, and proves them.
    pub fn write(&self, destination: &ChainId, entries: usize) {
        {
            let state = &mut *self.lock();
            let from = state.source.log(destination).map_or(0, |log| log.entries().len());
            for index in from..from + entries {
                state.source.append(destination, &entry(index)).unwrap();
            }
        }
        self.block();
    }

    pub fn set_lie(&self, lie: Lie) {
        self.lock().lie = lie;
    }

    pub fn cursor(&self, source: &ChainId) -> u64 {
        self.lock().channels[source].cursor()
    }

    pub fn read_from(&self, source: &ChainId) -> Vec<Vec<u8>> {
        self.lock().read.get(source).cloned().unwrap_or_default()
    }

    pub fn calls(&self, method: &str) -> usize {
        self.lock().calls.get(method).copied().unwrap_or_default()
    }

    /// Serves until the handle is aborted.
    pub async fn serve(&self) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = ChainServiceServer::new(self.clone());
        let serving = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        (url, tokio::spawn(async move { serving.await.unwrap() }))
    }

    /// Counts the call; the lie to tell.
    async fn called(&self, method: &'static str) -> Lie {
        let lie = {
            let state = &mut *self.lock();
            *state.calls.entry(method).or_default() += 1;
            state.lie
        };
        if lie == Lie::Silence {
            std::future::pending::<()>().await;
        }
        lie
    }
}

pub fn entry(index: usize) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

impl State {
    fn context(&self, height: u64, block: Option<v1::LightBlock>) -> v1::ReadContext {
        let other = self.lie == Lie::OtherChain;
        let header = self.source.headers().light_block(height + 1).unwrap();
        let root = ClaimedHeader::read(header).unwrap().app_hash.unwrap();
        v1::ReadContext {
            chain_id: if other { "test-shard-99".to_owned() } else { self.source.chain_id().to_string() },
            height,
            root: Bytes::copy_from_slice(&root),
            block_time: Some(timestamp(self.now)),
            light_block: block,
        }
    }

    fn light_block(&self, height: u64, trusted_height: u64) -> v1::LightBlock {
        let headers = self.source.headers();
        let light_block = match self.lie {
            Lie::OtherHeader => headers.fork(height, [7; 32]).unwrap().unwrap(),
            _ => headers.light_block(height).unwrap().to_vec(),
        };
        let own = headers.validators(height).unwrap();
        let named = Some(trusted_height).filter(|trusted| *trusted > 0).and_then(|t| headers.next_validators(t));
        let set = named.filter(|named| named.hash() != own.hash()).map(db3_light_client::ValidatorSet::to_proto_bytes);
        v1::LightBlock {
            tendermint_light_block: light_block.into(),
            next_validator_set: set.unwrap_or_default().into(),
            height,
            ..v1::LightBlock::default()
        }
    }

    fn inbox(&self, channel: &Channel) -> v1::Inbox {
        let conflict = channel.frozen().map(|conflict| (format!("two headers at height {}", conflict.height), 0));
        let frozen = self.frozen.clone().or(conflict);
        v1::Inbox {
            source: channel.source().to_string(),
            cursor: channel.cursor(),
            trusted_height: channel.trusted_height(),
            trusted_time: Some(timestamp(channel.trusted_time())),
            trusting_period_secs: channel.peer().options.trusting_period_secs(),
            frozen: frozen.is_some(),
            fault_code: frozen.as_ref().map_or(0, |(_, code)| *code),
            frozen_reason: frozen.map(|(reason, _)| reason).unwrap_or_default(),
            stored: channel.inbox().to_bytes().into(),
            ..v1::Inbox::default()
        }
    }

    fn list(&self, request: &v1::ListOutboxRequest) -> v1::ListOutboxResponse {
        let destination = chain(&request.destination);
        let read = request.read.unwrap_or_default();
        let newest = self.source.headers().height();
        let (header, from) = match request.page_token.split_once(':') {
            Some((header, from)) => (header.parse().unwrap(), from.parse().unwrap()),
            None => (newest, request.start_index),
        };
        let block = (read.prove && header > read.trusted_height).then(|| self.light_block(header, read.trusted_height));
        let context = Some(self.context(header - 1, block));
        let whole = self.source.delivery_at(header, &destination, 0, usize::MAX, header).unwrap();
        let Some(proof) = whole.proof else { return v1::ListOutboxResponse { context, ..Default::default() } };
        let log = self.source.log(&destination).unwrap();
        let size = Frontier::from_bytes(&whole.outbox_leaf).unwrap().size();
        let next = size.min(from + request.page_size as u64);
        let mut entries: Vec<v1::OutboxEntry> = (from..next)
            .map(|index| v1::OutboxEntry {
                index,
                leaf: Bytes::copy_from_slice(&log.entries()[index as usize]),
                ..v1::OutboxEntry::default()
            })
            .collect();
        let mut right = right_range(log, next, size).unwrap();
        let mut token = if next < size { format!("{header}:{next}") } else { String::new() };
        match self.lie {
            Lie::WrongEntry => entries[0].leaf = Bytes::from_static(b"lie"),
            Lie::WrongRight => right.push([7; 32]),
            Lie::EndlessPages => token = format!("{header}:{from}"),
            Lie::EmptyPages => {
                entries.clear();
                token = format!("{header}:{from}");
            }
            _ => {}
        }
        v1::ListOutboxResponse {
            entries,
            next_page_token: token,
            size,
            right_hashes: right.iter().map(|hash| Bytes::copy_from_slice(hash)).collect(),
            ics23_proof: if read.prove { ics23::to_bytes(&Proof::Exists(proof)).into() } else { Bytes::new() },
            stored: whole.outbox_leaf.into(),
            context,
        }
    }

    fn submit(&mut self, delivery: &Delivery) -> Result<u64, Rejection> {
        let own = self.source.chain_id().clone();
        let unknown = Rejection::DeliverySourceUnknown { chain_id: delivery.source.clone() };
        let channel = self.channels.get(&delivery.source).ok_or(unknown)?;
        let received = channel.receive(&own, delivery, self.judged_at.unwrap_or(self.now))?;
        let entries = received.entries().to_vec();
        let advanced = received.advance(usize::MAX);
        if self.lie != Lie::Forgets {
            self.read.entry(delivery.source.clone()).or_default().extend(entries);
            self.channels.insert(delivery.source.clone(), advanced.channel);
        }
        self.now = UnixTime::new(self.now.secs() + 1, 0).unwrap();
        Ok(self.source.block(self.now).unwrap())
    }
}

fn timestamp(time: UnixTime) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.secs(), nanos: time.nanos() as i32 }
}

type Stream<T> = Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send>>;
type Answer<T> = Result<Response<T>, Status>;

fn not_here<T>() -> Answer<T> {
    Err(Status::unimplemented("a relay does not ask this"))
}

#[tonic::async_trait]
impl ChainService for Fake {
    type WatchReceiptsStream = Stream<v1::WatchReceiptsResponse>;
    type SubscribeStream = Stream<v1::SubscribeResponse>;

    async fn get_inbox(&self, request: Request<v1::GetInboxRequest>) -> Answer<v1::GetInboxResponse> {
        self.called("GetInbox").await;
        let state = self.lock();
        let wanted = request.into_inner().source;
        let inboxes = state.channels.iter().filter(|(source, _)| source.as_str() == wanted);
        let inboxes = inboxes.map(|(_, channel)| state.inbox(channel)).collect();
        let context = Some(state.context(state.source.headers().height() - 1, None));
        Ok(Response::new(v1::GetInboxResponse { inboxes, context }))
    }

    async fn list_outbox(&self, request: Request<v1::ListOutboxRequest>) -> Answer<v1::ListOutboxResponse> {
        self.called("ListOutbox").await;
        Ok(Response::new(self.lock().list(&request.into_inner())))
    }

    async fn get_light_block(&self, request: Request<v1::GetLightBlockRequest>) -> Answer<v1::GetLightBlockResponse> {
        self.called("GetLightBlock").await;
        let state = self.lock();
        let v1::GetLightBlockRequest { height, trusted_height, .. } = request.into_inner();
        let height = if height == 0 { state.source.headers().height() } else { height };
        Ok(Response::new(v1::GetLightBlockResponse {
            light_block: Some(state.light_block(height, trusted_height)),
            ..Default::default()
        }))
    }

    async fn submit_delivery(&self, request: Request<v1::SubmitDeliveryRequest>) -> Answer<v1::SubmitDeliveryResponse> {
        self.called("SubmitDelivery").await;
        let delivery = decode_delivery_message(request.into_inner().delivery.unwrap());
        let state = &mut *self.lock();
        let height = delivery.and_then(|delivery| state.submit(&delivery)).map_err(|refused| {
            state.refused.push(refused.code());
            to_status(&refused)
        })?;
        Ok(Response::new(v1::SubmitDeliveryResponse { id: Bytes::new(), cursor: 0, height }))
    }

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Answer<v1::GetStatusResponse> {
        not_here()
    }
    async fn get_params(&self, _: Request<v1::GetParamsRequest>) -> Answer<v1::GetParamsResponse> {
        not_here()
    }
    async fn get_shard_map(&self, _: Request<v1::GetShardMapRequest>) -> Answer<v1::GetShardMapResponse> {
        not_here()
    }
    async fn get_receipt(&self, _: Request<v1::GetReceiptRequest>) -> Answer<v1::GetReceiptResponse> {
        not_here()
    }
    async fn watch_receipts(&self, _: Request<v1::WatchReceiptsRequest>) -> Answer<Self::WatchReceiptsStream> {
        not_here()
    }
    async fn get_block(&self, _: Request<v1::GetBlockRequest>) -> Answer<v1::GetBlockResponse> {
        not_here()
    }
    async fn list_blocks(&self, _: Request<v1::ListBlocksRequest>) -> Answer<v1::ListBlocksResponse> {
        not_here()
    }
    async fn submit_governance(&self, _: Request<v1::SubmitGovernanceRequest>) -> Answer<v1::SubmitGovernanceResponse> {
        not_here()
    }
    async fn get_governance(&self, _: Request<v1::GetGovernanceRequest>) -> Answer<v1::GetGovernanceResponse> {
        not_here()
    }
    async fn subscribe(&self, _: Request<v1::SubscribeRequest>) -> Answer<Self::SubscribeStream> {
        not_here()
    }
}
