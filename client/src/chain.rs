//! One chain as a client sees it: where it is reached, which of its headers are verified, and how calls are repeated
//! until somebody answers.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use db3_genesis::{ChainEntry, NetworkKind};
use db3_light_client::{LightClient, Options as LightOptions, TrustedHeader, UnixTime};
use db3_primitives::{BlockTime, Hash32};
use db3_proto::v1;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::devnet_args::AHEAD_SECS_MAX;
use crate::elsewhere::{Short, attempt};
use crate::error::ClientError;
use crate::header_store::HeaderStore;
use crate::options::Options;
use crate::wire::{Attempt, channel, timed};

/// Clocks of validators may be ahead of ours by this much.
const CLOCK_DRIFT_SECS: u64 = 60;
/// A devnet's time is moved by hand, far beyond any clock.
const DEVNET_DRIFT_SECS: u64 = AHEAD_SECS_MAX + CLOCK_DRIFT_SECS;
/// A header older than this vouches for nothing where validators may leave.
const TRUSTING_PERIOD_SECS: u64 = 14 * 86_400;
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// A state of a chain that an answer was read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatePoint {
    /// The chain.
    pub chain_id: String,
    /// Height of the block after which the state stood.
    pub height: u64,
    /// Root of the state.
    pub root: Hash32,
    /// Time of the header that carries the root, block `height` + 1; of block `height` where nothing was verified.
    pub time: BlockTime,
    /// Whether a header with this root was verified from the network's trust root.
    pub verified: bool,
}

/// Which state to read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct At {
    /// This height; 0: the newest provable.
    pub height: u64,
    /// Whether to send the header even if it is trusted already, to keep it.
    pub with_header: bool,
}

/// See the module's text.
pub(crate) struct Chain {
    pub id: String,
    network: String,
    root: db3_light_client::TrustRoot,
    light_options: LightOptions,
    endpoints: Vec<(String, Channel)>,
    current: AtomicUsize,
    light: Mutex<LightClient>,
    store: Option<HeaderStore>,
    /// Height of this client's own newest write: reads go there or above.
    own_height: AtomicU64,
    answered: AtomicBool,
    /// Newest block time heard of, Unix seconds.
    heard_secs: AtomicU64,
    pub options: Options,
}

impl Chain {
    pub fn new(network: &str, kind: NetworkKind, entry: &ChainEntry, options: &Options) -> Result<Self, ClientError> {
        let root = entry.trust_root()?;
        let (period, drift) = match kind {
            NetworkKind::Devnet => (u64::MAX, DEVNET_DRIFT_SECS),
            NetworkKind::Solo => (u64::MAX, CLOCK_DRIFT_SECS),
            NetworkKind::Validators => (TRUSTING_PERIOD_SECS, CLOCK_DRIFT_SECS),
        };
        let light_options = LightOptions::new(period, drift)
            .map_err(|error| ClientError::input(error.to_string(), "use another version of this client"))?;
        let store = options.headers_folder.as_deref().map(|folder| HeaderStore::new(folder, &root));
        let light = match &store {
            Some(store) => store.load(root.clone(), light_options)?,
            None => LightClient::from_root(root.clone(), light_options),
        };
        if entry.endpoints.is_empty() {
            return Err(ClientError::input(
                format!("the network file names no endpoint for {}", entry.chain_id),
                "add one to it, or give --endpoint",
            ));
        }
        let endpoints = entry.endpoints.iter().map(|url| Ok((url.clone(), channel(url)?)));
        let endpoints = endpoints.collect::<Result<Vec<_>, ClientError>>()?;
        Ok(Self {
            id: entry.chain_id.as_str().to_owned(),
            network: network.to_owned(),
            root,
            light_options,
            endpoints,
            current: AtomicUsize::new(0),
            light: Mutex::new(light),
            store,
            own_height: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            heard_secs: AtomicU64::new(0),
            options: options.clone(),
        })
    }

    pub fn trust_root(&self) -> &db3_light_client::TrustRoot {
        &self.root
    }

    /// The endpoint in use.
    pub fn endpoint(&self) -> &(String, Channel) {
        self.endpoint_at(self.current.load(Ordering::Relaxed))
    }

    /// The endpoint at a place of the list, which begins anew at its end.
    pub fn endpoint_at(&self, place: usize) -> &(String, Channel) {
        let index = place.checked_rem(self.endpoints.len()).unwrap_or(0);
        // The list is not empty, and `index` is below its length.
        #[expect(clippy::indexing_slicing, reason = "index is a remainder by the length of a list that is not empty")]
        &self.endpoints[index]
    }

