//! The versions that can be read: the newest committed one, the newest provable one, some before them, and those that
//! a reader asked to keep. Readers take a pointer and never wait for execution.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use db3_primitives::{BlockTime, Hash32, Height, Rejection};
use tokio::sync::watch;

use crate::config::ChainConfig;
use crate::lock;
use crate::machine::{Machine, ShardMachine};

/// The state of a shard after one block.
pub type Version = VersionOf<ShardMachine>;

/// The state after one block.
#[derive(Debug)]
pub struct VersionOf<M: Machine> {
    /// Height of the block.
    pub height: Height,
    /// Its time.
    pub time: BlockTime,
    /// The state.
    pub state: M::State,
    /// Root of the state.
    pub root: Hash32,
    /// `tendermint.types.LightBlock` of the next height, whose header carries the root; none until that block is made.
    pub light_block: Option<Arc<[u8]>>,
}

impl<M: Machine> VersionOf<M> {
    pub(crate) fn new(height: Height, time: BlockTime, state: M::State) -> Self {
        let root = M::root(&state);
        Self { height, time, state, root, light_block: None }
    }

    /// The same, provable by the header in `light_block`.
    pub(crate) fn with_light_block(&self, light_block: Arc<[u8]>) -> Self {
        let (height, time, root) = (self.height, self.time, self.root);
        Self { height, time, state: self.state.clone(), root, light_block: Some(light_block) }
    }
}

/// The versions of one chain.
pub(crate) struct Versions<M: Machine> {
    committed: ArcSwap<VersionOf<M>>,
    provable: ArcSwap<VersionOf<M>>,
    kept: Mutex<Kept<M>>,
    kept_max: usize,
    pins_max: usize,
    pin_time: Duration,
    committed_height: watch::Sender<Height>,
    provable_height: watch::Sender<Height>,
}

struct Kept<M: Machine> {
    /// Provable versions, newest ones.
    recent: BTreeMap<Height, Arc<VersionOf<M>>>,
    /// Versions that a reader goes on with, and until when.
    pinned: BTreeMap<Height, (Arc<VersionOf<M>>, Instant)>,
}

impl<M: Machine> Versions<M> {
    pub(crate) fn new(first: VersionOf<M>, config: &ChainConfig) -> Self {
        let height = first.height;
        let first = Arc::new(first);
        Self {
            committed: ArcSwap::new(Arc::clone(&first)),
            provable: ArcSwap::new(first),
            kept: Mutex::new(Kept { recent: BTreeMap::new(), pinned: BTreeMap::new() }),
            kept_max: config.versions_kept,
            pins_max: config.pins_max,
            pin_time: Duration::from_secs(config.pin_secs),
            committed_height: watch::Sender::new(height),
            provable_height: watch::Sender::new(height),
        }
    }

    pub(crate) fn committed(&self) -> Arc<VersionOf<M>> {
        self.committed.load_full()
    }

    pub(crate) fn provable(&self) -> Arc<VersionOf<M>> {
        self.provable.load_full()
    }

    pub(crate) fn committed_height(&self) -> watch::Receiver<Height> {
        self.committed_height.subscribe()
    }

    pub(crate) fn provable_height(&self) -> watch::Receiver<Height> {
        self.provable_height.subscribe()
    }

    /// Makes a version the newest committed one.
    pub(crate) fn commit(&self, version: VersionOf<M>) {
        let height = version.height;
        self.committed.store(Arc::new(version));
        self.committed_height.send_replace(height);
    }

    /// The header of `height` exists: the version before it, which is `before`, can be proven.
    pub(crate) fn prove(&self, before: &VersionOf<M>, light_block: Arc<[u8]>) -> Arc<VersionOf<M>> {
        let version = Arc::new(before.with_light_block(light_block));
        let mut dropped = Vec::new();
        {
            let mut kept = lock(&self.kept);
            kept.recent.insert(version.height, Arc::clone(&version));
            while kept.recent.len() > self.kept_max {
                dropped.extend(kept.recent.pop_first());
            }
            let now = Instant::now();
            kept.pinned.retain(|_, (_, until)| *until > now);
        }
        drop(dropped);
        self.provable.store(Arc::clone(&version));
        self.provable_height.send_replace(version.height);
        version
    }

    /// Keeps a version for a while beyond its time, because somebody reads a list from it. When too many are kept so,
    /// this one is not: nobody may end the reading of another.
    pub(crate) fn pin(&self, version: &Arc<VersionOf<M>>) {
        let now = Instant::now();
        let Some(until) = now.checked_add(self.pin_time) else { return };
        let mut kept = lock(&self.kept);
        kept.pinned.retain(|_, (_, until)| *until > now);
        if kept.pinned.len() < self.pins_max || kept.pinned.contains_key(&version.height) {
            kept.pinned.insert(version.height, (Arc::clone(version), until));
        }
    }

    /// The provable version of a height.
    pub(crate) fn at(&self, height: Height) -> Result<Arc<VersionOf<M>>, Rejection> {
        let kept = lock(&self.kept);
        if let Some(version) = kept.recent.get(&height).or_else(|| kept.pinned.get(&height).map(|(kept, _)| kept)) {
            return Ok(Arc::clone(version));
        }
        let latest = self.provable();
        if latest.height == height {
            return Ok(latest);
        }
        let earliest = kept.earliest(latest.height);
        Err(Rejection::HeightUnavailable { height, earliest, latest: latest.height })
    }

    /// The oldest height of the run that ends with the newest provable one.
    pub(crate) fn earliest(&self) -> Height {
        lock(&self.kept).earliest(self.provable().height)
    }
}

impl<M: Machine> Kept<M> {
    /// The oldest height that can be asked for. The genesis state can be read, but 0 asks for the newest one.
    fn earliest(&self, latest: Height) -> Height {
        self.recent.keys().next().copied().unwrap_or(latest).max(Height::new(1)).min(latest)
    }
}
