//! From files to a chain that stands at its newest block: the snapshot, then every block after it, executed again.
//! Each block's header must carry the root that execution gives (rule I6); else the chain does not start. `CometBFT`
//! has the blocks itself, compares the same, and hands them in when it is started.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use db3_genesis::GenesisDocument;
use db3_primitives::Height;
use db3_state_tree::Tree;
use prost::Message as _;
use tendermint::block::Header;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::RequestFinalizeBlock;
use tendermint_proto::v0_38::types::{Block, LightBlock};
use tokio::sync::watch;

use crate::app::{App, Clock, EventLog, Gate, Inner};
use crate::blocks::Blocks;
use crate::comet::Consensus;
use crate::config::{ChainConfig, EngineKind};
use crate::error::{FatalError, StartError};
use crate::init::genesis_file;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::pool::{Decisions, Deliveries, Mempool, Verdicts};
use crate::signal::Signal;
use crate::snapshots::{Durable, Snapshotter};
use crate::solo::Tip;
use crate::store::snapshot::SnapshotMeta;
use crate::store::{Store, StoreError};
use crate::sync_files::SyncFiles;
use crate::version::{VersionOf, Versions};

/// A chain that stands at its newest block, without an engine.
pub(crate) struct Opened<M: Machine> {
    pub(crate) app: App<M>,
    /// The newest block; none before the first.
    pub(crate) tip: Option<Tip>,
    /// The snapshot on the disk.
    pub(crate) durable: Durable,
}

/// Opens a folder and brings its chain to the newest block.
pub(crate) fn open<M: Machine>(config: ChainConfig) -> Result<Opened<M>, StartError> {
    config.check()?;
    let genesis = GenesisDocument::load(&genesis_file(&config.home))?;
    M::check_kind(&genesis)?;
    let store = Arc::new(Store::open::<M>(&config.home, genesis.chain_id().as_str())?);
    let (meta, state) = first_version::<M>(&store, &genesis)?;
    let engine = config.engine;
    let durable = Durable { meta, tree: M::tree(&state).clone() };
    let app = application::<M>(config, genesis, Arc::clone(&store), &meta, state)?;
    let tip = match engine {
        EngineKind::Solo => {
            let tip = Tip::load(&store)?;
            replay(&app, tip.as_ref().map(|tip| tip.height))?;
            // This process is the only one that has the blocks.
            app.inner.sync_commits.store(true, Ordering::SeqCst);
            tip
        }
        // It has the blocks after the snapshot and hands them in again.
        EngineKind::CometBft => None,
    };
    app.inner.measure();
    Ok(Opened { app, tip, durable })
}

impl<M: Machine> Opened<M> {
    /// The newest version of a folder that no node has open whose root a header carries; none where no header is there
    /// yet. Under `CometBFT`, which alone has the blocks after it, that is the snapshot's.
    pub(crate) fn newest_proven(&self) -> Result<Option<Arc<VersionOf<M>>>, StoreError> {
        let inner = &self.app.inner;
        if inner.config.engine == EngineKind::Solo {
            return Ok(Some(inner.versions.provable()).filter(|version| version.light_block.is_some()));
        }
        let version = inner.versions.committed();
        let Some(next) = version.height.next() else { return Ok(None) };
        let Some(bytes) = inner.store.light_block(next)? else { return Ok(None) };
        let damaged = |detail: String| StoreError::damaged("light block", &next.get().to_be_bytes(), detail);
        let light_block = LightBlock::decode(bytes.as_slice()).map_err(|error| damaged(error.to_string()))?;
        let header = light_block.signed_header.and_then(|signed| signed.header);
        let header = header.ok_or_else(|| damaged("has no header".to_owned()))?;
        let header = Header::try_from(header).map_err(|error| damaged(error.to_string()))?;
        check_root(&version, &header)?;
        Ok(Some(Arc::new(version.with_light_block(bytes.into()))))
    }
}

/// The snapshot's state; in a new folder the genesis state, which becomes the snapshot.
fn first_version<M: Machine>(store: &Store, genesis: &GenesisDocument) -> Result<(SnapshotMeta, M::State), StartError> {
    if let Some(meta) = store.snapshot_meta()? {
        return Ok((meta, load_state::<M>(store, &meta)?));
    }
    if genesis.app_hash().is_some() {
        return Err(StartError::Store(StoreError::missing("the imported state that the genesis names", "app_hash")));
    }
    let state = M::genesis(genesis)?;
    let height = Height::new(genesis.initial_height().get().saturating_sub(1));
    let meta = SnapshotMeta { height, time: genesis.time(), root: M::root(&state) };
    store.advance_snapshot(None, M::tree(&state), &meta)?;
    store.sync()?;
    Ok((meta, state))
}

/// The state of the snapshot on the disk.
pub(crate) fn load_state<M: Machine>(store: &Store, meta: &SnapshotMeta) -> Result<M::State, StoreError> {
    state_of::<M>(store.load_snapshot(meta)?)
}

/// The state that a tree holds.
pub(crate) fn state_of<M: Machine>(tree: Tree) -> Result<M::State, StoreError> {
    M::from_tree(tree).map_err(|error| StoreError::damaged("state", b"", error))
}

