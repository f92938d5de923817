//! A running chain, and the way everybody else reaches it.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use db3_comet::keys;
use db3_genesis::GenesisDocument;
use db3_primitives::time::UNIX_SECS_MAX;
use db3_primitives::{BlockTime, Height, Rejection, Verified};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::app::{App, Clock, EventCursorOf, Inner};
use crate::comet::{CometEngine, Consensus, anew};
use crate::config::{ChainConfig, EngineKind};
use crate::error::{AdvanceError, FatalError, StartError};
use crate::lock;
use crate::machine::{Machine, ShardMachine};
use crate::open::{Opened, open};
use crate::pool::Verifiers;
use crate::solo::Engine as Solo;
use crate::status::{ChainStatus, StopReason};
use crate::store::{Store, StoreError};
use crate::version::VersionOf;

/// Block time is not moved past this second, a year before the last one that a header can carry: the clock goes on.
const ADVANCE_TO_SECS_MAX: u64 = UNIX_SECS_MAX - 366 * 86_400;

/// A running shard.
pub type ChainHandle = Chain<ShardMachine>;

/// A running chain. A clone is the same one; when the last is dropped the chain stops.
#[derive(Clone)]
pub struct Chain<M: Machine> {
    running: Arc<Running<M>>,
}

struct Running<M: Machine> {
    app: App<M>,
    verifiers: Arc<Verifiers>,
    stopped: Arc<AtomicBool>,
    engine: Mutex<Option<Engine>>,
    /// Held while block time is moved.
    advancing: Mutex<()>,
}

/// What drives the chain.
enum Engine {
    Solo(JoinHandle<()>),
    CometBft(CometEngine),
}

impl<M: Machine> Chain<M> {
    /// Opens the folder of `config`, brings the chain to its newest block and starts it. Returns when a state can be
    /// read and proven.
    pub async fn start(config: ChainConfig) -> Result<Self, StartError> {
        let chain = Self::launch(config).await?;
        chain.ready().await?;
        Ok(chain)
    }

    /// As [`Self::start`], but returns when the engine was started: before a state can be proven, which among many
    /// validators may take until enough of them are there. To be called within a tokio runtime, which the chain uses.
    pub async fn launch(config: ChainConfig) -> Result<Self, StartError> {
        let started = tokio::task::spawn_blocking(move || Self::start_blocking(config)).await;
        started.map_err(|error| panicked("start", error.to_string()))?
    }

    /// Waits until a state can be read and proven: the header of the next block exists.
    pub async fn ready(&self) -> Result<(), StartError> {
        let inner = self.inner();
        let (mut provable, mut ended) = (inner.versions.provable_height(), inner.ended.subscribe());
        while !self.can_prove() {
            tokio::select! {
                _ = ended.wait_for(|ended| *ended) => {
                    let detail = inner.fatal.get().map_or_else(|| "it stopped".to_owned(), ToString::to_string);
                    return Err(StartError::Fatal(FatalError::Engine { detail }));
                }
                changed = provable.changed() => if changed.is_err() { break },
            }
        }
        Ok(())
    }

    /// Whether a state can be proven.
    #[must_use]
    pub fn can_prove(&self) -> bool {
        self.provable().light_block.is_some()
    }

    fn start_blocking(mut config: ChainConfig) -> Result<Self, StartError> {
        if config.engine == EngineKind::CometBft {
            anew::take_up(&mut config, Clock::new(0).now().secs)?;
        }
        let Opened { app, tip, durable } = open::<M>(config)?;
        let inner = Arc::clone(&app.inner);
        let stopped = Arc::new(AtomicBool::new(false));
        let failing = Arc::downgrade(&inner);
        let failed = move |error| {
            if let Some(inner) = failing.upgrade() {
                inner.fail(error);
            }
        };
        let (waiting_max, metrics) = (inner.config.verify_queue_mutations, Arc::clone(&inner.metrics));
        let verifiers = Verifiers::start(inner.threads, waiting_max, metrics, failed.clone());
        let verifiers = Arc::new(verifiers.map_err(StartError::Thread)?);
        let (store, metrics) = (Arc::clone(&inner.store), Arc::clone(&inner.metrics));
        inner.snapshotter.run(store, durable, inner.config.blocks_kept, metrics, failed).map_err(StartError::Thread)?;
        inner.sync_files.run(Arc::clone(&inner.store), inner.genesis.clone()).map_err(StartError::Thread)?;
        let running = Running {
            app: app.clone(),
            verifiers,
            stopped: Arc::clone(&stopped),
            engine: Mutex::default(),
            advancing: Mutex::default(),
        };
        // Where the engine does not start, `running` is dropped and stops the rest.
        let engine = match inner.config.engine {
            EngineKind::Solo => {
                let key = keys::load_validator_key(&inner.config.home)?;
                let solo = Solo::new(app, key, tip, Arc::clone(&inner.signal), stopped)?;
                inner.consensus.send_replace(Consensus::SOLO);
                let thread = std::thread::Builder::new().name("solo".to_owned());
                Engine::Solo(thread.spawn(move || run_solo(solo, &inner)).map_err(StartError::Thread)?)
            }
            EngineKind::CometBft => Engine::CometBft(CometEngine::start(app, stopped, &Handle::current())?),
        };
        *lock(&running.engine) = Some(engine);
        Ok(Self { running: Arc::new(running) })
    }

