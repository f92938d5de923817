//! The thread that brings the snapshot on disk forward, off the way of blocks, and removes blocks that it makes
//! superfluous.
//!
//! Only provable versions are taken: the block after a snapshot exists, so a restart always has a header that names the
//! snapshot's root.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use db3_primitives::Height;
use db3_state_tree::Tree;

use crate::config::ChainConfig;
use crate::error::FatalError;
use crate::lock;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::store::snapshot::SnapshotMeta;
use crate::store::{Store, StoreError};
use crate::tree_bytes::TreeBytes;
use crate::version::VersionOf;

/// Blocks that are removed at once, so that the row that says so is not written for every block.
const PRUNE_BLOCKS: u64 = 1_000;

const STOPPED: &str = "the snapshot thread has stopped";

/// Offers versions to the thread. It takes the newest when its interval is over.
pub(crate) struct Snapshotter<M: Machine> {
    shared: Arc<Shared<M>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<M: Machine> {
    inbox: Mutex<Inbox<M>>,
    changed: Condvar,
    durable: AtomicU64,
    bytes_since: AtomicU64,
    interval_blocks: u64,
    interval_bytes: u64,
}

struct Inbox<M: Machine> {
    newest: Option<Arc<VersionOf<M>>>,
    /// Who waits for the newest version to be on the disk.
    now: Vec<mpsc::Sender<Result<Height, String>>>,
    stopped: bool,
}

/// The snapshot as it stands on the disk.
pub(crate) struct Durable {
    pub(crate) meta: SnapshotMeta,
    pub(crate) tree: Tree,
}

impl<M: Machine> Snapshotter<M> {
    /// A snapshotter whose thread is not yet running.
    pub(crate) fn new(config: &ChainConfig, durable: Height) -> Self {
        let shared = Shared {
            inbox: Mutex::new(Inbox { newest: None, now: Vec::new(), stopped: false }),
            changed: Condvar::new(),
            durable: AtomicU64::new(durable.get()),
            bytes_since: AtomicU64::new(0),
            interval_blocks: config.snapshot_interval_blocks,
            interval_bytes: config.snapshot_interval_bytes,
        };
        Self { shared: Arc::new(shared), thread: Mutex::default() }
    }

    /// Starts the thread. `failed` is told what stops it.
    pub(crate) fn run(
        &self,
        store: Arc<Store>,
        durable: Durable,
        blocks_kept: u64,
        metrics: Arc<Metrics>,
        failed: impl FnOnce(FatalError) + Send + 'static,
    ) -> std::io::Result<()> {
        let bytes = TreeBytes::default();
        let worker = Worker { shared: Arc::clone(&self.shared), store, durable, bytes, blocks_kept, metrics };
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            let shared = Arc::clone(&worker.shared);
            let ended = catch_unwind(AssertUnwindSafe(|| worker.work()));
            // Whoever waits is told, and nobody waits any more.
            shared.end();
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failed(FatalError::Store(error)),
                Err(panic) => failed(FatalError::of_panic("snapshot", panic.as_ref())),
            }
        })?;
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// A version that can be proven.
    pub(crate) fn offer(&self, version: Arc<VersionOf<M>>) {
        let mut inbox = lock(&self.shared.inbox);
        let due = self.shared.is_due(&version);
        let before = inbox.newest.replace(version);
        drop(inbox);
        drop(before);
        if due {
            self.shared.changed.notify_one();
        }
    }

    /// Bytes of transactions that a restart would have to execute again.
    pub(crate) fn count(&self, bytes: u64) {
        self.shared.bytes_since.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Height of the snapshot on the disk.
    pub(crate) fn durable_height(&self) -> Height {
        Height::new(self.shared.durable.load(Ordering::SeqCst))
    }

    /// Brings the snapshot to the newest version that was offered, and waits until it is on the disk.
    pub(crate) fn make(&self) -> Result<Height, String> {
        let (sender, receiver) = mpsc::channel();
        let mut inbox = lock(&self.shared.inbox);
        if inbox.stopped {
            return Err(STOPPED.to_owned());
        }
        inbox.now.push(sender);
        drop(inbox);
        self.shared.changed.notify_one();
        receiver.recv().unwrap_or_else(|_| Err(STOPPED.to_owned()))
    }

    /// Ends the thread after its current work.
    pub(crate) fn stop(&self) {
        lock(&self.shared.inbox).stopped = true;
        self.shared.changed.notify_one();
        if let Some(thread) = lock(&self.thread).take() {
            // A thread that panicked has said so in the log.
            let _ = thread.join();
        }
    }
}