fn application<M: Machine>(
    config: ChainConfig,
    genesis: GenesisDocument,
    store: Arc<Store>,
    meta: &SnapshotMeta,
    state: M::State,
) -> Result<App<M>, StoreError> {
    let metrics = Arc::new(Metrics::new(genesis.chain_id().as_str()));
    let versions = Arc::new(Versions::new(VersionOf::new(meta.height, meta.time, state), &config));
    let blocks = Arc::new(Blocks::new(Arc::clone(&store)));
    let signal = Arc::new(Signal::default());
    let inner = Inner {
        verdicts: Verdicts::new(config.verdict_bytes),
        mempool: Mempool::new(&config, Arc::clone(&signal), Arc::clone(&metrics)),
        deliveries: Deliveries::new(Arc::clone(&signal)),
        decisions: Decisions::new(Arc::clone(&signal)),
        gate: Gate::default(),
        false_bundles: Mutex::default(),
        false_decisions: Mutex::default(),
        events: Arc::new(EventLog::new(Arc::clone(&store), Arc::clone(&blocks), Arc::clone(&versions))),
        snapshotter: Snapshotter::new(&config, meta.height),
        sync_files: SyncFiles::new(&config, Arc::clone(&metrics)),
        restoring: Mutex::default(),
        clock: Clock::new(store.offset_secs()?),
        threads: config.threads(),
        genesis,
        config,
        store,
        versions,
        metrics,
        executed: Mutex::default(),
        decided: Mutex::default(),
        unproven: Mutex::default(),
        sync_commits: AtomicBool::new(false),
        #[cfg(test)]
        calls: Mutex::default(),
        fatal: OnceLock::new(),
        signal,
        ended: watch::Sender::new(false),
        blocks,
        consensus: watch::Sender::new(Consensus::default()),
    };
    Ok(App { inner: Arc::new(inner) })
}

/// Executes the blocks after the snapshot again. Their history is written again, which makes whole what a crash left
/// out.
fn replay<M: Machine>(app: &App<M>, tip: Option<Height>) -> Result<(), StartError> {
    let inner = &app.inner;
    let from = inner.versions.committed().height;
    // A snapshot is only taken of a version whose next block is on the disk.
    let expected = if from >= inner.genesis.initial_height() { from.next() } else { None };
    if let Some(expected) = expected.filter(|expected| tip.is_none_or(|tip| tip < *expected)) {
        return Err(StartError::Store(StoreError::missing("block", expected)));
    }
    let started = Instant::now();
    let mut transactions = 0_usize;
    let tip = tip.unwrap_or(from);
    while let Some(height) = inner.versions.committed().height.next().filter(|height| *height <= tip) {
        let (block, light_block) = stored_block(&inner.store, height)?;
        transactions = transactions.saturating_add(block.data.as_ref().map_or(0, |data| data.txs.len()));
        finalize(app, height, block)?;
        app.commit();
        if let Some(error) = app.fatal() {
            return Err(StartError::Fatal(FatalError::Engine { detail: error.to_string() }));
        }
        inner.prove(height, light_block.into());
    }
    inner.store.sync()?;
    let seconds = started.elapsed().as_secs_f64();
    tracing::info!(from = %from, to = %tip, transactions, seconds, "chain.replay");
    Ok(())
}

pub(crate) fn stored_block(store: &Store, height: Height) -> Result<(Block, Vec<u8>), StoreError> {
    let bytes = store.block_bytes(height)?.ok_or_else(|| StoreError::missing("block", height))?;
    let block = Block::decode(bytes.as_slice())
        .map_err(|error| StoreError::damaged("block", &height.get().to_be_bytes(), error))?;
    let light_block = store.light_block(height)?.ok_or_else(|| StoreError::missing("light block", height))?;
    Ok((block, light_block))
}

/// A stored block as the engine handed it in.
pub(crate) fn request_of(height: Height, block: Block) -> Result<(RequestFinalizeBlock, Header), StoreError> {
    let key = height.get().to_be_bytes();
    let damaged = |detail: String| StoreError::damaged("block", &key, detail);
    let raw = block.header.ok_or_else(|| damaged("has no header".to_owned()))?;
    let request = RequestFinalizeBlock {
        txs: block.data.unwrap_or_default().txs.into_iter().map(Bytes::from).collect(),
        height: raw.height,
        time: raw.time,
        next_validators_hash: Bytes::from(raw.next_validators_hash.clone()),
        proposer_address: Bytes::from(raw.proposer_address.clone()),
        ..RequestFinalizeBlock::default()
    };
    let header = Header::try_from(raw).map_err(|error| damaged(error.to_string()))?;
    if header.height.value() != height.get() {
        return Err(damaged(format!("has the height {}", header.height)));
    }
    let hash = Bytes::copy_from_slice(header.hash().as_bytes());
    Ok((RequestFinalizeBlock { hash, ..request }, header))
}

fn finalize<M: Machine>(app: &App<M>, height: Height, block: Block) -> Result<(), StartError> {
    let (request, header) = request_of(height, block)?;
    let version = app.inner.versions.committed();
    check_root(&version, &header)?;
    app.finalize_block(request);
    match app.fatal() {
        Some(error) => Err(StartError::Fatal(FatalError::Engine { detail: error.to_string() })),
        None => Ok(()),
    }
}

fn check_root<M: Machine>(version: &VersionOf<M>, header: &Header) -> Result<(), StoreError> {
    if header.app_hash.as_bytes() == version.root {
        return Ok(());
    }
    Err(StoreError::RootMismatch {
        height: version.height.get(),
        found: version.root,
        expected: header.app_hash.as_bytes().try_into().unwrap_or_default(),
        by: "the header of the next block",
    })
}
