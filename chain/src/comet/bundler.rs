//! What waits in this node's pools becomes transactions of `CometBFT`'s: mutations in bundles, deliveries and decisions as they are.
//!
//! A bundle is made when enough waits or a few milliseconds have passed, and at most [`IN_FLIGHT_MAX`] are on their way:
//! where that many are, what comes meanwhile makes the next ones longer. The pool knows a bundle before `CometBFT` sees
//! it, so its first look is short. A bundle that `CometBFT` does not take or loses frees its mutations for another one;
//! one that it has is left there until a block holds what is in it, or none has for long: then the pool gives it up.
//! (That it was taken is no promise: where its mempool has become full meanwhile, `CometBFT` drops what it just took
//! and tells nobody. The pool notices by what it does not ask about; of deliveries, which stay the same bytes, it is
//! told again and again.) What was in a bundle is what counts, not the bundle: a proposer may put it into bundles of
//! its own making, and `CometBFT` would go on waiting for the one that it was given.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use db3_comet::rpc::Broadcasted;
use db3_comet::{Broadcast, RpcError};
use db3_primitives::limits::{BLOCK_DELIVERIES_MAX, BUNDLE_MUTATIONS_MAX};
use db3_primitives::{Hash32, sha256};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

use super::engine::end;
use crate::app::{BUNDLE_BYTES, DELIVERY_BYTES_MAX, Inner, bundles};
use crate::lock;
use crate::machine::Machine;
use crate::pool::order;

/// Bundles on their way to a block.
pub(crate) const IN_FLIGHT_MAX: usize = 64;
/// How long mutations are gathered when something begins to wait.
const GATHER: Duration = Duration::from_millis(4);
/// And how many times that at most, where bundles are on their way already.
const GATHERS_MAX: usize = 16;
/// How often it looks without being woken.
const IDLE: Duration = Duration::from_secs(1);
/// Pauses before a transaction is handed over again that `CometBFT` had no room for or did not answer about.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Pause before `CometBFT` is given a delivery again that it says it has.
const AGAIN: Duration = Duration::from_secs(5);
/// What `CometBFT` says of a transaction that it has.
const KNOWN: &str = "already exists in cache";

/// Who takes what is handed over: `CometBFT`. A clone is the same one.
pub(crate) trait Taker: Clone + Send + Sync + 'static {
    /// Hands over one transaction and waits for what becomes of it.
    fn take(&self, tx: Vec<u8>) -> impl Future<Output = Result<Broadcasted, RpcError>> + Send;
}

impl Taker for Broadcast {
    fn take(&self, tx: Vec<u8>) -> impl Future<Output = Result<Broadcasted, RpcError>> + Send {
        self.send(tx)
    }
}

/// Hands over what waits.
pub(crate) struct Bundler<M: Machine, T: Taker = Broadcast> {
    inner: Arc<Inner<M>>,
    taker: T,
    /// Pause before the taker is given a delivery again that it says it has.
    again: Duration,
    runtime: Handle,
    stopped: Arc<AtomicBool>,
    /// How often `CometBFT` has been started.
    starts: Arc<AtomicU64>,
    /// What is being handed over.
    handing: JoinSet<()>,
    /// The bundles among it.
    on_the_way: HashMap<Hash32, AbortHandle>,
    /// Deliveries that were handed over since it was started, as far as they still wait.
    delivered: Arc<Mutex<HashSet<Hash32>>>,
}

impl<M: Machine, T: Taker> Bundler<M, T> {
    pub(crate) fn new(
        inner: Arc<Inner<M>>,
        taker: T,
        runtime: Handle,
        stopped: Arc<AtomicBool>,
        starts: Arc<AtomicU64>,
    ) -> Self {
        Self {
            inner,
            taker,
            again: AGAIN,
            runtime,
            stopped,
            starts,
            handing: JoinSet::new(),
            on_the_way: HashMap::new(),
            delivered: Arc::default(),
        }
    }

    /// The same with another pause before a delivery is given again.
    #[cfg(test)]
    pub(crate) fn with_pause(self, again: Duration) -> Self {
        Self { again, ..self }
    }

    /// Whether nothing is being handed over.
    #[cfg(test)]
    pub(crate) fn is_idle(&mut self) -> bool {
        while self.handing.try_join_next().is_some() {}
        self.handing.is_empty()
    }

