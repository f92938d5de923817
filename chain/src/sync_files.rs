//! The snapshots that state sync hands to other nodes: files in `<home>/snapshots`, written by a thread of their own from
//! versions at multiples of an interval, the newest few kept. At one height they are the same bytes on every node.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use db3_genesis::GenesisDocument;
use db3_primitives::{Hash32, Height, sha256};

use crate::config::ChainConfig;
use crate::lock;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::transfer::TransferError;
use crate::transfer::snapshot::{Listed, Manifest, is_by_hand, list, snapshots_folder, write_for_sync};
use crate::version::VersionOf;

/// A snapshot that others may fetch.
#[derive(Clone, Debug)]
pub(crate) struct SyncSnapshot {
    pub(crate) height: Height,
    /// SHA-256 of the manifest.
    pub(crate) hash: Hash32,
    /// The manifest, as its file has it.
    pub(crate) manifest: Vec<u8>,
    folder: PathBuf,
    /// Files of the chunks, in order.
    files: Vec<String>,
}

impl SyncSnapshot {
    fn read(folder: &Path, manifest: &Manifest) -> Result<Self, TransferError> {
        let file = folder.join("manifest.json");
        let text = fs::read(&file).map_err(|source| TransferError::File { path: file, source })?;
        Ok(Self {
            height: manifest.height.parse().unwrap_or_default(),
            hash: sha256(&[&text]),
            manifest: text,
            folder: folder.to_owned(),
            files: manifest.chunks().map(|chunk| chunk.file.clone()).collect(),
        })
    }

    pub(crate) fn chunks(&self) -> usize {
        self.files.len()
    }

    /// The bytes of a chunk; none if there is no such chunk, or it is gone.
    pub(crate) fn chunk(&self, index: usize) -> Option<Vec<u8>> {
        // Names come from our own manifest; one that leads elsewhere is none of ours.
        let file = self.files.get(index).filter(|file| !file.contains('/'))?;
        fs::read(self.folder.join(file)).ok()
    }
}

/// The snapshots of one node.
pub(crate) struct SyncFiles<M: Machine> {
    shared: Arc<Shared>,
    interval: u64,
    sender: Mutex<Option<SyncSender<Arc<VersionOf<M>>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    folder: PathBuf,
    kept: usize,
    /// Newest first.
    snapshots: Mutex<Vec<SyncSnapshot>>,
    metrics: Arc<Metrics>,
}

impl<M: Machine> SyncFiles<M> {
    /// What stands in the folder; the thread is not yet running.
    pub(crate) fn new(config: &ChainConfig, metrics: Arc<Metrics>) -> Self {
        let shared = Shared {
            folder: snapshots_folder(&config.home),
            kept: config.sync_snapshots_kept,
            snapshots: Mutex::default(),
            metrics,
        };
        Self {
            shared: Arc::new(shared),
            interval: config.sync_snapshot_blocks,
            sender: Mutex::default(),
            thread: Mutex::default(),
        }
    }

    /// Looks what there is, and starts the thread, if snapshots are made at all.
    pub(crate) fn run(&self, store: Arc<Store>, genesis: GenesisDocument) -> std::io::Result<()> {
        if let Err(error) = self.shared.look() {
            tracing::warn!(%error, "sync_files.list");
        }
        if self.interval == 0 {
            return Ok(());
        }
        // One waits while one is written; what comes meanwhile is left out.
        let (sender, receiver) = sync_channel(1);
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("sync-files".to_owned()).spawn(move || {
            let work = AssertUnwindSafe(|| shared.work::<M>(&receiver, &store, &genesis));
            if catch_unwind(work).is_err() {
                tracing::error!("sync_files: the thread panicked; no more snapshots for others are made");
            }
        })?;
        *lock(&self.sender) = Some(sender);
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// A version that can be proven. It is written if its height is due and the thread is free.
    pub(crate) fn offer(&self, version: &Arc<VersionOf<M>>) {
        let due = version.height.get().checked_rem(self.interval) == Some(0) && version.height.get() > 0;
        if let Some(sender) = lock(&self.sender).as_ref().filter(|_| due)
            && sender.try_send(Arc::clone(version)).is_err()
        {
            self.shared.metrics.sync_snapshot_due(false);
            tracing::warn!(height = %version.height, "sync_files: the one before is still being written");
        }
    }

    /// What others may fetch, newest first.
    pub(crate) fn snapshots(&self) -> Vec<SyncSnapshot> {
        lock(&self.shared.snapshots).clone()
    }

    /// The oldest height that others may begin at: they fetch the blocks after it.
    pub(crate) fn oldest(&self) -> Option<Height> {
        lock(&self.shared.snapshots).last().map(|snapshot| snapshot.height)
    }

    /// Ends the thread after its current work.
    pub(crate) fn stop(&self) {
        drop(lock(&self.sender).take());
        if let Some(thread) = lock(&self.thread).take() {
            // It has caught and told a panic.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn work<M: Machine>(&self, from: &Receiver<Arc<VersionOf<M>>>, store: &Store, genesis: &GenesisDocument) {
        while let Ok(version) = from.recv() {
            let started = Instant::now();
            let written = write_for_sync(store, genesis, &version, &self.folder).and_then(|_| self.look());
            self.metrics.sync_snapshot_due(written.is_ok());
            match written {
                Ok(()) => {
                    let seconds = started.elapsed().as_secs_f64();
                    tracing::info!(height = %version.height, seconds, "sync_files.written");
                }
                Err(error) => tracing::error!(height = %version.height, %error, "sync_files.write"),
            }
        }
    }

    /// Reads what there is and removes what is too old. Those that were made by hand stay, take no place of the others, and
    /// are handed out while the blocks after them are kept. One that cannot be read keeps none of the others back, and is
    /// left to the operator; one that was ended while it was written goes.
    fn look(&self) -> Result<(), TransferError> {
        let Listed { whole, unreadable, unfinished } = list(&self.folder)?;
        for (path, error) in unreadable {
            tracing::warn!(path = %path.display(), %error, "sync_files.unreadable: not handed out; remove the folder");
        }
        for path in unfinished.into_iter().filter(|path| is_of_a_height(path)) {
            fs::remove_dir_all(&path).map_err(|source| TransferError::File { path, source })?;
        }
        let (by_hand, mut ours): (Vec<_>, Vec<_>) = whole.into_iter().partition(|(path, _)| is_by_hand(path));
        let old = ours.split_off(ours.len().min(self.kept));
        let mut found = Vec::new();
        for (path, manifest) in &ours {
            found.push(SyncSnapshot::read(path, manifest)?);
        }
        let oldest = found.last().map(|snapshot| snapshot.height);
        for (path, manifest) in by_hand.iter().take(self.kept) {
            let snapshot = SyncSnapshot::read(path, manifest)?;
            if oldest.is_none_or(|oldest| snapshot.height >= oldest) {
                found.push(snapshot);
            }
        }
        found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.height));
        self.metrics.sync_snapshot(found.first().map(|snapshot| snapshot.height));
        *lock(&self.snapshots) = found;
        for (path, _) in old {
            // The manifest first, so that a half-removed one is none.
            let removed = fs::remove_file(path.join("manifest.json")).and_then(|()| fs::remove_dir_all(&path));
            removed.map_err(|source| TransferError::File { path, source })?;
        }
        Ok(())
    }
}

/// Whether a folder has the name of a snapshot.
fn is_of_a_height(path: &Path) -> bool {
    path.is_dir() && path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.parse::<u64>().is_ok())
}
