//! The application as `CometBFT` is served it. A call that could not go on is never answered: `CometBFT` would take a
//! made-up root for the chain's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use db3_comet::abci::refuse;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    RequestApplySnapshotChunk, RequestCheckTx, RequestFinalizeBlock, RequestInfo, RequestInitChain,
    RequestLoadSnapshotChunk, RequestOfferSnapshot, RequestPrepareProposal, RequestProcessProposal,
    ResponseApplySnapshotChunk, ResponseCheckTx, ResponseCommit, ResponseFinalizeBlock, ResponseInfo,
    ResponseInitChain, ResponseListSnapshots, ResponseLoadSnapshotChunk, ResponseOfferSnapshot,
    ResponsePrepareProposal, ResponseProcessProposal, response_offer_snapshot,
};

use super::signed::Signed;
use crate::app::App;
use crate::lock;
use crate::machine::Machine;
use crate::metrics::observe;

/// The application and how often `CometBFT` has been started.
pub(crate) struct Served<M: Machine> {
    app: App<M>,
    starts: Arc<AtomicU64>,
    /// When the newest block was committed, if that was since the start.
    committed: Arc<Mutex<Option<Instant>>>,
    /// Whether `CometBFT` had blocks when this node was started.
    had_blocks: bool,
    /// The key of this machine, if one signs.
    signed: Option<Signed>,
}

impl<M: Machine> Clone for Served<M> {
    fn clone(&self) -> Self {
        let (starts, committed) = (Arc::clone(&self.starts), Arc::clone(&self.committed));
        let signed = self.signed.clone();
        Self { app: self.app.clone(), starts, committed, had_blocks: self.had_blocks, signed }
    }
}

impl<M: Machine> Served<M> {
    pub(crate) fn new(app: App<M>, had_blocks: bool, signed: Option<Signed>) -> Self {
        Self { app, starts: Arc::default(), committed: Arc::default(), had_blocks, signed }
    }

    /// Whether a state of others may take the place of this one: not where blocks were executed and `CometBFT` had them.
    /// That it asks all the same says that it has lost them since.
    fn may_begin_anew(&self) -> bool {
        !self.had_blocks || matches!(self.app.inner.store.first_summary(), Ok(None))
    }

    /// How often `CometBFT` has been started: what its mempool held before is gone.
    pub(super) fn starts(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.starts)
    }

    /// The answer, unless the application has stopped.
    fn answered<T>(&self, answer: T) -> T {
        match self.app.fatal() {
            Some(error) => refuse(error),
            None => answer,
        }
    }
}

impl<M: Machine> Application for Served<M> {
    /// The first call of a `CometBFT` that starts.
    fn info(&self, request: RequestInfo) -> ResponseInfo {
        self.app.inner.mempool.forget_bundles();
        *lock(&self.committed) = None;
        self.starts.fetch_add(1, Ordering::SeqCst);
        self.app.inner.signal.raise();
        self.answered(self.app.info(request))
    }

    fn init_chain(&self, request: RequestInitChain) -> ResponseInitChain {
        self.answered(self.app.init_chain(request))
    }

    fn check_tx(&self, request: RequestCheckTx) -> ResponseCheckTx {
        self.answered(self.app.check_tx(request))
    }

    fn prepare_proposal(&self, request: RequestPrepareProposal) -> ResponsePrepareProposal {
        self.answered(self.app.prepare_proposal(request))
    }

    fn process_proposal(&self, request: RequestProcessProposal) -> ResponseProcessProposal {
        self.answered(self.app.process_proposal(request))
    }

    fn finalize_block(&self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock {
        if let Some(Err(error)) = self.signed.as_ref().map(|signed| signed.check(&request)) {
            self.app.inner.fail(error);
        }
        self.answered(self.app.finalize_block(request))
    }

    fn commit(&self) -> ResponseCommit {
        let answer = self.answered(self.app.commit());
        // Bundles have left.
        self.app.inner.signal.raise();
        let now = Instant::now();
        if let Some(before) = lock(&self.committed).replace(now) {
            // From one block to the next.
            observe(&self.app.inner.metrics.block_seconds, now.saturating_duration_since(before));
        }
        answer
    }

    fn list_snapshots(&self) -> ResponseListSnapshots {
        self.answered(self.app.list_snapshots())
    }

    fn offer_snapshot(&self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot {
        if !self.may_begin_anew() {
            let remedy = db3_comet::SYNC_ANEW;
            tracing::error!(remedy, "state_sync.offer: refused: this node has executed blocks, and CometBFT had them");
            return ResponseOfferSnapshot { result: response_offer_snapshot::Result::Abort.into() };
        }
        self.answered(self.app.offer_snapshot(request))
    }

    fn load_snapshot_chunk(&self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk {
        self.answered(self.app.load_snapshot_chunk(request))
    }

    fn apply_snapshot_chunk(&self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk {
        self.answered(self.app.apply_snapshot_chunk(request))
    }
}