    /// Works until it is stopped.
    pub(super) fn run(mut self) {
        let mut starts = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            self.inner.signal.wait(Some(IDLE));
            let started = self.starts.load(Ordering::SeqCst);
            if started == 0 {
                // Nobody listens yet.
                continue;
            }
            if started != starts {
                starts = started;
                lock(&self.delivered).clear();
            }
            self.deliver(started);
            self.gather();
            self.bundle(started);
            // What came while the last bundle was made raised nothing.
            if self.places() > 0 && self.inner.mempool.free_bytes() > 0 {
                self.inner.signal.raise();
            }
            while self.handing.try_join_next().is_some() {}
        }
        end(self.handing);
    }

    /// How many more bundles may be on their way. One that waits no more has left, whatever it was handed over as.
    pub(crate) fn places(&mut self) -> usize {
        let mempool = &self.inner.mempool;
        self.on_the_way.retain(|bundle, handing| {
            let waits = mempool.holds_bundle(bundle);
            if !waits {
                handing.abort();
            }
            waits && !handing.is_finished()
        });
        IN_FLIGHT_MAX.saturating_sub(self.on_the_way.len())
    }

    /// Waits a moment for more; longer the more is on its way, but not when a bundle is full.
    fn gather(&mut self) {
        let busy = IN_FLIGHT_MAX.saturating_sub(self.places());
        for _ in 0..=busy.min(GATHERS_MAX) {
            std::thread::sleep(GATHER);
            if self.inner.mempool.free_bytes() >= BUNDLE_BYTES {
                return;
            }
        }
    }

    /// Hands over the deliveries and decisions that wait and are not on their way, each again and again while it waits.
    pub(crate) fn deliver(&mut self, start: u64) {
        let height = self.inner.versions.committed().height.get();
        let waiting = self.inner.deliveries.select(BLOCK_DELIVERIES_MAX, DELIVERY_BYTES_MAX, height);
        let waiting = waiting.into_iter().chain(self.inner.decisions.transactions());
        let waiting: Vec<_> = waiting.map(|tx| (sha256(&[&tx]), tx)).collect();
        let mut delivered = lock(&self.delivered);
        delivered.retain(|hash| waiting.iter().any(|(waits, _)| waits == hash));
        let new: Vec<_> = waiting.into_iter().filter(|(hash, _)| delivered.insert(*hash)).collect();
        drop(delivered);
        for (hash, tx) in new {
            let delivered = Arc::clone(&self.delivered);
            let waits = {
                let delivered = Arc::clone(&delivered);
                move || lock(&delivered).contains(&hash)
            };
            let (handing, again) = (self.handing(start, tx, waits), self.again);
            let task = async move {
                while handing.over().await {
                    tokio::time::sleep(again).await;
                }
                lock(&delivered).remove(&hash);
            };
            self.handing.spawn_on(task, &self.runtime);
        }
    }

    /// Puts what is free into bundles, as far as there are places.
    pub(crate) fn bundle(&mut self, start: u64) {
        let mut all = false;
        // The rest of what waits is gathered with what comes.
        while !all && self.places() > 0 {
            let mut pending;
            (pending, all) = self.inner.mempool.free(BUNDLE_BYTES, BUNDLE_MUTATIONS_MAX);
            if pending.is_empty() {
                return;
            }
            order::by_nonce::<M, _>(&mut pending, |pending| Some(pending.verified.content()));
            let ids: Vec<_> = pending.iter().map(|pending| pending.verified.id()).collect();
            let envelopes = pending.iter().map(|pending| pending.envelope.clone());
            // As many bytes as one bundle has, so there is one.
            let Some(tx) = bundles(envelopes).into_iter().next() else { return };
            let hash = sha256(&[&tx]);
            // What a peer's bundle took meanwhile stays in that one.
            if !self.inner.mempool.bundle(hash, ids) {
                continue;
            }
            self.inner.metrics.bundle(pending.len(), tx.len());
            let (inner, signal) = (Arc::clone(&self.inner), Arc::clone(&self.inner.signal));
            let handing = self.handing(start, tx, move || inner.mempool.holds_bundle(&hash));
            let inner = Arc::clone(&self.inner);
            let task = async move {
                if handing.over().await {
                    inner.mempool.asked(&hash);
                } else {
                    inner.mempool.forget_bundle(&hash);
                }
                signal.raise();
            };
            let handing = self.handing.spawn_on(task, &self.runtime);
            // One of the same mutations was lost a moment ago.
            if let Some(lost) = self.on_the_way.insert(hash, handing) {
                lost.abort();
            }
        }
    }

    fn handing(&self, start: u64, tx: Bytes, waits: impl Fn() -> bool + Send + Sync + 'static) -> Handing<T> {
        let (starts, stopped) = (Arc::clone(&self.starts), Arc::clone(&self.stopped));
        let current = move || starts.load(Ordering::SeqCst) == start && !stopped.load(Ordering::SeqCst);
        Handing { taker: self.taker.clone(), tx, wanted: Box::new(move || current() && waits()) }
    }
}

/// A transaction on its way.
struct Handing<T> {
    taker: T,
    tx: Bytes,
    /// Whether it is of any use still.
    wanted: Box<dyn Fn() -> bool + Send + Sync>,
}

impl<T: Taker> Handing<T> {
    /// Hands it over until `CometBFT` says that it has it; false where it refuses it, or was started again meanwhile: what the
    /// transaction holds is then free for another one.
    async fn over(&self) -> bool {
        let (mut pause, longest) = PAUSES;
        while (self.wanted)() {
            match self.taker.take(self.tx.to_vec()).await {
                Ok(Broadcasted::Committed(_) | Broadcasted::Waiting) => return true,
                Ok(Broadcasted::Refused { code, log }) => {
                    tracing::debug!(code, log, bytes = self.tx.len(), "comet.bundler: refused");
                    return false;
                }
                Err(RpcError::Refused { detail, .. }) if detail.contains(KNOWN) => return true,
                Err(error) => tracing::debug!(%error, bytes = self.tx.len(), "comet.bundler: not handed over"),
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(longest);
        }
        false
    }
}