    /// How many endpoints there are.
    pub fn endpoint_count(&self) -> usize {
        self.endpoints.len()
    }

    /// Goes on with the endpoint at a place.
    pub fn use_endpoint(&self, place: usize) {
        self.current.store(place, Ordering::Relaxed);
    }

    fn light(&self) -> MutexGuard<'_, LightClient> {
        self.light.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Height of the newest verified header.
    pub fn newest_height(&self) -> u64 {
        self.light().newest_height()
    }

    /// Notes that a block at `height` holds a write of ours.
    pub fn wrote_at(&self, height: u64) {
        self.own_height.fetch_max(height, Ordering::Relaxed);
    }

    /// Notes a block time that a node reported.
    pub fn heard_time(&self, secs: u64) {
        self.heard_secs.fetch_max(secs, Ordering::Relaxed);
    }

    /// The chain's time as well as it is known: never before our clock, which a devnet's may be ahead of.
    pub fn now_secs(&self) -> u64 {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let header = self.light().newest().and_then(|header| u64::try_from(header.time.secs()).ok()).unwrap_or(0);
        clock.max(header).max(self.heard_secs.load(Ordering::Relaxed))
    }

    /// What to ask for. A read goes at or above what this client has seen and written itself.
    pub fn read_options(&self, at: At) -> v1::ReadOptions {
        let seen = self.newest_height();
        let min_height =
            if at.height > 0 { 0 } else { self.own_height.load(Ordering::Relaxed).max(seen.saturating_sub(1)) };
        v1::ReadOptions {
            height: at.height,
            min_height,
            prove: !self.options.unverified,
            trusted_height: if at.with_header { 0 } else { seen },
        }
    }