    pub(crate) fn inner(&self) -> &Arc<Inner<M>> {
        &self.running.app.inner
    }

    /// The application, as an engine drives it.
    #[cfg(test)]
    pub(crate) fn app(&self) -> &App<M> {
        &self.running.app
    }

    pub(crate) fn verifiers(&self) -> &Verifiers {
        &self.running.verifiers
    }

    /// The chain's genesis.
    #[must_use]
    pub fn genesis(&self) -> &GenesisDocument {
        &self.inner().genesis
    }

    /// The chain's identifier.
    #[must_use]
    pub fn chain_id(&self) -> &str {
        self.inner().genesis.chain_id().as_str()
    }

    /// The settings it runs with.
    #[must_use]
    pub fn config(&self) -> &ChainConfig {
        &self.inner().config
    }

    /// What is on the disk, for queries.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.inner().store
    }

    /// Notes in the folder where its node listens, for those who look for the node from outside; see
    /// [`holder`](crate::store::lock::holder).
    pub fn announce(&self, listen: SocketAddr) -> Result<(), StoreError> {
        self.inner().store.announce(Some(listen))
    }

    /// The newest version that a header carries the root of. Reads are answered from it.
    #[must_use]
    pub fn provable(&self) -> Arc<VersionOf<M>> {
        self.inner().versions.provable()
    }

    /// The newest version. Its root may stand in no header yet.
    #[must_use]
    pub fn committed(&self) -> Arc<VersionOf<M>> {
        self.inner().versions.committed()
    }

    /// The version of a height, if it is kept and can be proven.
    pub fn version_at(&self, height: Height) -> Result<Arc<VersionOf<M>>, Rejection> {
        self.inner().versions.at(height)
    }

    /// The oldest height of the run of kept versions that ends with the newest provable one.
    #[must_use]
    pub fn earliest(&self) -> Height {
        self.inner().versions.earliest()
    }

    /// Keeps a version for a minute beyond its time: call it when a list will be read on from it.
    pub fn pin(&self, version: &Arc<VersionOf<M>>) {
        self.inner().versions.pin(version);
    }

    /// Waits until a height can be proven and returns the newest provable version, or says which heights there are
    /// when the deadline passes.
    pub async fn wait_height(&self, min_height: Height, deadline: Instant) -> Result<Arc<VersionOf<M>>, Rejection> {
        let mut provable = self.inner().versions.provable_height();
        match timeout_at(deadline, provable.wait_for(|height| *height >= min_height)).await {
            Ok(Ok(_)) => Ok(self.provable()),
            Ok(Err(_)) => Err(Rejection::Stopping),
            Err(_) => Err(Rejection::HeightUnavailable {
                height: min_height,
                earliest: self.inner().versions.earliest(),
                latest: self.provable().height,
            }),
        }
    }

    /// Follows blocks after a height; none: from now.
    #[must_use]
    pub fn subscribe(&self, after: Option<Height>) -> EventCursorOf<M> {
        EventCursorOf::new(Arc::clone(&self.inner().events), self.inner().ended.subscribe(), after)
    }

    /// Moves block time ahead by so many seconds, for good: the offset is on the disk before it is used. For devnets.
    /// A step after which headers could soon carry no time is refused and changes nothing; and any step among many
    /// validators, whose clocks agree on block time.
    pub fn advance_time(&self, secs: u64) -> Result<BlockTime, AdvanceError> {
        let inner = self.inner();
        if inner.config.engine != EngineKind::Solo {
            return Err(AdvanceError::Agreed);
        }
        // The offset is read, added to and written by one caller at a time.
        let _alone = lock(&self.running.advancing);
        let largest = ADVANCE_TO_SECS_MAX.saturating_sub(self.now().secs);
        if secs > largest {
            return Err(AdvanceError::TooFar { secs, largest });
        }
        let offset = inner.clock.offset_secs().saturating_add(secs);
        inner.store.set_offset_secs(offset)?;
        inner.clock.set_offset_secs(offset);
        inner.signal.raise();
        Ok(inner.clock.now())
    }

    /// The time that the next block would have.
    #[must_use]
    pub fn now(&self) -> BlockTime {
        self.inner().clock.now().max(self.committed().time)
    }

    /// Where the chain stands.
    pub fn status(&self) -> Result<ChainStatus, StoreError> {
        let inner = self.inner();
        let committed = self.committed();
        let (mutations, bytes) = inner.mempool.size();
        let consensus = *inner.consensus.borrow();
        Ok(ChainStatus {
            height: committed.height,
            block_time: committed.time,
            root: committed.root,
            provable_height: self.provable().height,
            earliest_height: inner.versions.earliest(),
            block_hash: inner.store.summary(committed.height)?.map(|summary| summary.hash),
            history_from_height: inner.store.first_summary()?,
            open_epoch: M::open_epoch(&committed.state, committed.time),
            state_leaves: M::tree(&committed.state).len(),
            pool_mutations: mutations as u64,
            pool_bytes: bytes as u64,
            snapshot_height: inner.snapshotter.durable_height(),
            blocks: self.block_range()?,
            engine: inner.config.engine.name(),
            consensus,
            ready: !*inner.ended.borrow() && self.can_prove() && consensus.is_good(),
        })
    }

    /// Height from which on this node has bills, receipts and rows about blocks, where that is not the first: it came from
    /// a snapshot, and an older block may hold what it does not know.
    pub fn history_begins(&self) -> Result<Option<Height>, StoreError> {
        let next = self.committed().height.next();
        let first = self.inner().store.first_summary()?.or(next);
        Ok(first.filter(|height| height.get() > 1))
    }

    /// How consensus does, and every change of it.
    #[must_use]
    pub fn consensus(&self) -> watch::Receiver<Consensus> {
        self.inner().consensus.subscribe()
    }

    /// Measurements, as Prometheus reads them.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.inner().metrics.text()
    }

    /// Brings the snapshot on the disk to the newest provable version, and returns its height. Blocks meanwhile.
    pub fn make_snapshot(&self) -> Result<Height, String> {
        self.inner().snapshotter.make()
    }

    /// Returns when the chain makes no more blocks.
    pub async fn stopped(&self) -> StopReason {
        // The sender lives in what this handle holds.
        let _ = self.inner().ended.subscribe().wait_for(|ended| *ended).await;
        match self.inner().fatal.get() {
            Some(FatalError::Broken { height, detail }) => {
                StopReason::Broken { height: *height, detail: detail.clone() }
            }
            Some(FatalError::Store(error)) if error.is_for_want_of_room() => {
                StopReason::NoRoom { detail: error.to_string() }
            }
            Some(FatalError::Stranded { detail }) => StopReason::Stranded { detail: detail.clone() },
            Some(error) => StopReason::Fatal { detail: error.to_string() },
            None => StopReason::Shutdown,
        }
    }

    /// Stops: the block being made is finished, the snapshot is brought forward, everything is on the disk. The folder
    /// is free when the last handle and the last version are gone.
    pub async fn shutdown(&self) {
        let running = Arc::clone(&self.running);
        // A panic in there is in the log.
        let _ = tokio::task::spawn_blocking(move || running.stop()).await;
    }

    /// A verified mutation that waits or was decided lately, by the bytes of its envelope.
    #[must_use]
    pub fn verified(&self, envelope: &[u8]) -> Option<Arc<Verified<M::Body>>> {
        self.inner().verdicts.recall(&crate::pool::verdicts::hash(envelope))
    }
}

impl<M: Machine> Running<M> {
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let inner = &self.app.inner;
        inner.signal.raise();
        let engine = lock(&self.engine).take();
        if let Some(engine) = engine {
            match engine {
                // The engine notes what it ends with itself.
                Engine::Solo(thread) => drop(thread.join()),
                Engine::CometBft(engine) => engine.stop(),
            }
            if inner.fatal.get().is_none()
                && let Err(error) = inner.snapshotter.make()
            {
                tracing::warn!(error, "chain.shutdown: no last snapshot; the next start executes more blocks again");
            }
        }
        inner.ended.send_replace(true);
        inner.snapshotter.stop();
        inner.sync_files.stop();
        self.verifiers.stop();
        if let Err(error) = inner.store.sync() {
            tracing::error!(%error, "chain.shutdown");
        }
    }
}

impl<M: Machine> Drop for Running<M> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run_solo<M: Machine>(engine: Solo<M>, inner: &Inner<M>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| engine.run())) {
        inner.fail(FatalError::of_panic("solo", panic.as_ref()));
    }
    inner.ended.send_replace(true);
}

fn panicked(thread: &'static str, detail: String) -> FatalError {
    FatalError::Panicked { thread, detail }
}