impl<M: Machine> Shared<M> {
    fn end(&self) {
        let mut inbox = lock(&self.inbox);
        inbox.stopped = true;
        let (newest, waiting) = (inbox.newest.take(), std::mem::take(&mut inbox.now));
        drop(inbox);
        drop((newest, waiting));
    }

    fn is_due(&self, version: &VersionOf<M>) -> bool {
        let blocks = version.height.get().saturating_sub(self.durable.load(Ordering::SeqCst));
        blocks >= self.interval_blocks || self.bytes_since.load(Ordering::Relaxed) >= self.interval_bytes
    }
}

struct Worker<M: Machine> {
    shared: Arc<Shared<M>>,
    store: Arc<Store>,
    durable: Durable,
    /// Of its tree.
    bytes: TreeBytes,
    blocks_kept: u64,
    metrics: Arc<Metrics>,
}

impl<M: Machine> Worker<M> {
    fn work(mut self) -> Result<(), StoreError> {
        self.bytes = TreeBytes::of(&self.durable.tree);
        self.metrics.tree_bytes.set(self.bytes.total());
        self.metrics.snapshot(self.durable.meta.height, self.durable.meta.time);
        while let Some((version, waiting)) = self.next() {
            let result = version.map_or(Ok(()), |version| self.advance(&version));
            let told = result.as_ref().map(|()| self.durable.meta.height).map_err(ToString::to_string);
            for waiter in waiting {
                // Who no longer waits needs no answer.
                let _ = waiter.send(told.clone());
            }
            result?;
        }
        Ok(())
    }

    /// Waits for a version that is due or asked for, and for nothing else.
    #[expect(clippy::type_complexity, reason = "a pair of what to write and whom to tell, used once")]
    fn next(&self) -> Option<(Option<Arc<VersionOf<M>>>, Vec<mpsc::Sender<Result<Height, String>>>)> {
        let idle = |inbox: &mut Inbox<M>| {
            let due = inbox.newest.as_ref().is_some_and(|version| self.shared.is_due(version));
            !inbox.stopped && !due && inbox.now.is_empty()
        };
        let inbox = lock(&self.shared.inbox);
        let mut inbox = self.shared.changed.wait_while(inbox, idle).unwrap_or_else(PoisonError::into_inner);
        if inbox.stopped && inbox.now.is_empty() {
            return None;
        }
        Some((inbox.newest.take(), std::mem::take(&mut inbox.now)))
    }

    fn advance(&mut self, version: &VersionOf<M>) -> Result<(), StoreError> {
        // A state that came from others may be older than what is there.
        if version.height == self.durable.meta.height {
            return Ok(());
        }
        let started = Instant::now();
        let meta = SnapshotMeta { height: version.height, time: version.time, root: version.root };
        self.shared.bytes_since.store(0, Ordering::Relaxed);
        let leaves = self.store.advance_snapshot(Some(&self.durable.tree), M::tree(&version.state), &meta)?;
        self.store.sync()?;
        let tree = M::tree(&version.state).clone();
        self.bytes = self.bytes.advanced(&self.durable.tree, &tree);
        self.metrics.tree_bytes.set(self.bytes.total());
        self.durable = Durable { meta, tree };
        self.shared.durable.store(meta.height.get(), Ordering::SeqCst);
        self.metrics.snapshot(meta.height, meta.time);
        tracing::debug!(height = %meta.height, leaves, seconds = started.elapsed().as_secs_f64(), "snapshot.advance");
        self.prune(meta.height)
    }

    /// Removes blocks and headers that are not kept. Where `CometBFT` has the blocks, only headers are here.
    fn prune(&self, snapshot: Height) -> Result<(), StoreError> {
        if self.blocks_kept == 0 {
            return Ok(());
        }
        let Some(first) = self.store.first_light_block()? else { return Ok(()) };
        let last = self.store.block_range()?.map_or(snapshot, |(_, last)| last);
        // The block at the snapshot's height is the predecessor of the first one to execute again.
        let keep = Height::new(last.get().saturating_sub(self.blocks_kept)).min(snapshot);
        if keep.get().saturating_sub(first.get()) >= PRUNE_BLOCKS.min(self.blocks_kept) {
            self.store.prune_blocks(keep)?;
        }
        Ok(())
    }
}