    /// Repeats a call until it is answered or refused, or the time is over. For calls that change nothing. What is older
    /// than one node's history is asked of the others.
    pub async fn call<T, C, F>(&self, call: C) -> Result<T, ClientError>
    where
        C: Fn(Channel, Duration) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.call_placed(call).await.map(|(_, answer)| answer)
    }

    /// The same, with the place of the endpoint that answered.
    pub async fn call_placed<T, C, F>(&self, call: C) -> Result<(usize, T), ClientError>
    where
        C: Fn(Channel, Duration) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let begin = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            let left = self.options.timeout.saturating_sub(begin.elapsed());
            let place = self.current.load(Ordering::Relaxed);
            let (url, channel) = self.endpoint_at(place);
            let detail = match attempt(channel, left, &call).await {
                Attempt::Answered(answer) => {
                    self.answered.store(true, Ordering::Relaxed);
                    return Ok((place, answer));
                }
                Attempt::Refused(refusal) => {
                    return match refusal.history_from {
                        Some(from) => self.elsewhere(&call, |_| None, Short { place, from, end: Err(refusal) }).await,
                        None => Err(self.refused(refusal)),
                    };
                }
                Attempt::Unclear(detail) => return Err(ClientError::malformed(&self.id, detail)),
                Attempt::Busy { retry_after, detail } => {
                    self.answered.store(true, Ordering::Relaxed);
                    backoff.at_least(retry_after);
                    detail
                }
                Attempt::Lost { detail, .. } => {
                    self.try_next_endpoint();
                    detail
                }
            };
            let wait = backoff.next();
            if self.gives_up(begin, wait) {
                return Err(self.unreachable(url, detail));
            }
            sleep(wait).await;
        }
    }

    /// Whether there is no time left for another attempt after `wait`.
    pub fn gives_up(&self, begin: Instant, wait: Duration) -> bool {
        let patience = if self.answered.load(Ordering::Relaxed) {
            self.options.timeout
        } else {
            self.options.connect_patience.min(self.options.timeout)
        };
        begin.elapsed().saturating_add(wait) >= patience
    }

    pub fn unreachable(&self, url: &str, detail: String) -> ClientError {
        ClientError::Unreachable { chain_id: self.id.clone(), endpoint: url.to_owned(), detail }
    }

    pub fn note_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    pub fn try_next_endpoint(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }

    pub fn refused(&self, refusal: Box<crate::Refusal>) -> ClientError {
        let seen = self.newest_height();
        match refusal.heights {
            Some((_, newest)) if newest.saturating_add(1) < seen => ClientError::Behind {
                network: self.network.clone(),
                chain_id: self.id.clone(),
                remembered: seen,
                offered: newest.saturating_add(1),
            },
            _ => ClientError::Rejected(refusal),
        }
    }

    /// Checks what state an answer was read from: the root must stand in a header that leads back to the trust root.
    pub async fn check(
        &self,
        context: Option<&v1::ReadContext>,
        asked: &v1::ReadOptions,
    ) -> Result<StatePoint, ClientError> {
        let context = context.ok_or_else(|| ClientError::malformed(&self.id, "the answer names no state"))?;
        let point = self.point(context)?;
        if (asked.height > 0 && point.height != asked.height) || point.height < asked.min_height {
            let wanted = asked.height.max(asked.min_height);
            return Err(ClientError::proof(
                &self.id,
                format!("height {wanted} was asked for, and {} came", point.height),
            ));
        }
        if self.options.unverified {
            return Ok(point);
        }
        let carrier = point.height.saturating_add(1);
        let header = match &context.light_block {
            Some(block) => self.verify(block)?,
            None => self.trusted_header(carrier).await?,
        };
        if header.height != carrier || header.app_hash != Some(point.root) {
            return Err(ClientError::proof(
                &self.id,
                format!(
                    "the verified header at height {} does not carry the root of the state at {}",
                    header.height, point.height
                ),
            ));
        }
        let time = block_time(header.time);
        self.heard_time(time.secs);
        Ok(StatePoint { verified: true, time, ..point })
    }

    fn point(&self, context: &v1::ReadContext) -> Result<StatePoint, ClientError> {
        if context.chain_id != self.id {
            return Err(ClientError::proof(&self.id, format!("the answer is of {}", context.chain_id)));
        }
        let root = Hash32::try_from(context.root.as_ref())
            .map_err(|_| ClientError::malformed(&self.id, "the root does not have 32 bytes"))?;
        let time = context.block_time.as_ref().and_then(db3_proto::convert::block_time).unwrap_or_default();
        Ok(StatePoint { chain_id: self.id.clone(), height: context.height, root, time, verified: false })
    }

    /// Verifies a header and remembers it.
    pub fn verify(&self, block: &v1::LightBlock) -> Result<TrustedHeader, ClientError> {
        let validators = Some(block.next_validator_set.as_ref()).filter(|set| !set.is_empty());
        let mut light = self.light();
        let before = light.newest_height();
        let verified = light.verify(&block.tendermint_light_block, validators, now());
        let conflict = light.frozen().is_some();
        let header = match verified {
            Ok(header) => header,
            Err(error) if conflict => {
                self.save(&light)?;
                return Err(ClientError::untrusted(&self.id, &error));
            }
            Err(error) => return Err(ClientError::untrusted(&self.id, &error)),
        };
        if light.newest_height() > before {
            self.save(&light)?;
        }
        Ok(header)
    }

    fn save(&self, light: &LightClient) -> Result<(), ClientError> {
        match &self.store {
            Some(store) => store.save(light, self.light_options),
            None => Ok(()),
        }
    }

    /// A header that is kept, or fetched and verified.
    pub async fn trusted_header(&self, height: u64) -> Result<TrustedHeader, ClientError> {
        if let Some(header) = self.light().trusted(height) {
            return Ok(header.clone());
        }
        let trusted_height = self.light().basis(height).map_or(0, |(basis, _)| basis);
        let request = v1::GetLightBlockRequest { height, trusted_height, with_proposer_priorities: false };
        let answer =
            self.call(|channel, limit| async move {
                crate::wire::chain(channel).get_light_block(timed(request, limit)).await
            })
            .await?;
        let block =
            answer.light_block.ok_or_else(|| ClientError::malformed(&self.id, "the answer holds no light block"))?;
        self.verify(&block)
    }
}

/// Waiting times between attempts: doubling, bounded.
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub fn new() -> Self {
        Self { next: BACKOFF_FIRST }
    }

    pub fn at_least(&mut self, wish: Option<Duration>) {
        if let Some(wish) = wish {
            self.next = self.next.max(wish).min(BACKOFF_LAST);
        }
    }

    pub fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = self.next.saturating_mul(2).min(BACKOFF_LAST);
        wait
    }
}

/// This machine's clock.
fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    UnixTime::new(secs, since.subsec_nanos()).unwrap_or(UnixTime::MAX)
}

pub(crate) fn block_time(time: UnixTime) -> BlockTime {
    BlockTime { secs: u64::try_from(time.secs()).unwrap_or(0), nanos: time.nanos() }
}
