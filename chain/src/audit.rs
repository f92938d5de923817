//! Looks whether a folder's data are whole: executes its blocks again, on the side, and compares every root with the
//! header that carries it and with the row about the block. Writes nothing.
//!
//! Under `CometBFT` the blocks are in its files, which only it reads: there the snapshot is compared, and `CometBFT` is
//! asked whether it has the blocks that follow. They are not executed.

use db3_comet::{Binary, Layout, inspect};
use db3_genesis::GenesisDocument;
use db3_primitives::{BlockTime, Hash32, Height};
use prost::Message as _;
use tendermint_proto::v0_38::types::LightBlock;

use crate::app::{Place, execute_block, place};
use crate::config::{ChainConfig, EngineKind};
use crate::error::StartError;
use crate::init::genesis_file;
use crate::machine::{At, Machine};
use crate::open::{load_state, request_of, stored_block};
use crate::pool::Verdicts;
use crate::store::snapshot::SnapshotMeta;
use crate::store::{Store, StoreError};

/// What was found. Everything compared was equal; else [`check`] gives an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Chain.
    pub chain_id: String,
    /// The snapshot on the disk.
    pub snapshot: Option<SnapshotMeta>,
    /// Oldest and newest block that are kept, or whose headers are where `CometBFT` has the blocks; none before the first.
    pub blocks: Option<(Height, Height)>,
    /// Newest block that `CometBFT` has, which were not executed; none where the blocks are here, or there are none.
    pub comet_height: Option<Height>,
    /// Whether the blocks go back to the genesis state.
    pub pruned: bool,
    /// Height that execution began from.
    pub from: Height,
    /// Newest height.
    pub height: Height,
    /// Its block's time.
    pub time: BlockTime,
    /// Root of the state at that height.
    pub root: Hash32,
    /// Leaves of that state.
    pub leaves: u64,
    /// Mutations that were executed again.
    pub mutations: u64,
    /// Roots that were compared with a header.
    pub headers_compared: u64,
    /// Rows that were read, each with its checksum: all there are.
    pub rows: u64,
}

/// Checks a folder that no node has open: the snapshot and every block after it, or, `from_genesis`, every block that
/// there is since the genesis state.
pub fn check<M: Machine>(config: &ChainConfig, from_genesis: bool) -> Result<Report, StartError> {
    let genesis = GenesisDocument::load(&genesis_file(&config.home))?;
    M::check_kind(&genesis)?;
    let store = Store::open::<M>(&config.home, genesis.chain_id().as_str())?;
    let rows = store.read_everything::<M>()?;
    let snapshot = store.snapshot_meta()?;
    let blocks = store.block_range()?;
    store.check_newest(blocks.map(|(_, newest)| newest))?;
    let first = genesis.initial_height();
    let pruned = config.engine == EngineKind::CometBft
        || genesis.app_hash().is_some()
        || blocks.is_some_and(|(oldest, _)| oldest > first);
    let (state, from, time) = match (snapshot, from_genesis) {
        (_, true) | (None, false) if !pruned => {
            let height = Height::new(first.get().saturating_sub(1));
            (M::genesis(&genesis)?, height, genesis.time())
        }
        (Some(meta), _) => (load_state::<M>(&store, &meta)?, meta.height, meta.time),
        (None, _) => return Err(StartError::Store(StoreError::missing("snapshot", "of the state"))),
    };
    let mut audit = Audit::<M> {
        verdicts: Verdicts::new(config.verdict_bytes),
        threads: config.threads(),
        report: Report {
            chain_id: genesis.chain_id().as_str().to_owned(),
            snapshot,
            blocks,
            comet_height: None,
            pruned,
            from,
            height: from,
            time,
            root: M::root(&state),
            leaves: 0,
            mutations: 0,
            headers_compared: 0,
            rows,
        },
        state,
    };
    let newest = match config.engine {
        EngineKind::Solo => blocks.map_or(from, |(_, newest)| newest),
        // The blocks are in its own files, and it executes them again when it is started.
        EngineKind::CometBft => {
            audit.compare_header(&store)?;
            if blocks.is_some() || from >= first {
                audit.compare_comet(config)?;
            }
            from
        }
    };
    // Of the newest block's history nothing may be there after a crash; the next start writes it.
    if audit.report.height >= newest {
        check_logs::<M>(&store, &audit.state)?;
    }
    while let Some(height) = audit.report.height.next().filter(|height| *height <= newest) {
        if height == newest {
            check_logs::<M>(&store, &audit.state)?;
        }
        audit.block(&store, height)?;
        audit.compare_snapshot()?;
    }
    audit.report.leaves = M::tree(&audit.state).len();
    Ok(audit.report)
}

/// Whether every log that a state names is here, from the first entry that is kept on.
fn check_logs<M: Machine>(store: &Store, state: &M::State) -> Result<(), StoreError> {
    M::logs(state).iter().try_for_each(|named| store.check_log(named))
}

struct Audit<M: Machine> {
    verdicts: Verdicts<M>,
    threads: usize,
    state: M::State,
    report: Report,
}

impl<M: Machine> Audit<M> {
    fn block(&mut self, store: &Store, height: Height) -> Result<(), StoreError> {
        let (block, _) = stored_block(store, height)?;
        let (request, header) = request_of(height, block)?;
        self.compare(header.app_hash.as_bytes(), "the header of the next block")?;
        self.report.headers_compared = self.report.headers_compared.saturating_add(1);
        let place = place(request.height, request.time, request.txs, &request.misbehavior);
        let place: Place =
            place.ok_or_else(|| StoreError::damaged("block", &height.get().to_be_bytes(), "has no time"))?;
        self.report.time = place.time;
        let at = At { height, time: place.time };
        let mut executed = execute_block(&self.state, place, &self.verdicts, self.threads);
        let mutations = executed.mutations.len().saturating_sub(executed.refused_deliveries);
        self.report.mutations = self.report.mutations.saturating_add(mutations as u64);
        self.state = executed.state;
        self.report.height = height;
        self.report.root = M::root(&self.state);
        // The newest block's history may be missing after a crash; the next start writes it.
        if let Some(summary) = store.summary(height)? {
            self.compare(&summary.root, "the row about its block")?;
            let receipts = store.receipts(height, 0, usize::MAX)?.len();
            let again = M::receipts(&self.state, &mut executed.effects, at).len();
            if receipts != again {
                let detail = format!("has {receipts} receipts, execution gives {again}");
                return Err(StoreError::damaged("history", &height.get().to_be_bytes(), detail));
            }
        }
        Ok(())
    }

    /// Compares with the header of the next block, where that is kept.
    fn compare_header(&mut self, store: &Store) -> Result<(), StoreError> {
        let Some(next) = self.report.height.next() else { return Ok(()) };
        let Some(bytes) = store.light_block(next)? else { return Ok(()) };
        let damaged = |detail: &str| StoreError::damaged("light block", &next.get().to_be_bytes(), detail);
        let light_block = LightBlock::decode(bytes.as_slice()).map_err(|error| damaged(&error.to_string()))?;
        let header = light_block.signed_header.and_then(|signed| signed.header);
        let header = header.ok_or_else(|| damaged("has no header"))?;
        self.compare(&header.app_hash, "the header of the next block")?;
        self.report.headers_compared = self.report.headers_compared.saturating_add(1);
        Ok(())
    }

    /// Looks whether `CometBFT` has the blocks to go on with, and compares with the header of the first of them.
    fn compare_comet(&mut self, config: &ChainConfig) -> Result<(), StartError> {
        let (layout, home) = (Layout::new(&config.home)?, config.home.clone());
        let height = self.report.height;
        if !layout.has_blocks() {
            return Err(StartError::NoBlocks { home, height });
        }
        let next = height.get().saturating_add(1);
        let stored = inspect(&layout, &Binary::find(&config.cometbft)?, next)?;
        let found = Height::new(stored.height);
        let expected = self.report.blocks.map_or(height, |(_, newest)| newest.max(height));
        if found < expected {
            return Err(StartError::FewBlocks { home, found, expected });
        }
        if found > height {
            let header = stored.block.and_then(|block| block.header);
            let header = header.ok_or_else(|| StoreError::missing("block of CometBFT", format!("at height {next}")))?;
            self.compare(&header.app_hash, "the header of the next block in CometBFT's files")?;
        }
        self.report.comet_height = Some(found);
        Ok(())
    }

    fn compare_snapshot(&self) -> Result<(), StoreError> {
        match self.report.snapshot {
            Some(meta) if meta.height == self.report.height => self.compare(&meta.root, "the snapshot"),
            Some(_) | None => Ok(()),
        }
    }

    fn compare(&self, expected: &[u8], by: &'static str) -> Result<(), StoreError> {
        if expected == self.report.root {
            return Ok(());
        }
        let expected = expected.try_into().unwrap_or_default();
        Err(StoreError::RootMismatch { height: self.report.height.get(), found: self.report.root, expected, by })
    }
}
