//! The chain as an ABCI 2.0 application. Two engines drive the same object: the solo engine in this process, and
//! `CometBFT` over a socket.
//!
//! Consensus calls come one after the other from the one engine; they alone write. Everybody else reads versions.
//! A call that cannot go on (the disk fails, a rule is broken) notes the reason, answers with nothing of use, and the
//! engine stops: see [`App::fatal`].

mod admission;
mod allowance;
mod bundle;
mod commit;
mod delivery;
mod events;
mod finalize;
mod governance;
mod proposal;
mod state_sync;

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use db3_genesis::GenesisDocument;
use db3_governance::Misbehaviour;
use db3_primitives::{BlockTime, Height, MutationId, Rejection, Verified};
use tendermint_abci::Application;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::response_process_proposal::ProposalStatus;
use tendermint_proto::v0_38::abci::{
    CheckTxType, Misbehavior, RequestApplySnapshotChunk, RequestCheckTx, RequestFinalizeBlock, RequestInfo,
    RequestInitChain, RequestLoadSnapshotChunk, RequestOfferSnapshot, RequestPrepareProposal, RequestProcessProposal,
    ResponseApplySnapshotChunk, ResponseCheckTx, ResponseCommit, ResponseFinalizeBlock, ResponseInfo,
    ResponseInitChain, ResponseListSnapshots, ResponseLoadSnapshotChunk, ResponseOfferSnapshot,
    ResponsePrepareProposal, ResponseProcessProposal,
};
use tokio::sync::watch;

use crate::blocks::Blocks;
use crate::comet::Consensus;
use crate::config::ChainConfig;
use crate::error::FatalError;
use crate::lock;
use crate::machine::{Machine, ShardMachine};
use crate::metrics::Metrics;
use crate::pool::{Decisions, Deliveries, Mempool, Verdicts};
use crate::signal::Signal;
use crate::snapshots::Snapshotter;
use crate::store::Store;
use crate::sync_files::SyncFiles;
use crate::transfer::Restoring;
use crate::version::{VersionOf, Versions};

pub(crate) use admission::Clock;
pub use admission::Submitted;
pub(crate) use bundle::FalseBundles;
pub(crate) use delivery::Gate;
pub use delivery::{Bearer, cost_signatures};
pub(crate) use events::EventLog;
pub use events::{
    BlockEvent, BlockEventOf, Change, EventCursor, EventCursorOf, EventError, EventMutation, EventMutationOf,
    IN_MEMORY, MutationBody, MutationBodyOf,
};
pub(crate) use finalize::execute_block;
pub(crate) use governance::FalseDecisions;
pub(crate) use proposal::{BUNDLE_BYTES, DELIVERY_BYTES_MAX, bundles, framed_bytes, room_in_bundles};

/// Version of the rules, which stands in every header.
pub(crate) const APP_VERSION: u64 = 1;

/// The application of a shard chain.
pub type ShardApp = App<ShardMachine>;

/// The application of a chain. A clone is the same one.
#[derive(Clone)]
pub struct App<M: Machine> {
    pub(crate) inner: Arc<Inner<M>>,
}

/// What the application is made of.
pub(crate) struct Inner<M: Machine> {
    pub(crate) genesis: GenesisDocument,
    pub(crate) config: ChainConfig,
    pub(crate) store: Arc<Store>,
    pub(crate) versions: Arc<Versions<M>>,
    pub(crate) verdicts: Verdicts<M>,
    pub(crate) mempool: Mempool<M>,
    pub(crate) deliveries: Deliveries,
    pub(crate) decisions: Decisions,
    pub(crate) gate: Gate,
    pub(crate) false_bundles: Mutex<FalseBundles>,
    pub(crate) false_decisions: Mutex<FalseDecisions>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) events: Arc<EventLog<M>>,
    pub(crate) snapshotter: Snapshotter<M>,
    /// What others may fetch to come to a state without the blocks before it.
    pub(crate) sync_files: SyncFiles<M>,
    /// A state that is coming from others.
    pub(crate) restoring: Mutex<Option<Restoring>>,
    pub(crate) clock: Clock,
    pub(crate) threads: usize,
    /// The newest proposal that was executed and not decided.
    pub(crate) executed: Mutex<Option<Executed<M>>>,
    /// What was decided and waits for its commit.
    pub(crate) decided: Mutex<Option<Decided<M>>>,
    /// Versions before the newest committed one whose headers are not yet known, by height.
    pub(crate) unproven: Mutex<VecDeque<Arc<VersionOf<M>>>>,
    /// Whether a commit puts block and history on the disk: the solo engine relies on it, `CometBFT` keeps its own log.
    pub(crate) sync_commits: AtomicBool,
    pub(crate) fatal: OnceLock<FatalError>,
    /// Wakes the engine.
    pub(crate) signal: Arc<Signal>,
    /// Blocks and headers, wherever they are kept.
    pub(crate) blocks: Arc<Blocks>,
    /// How consensus does.
    pub(crate) consensus: watch::Sender<Consensus>,
    /// True once no further block will be made.
    pub(crate) ended: watch::Sender<bool>,
    /// The calls that the engine made, in order.
    #[cfg(test)]
    pub(crate) calls: Mutex<Vec<crate::tests::Call>>,
}

/// A block's place in the chain and its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) height: Height,
    pub(crate) time: BlockTime,
    pub(crate) txs: Vec<Bytes>,
    /// What consensus reports of validators.
    pub(crate) misbehaviour: Vec<Misbehaviour>,
}

/// A block that was executed on the newest version.
pub(crate) struct Executed<M: Machine> {
    pub(crate) place: Place,
    pub(crate) state: M::State,
    pub(crate) effects: M::Effects,
    /// Its mutations by their index; none for items that are no mutation of anybody's.
    pub(crate) mutations: Vec<Option<Arc<Verified<M::Body>>>>,
    /// How many of those items, the first ones, are deliveries without effect.
    pub(crate) refused_deliveries: usize,
    /// What the proposer left out because no block can ever hold it, and why.
    pub(crate) dropped: Vec<(MutationId, Rejection)>,
}

/// A block that is final.
pub(crate) struct Decided<M: Machine> {
    pub(crate) executed: Executed<M>,
    pub(crate) hash: [u8; 32],
    pub(crate) proposer: [u8; 20],
}

impl<M: Machine> App<M> {
    /// What stopped the application, if something did. A node that sees it must end with exit code 70.
    #[must_use]
    pub fn fatal(&self) -> Option<&FatalError> {
        self.inner.fatal.get()
    }

    /// Notes a call for the tests that look at their order.
    #[cfg(test)]
    fn note(&self, call: crate::tests::Call) {
        lock(&self.inner.calls).push(call);
    }
}

impl<M: Machine> Inner<M> {
    /// Notes why nothing goes on; the first reason stays.
    pub(crate) fn fail(&self, error: FatalError) {
        tracing::error!(%error, "chain.fatal");
        // The first reason is the one that matters.
        let _ = self.fatal.set(error);
        self.ended.send_replace(true);
        self.signal.raise();
    }
}

impl<M: Machine> Application for App<M> {
    fn info(&self, _request: RequestInfo) -> ResponseInfo {
        #[cfg(test)]
        self.note(crate::tests::Call::Info);
        let version = self.inner.versions.committed();
        let blocks = version.height >= self.inner.genesis.initial_height();
        ResponseInfo {
            data: self.inner.genesis.chain_id().as_str().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            app_version: APP_VERSION,
            // The genesis state belongs to no block.
            last_block_height: if blocks { i64::try_from(version.height.get()).unwrap_or(i64::MAX) } else { 0 },
            last_block_app_hash: if blocks { Bytes::copy_from_slice(&version.root) } else { Bytes::new() },
        }
    }

    fn init_chain(&self, request: RequestInitChain) -> ResponseInitChain {
        #[cfg(test)]
        self.note(crate::tests::Call::InitChain);
        let genesis = &self.inner.genesis;
        if request.chain_id != genesis.chain_id().as_str() {
            let (expected, found) = (genesis.chain_id().as_str().to_owned(), request.chain_id);
            self.inner.fail(FatalError::OtherGenesis { expected, found });
            return ResponseInitChain::default();
        }
        ResponseInitChain {
            app_hash: Bytes::copy_from_slice(&self.inner.versions.committed().root),
            ..ResponseInitChain::default()
        }
    }

    fn check_tx(&self, request: RequestCheckTx) -> ResponseCheckTx {
        let recheck = request.r#type == i32::from(CheckTxType::Recheck);
        match self.inner.check_transaction(&request.tx, recheck) {
            Ok(()) => ResponseCheckTx::default(),
            Err(rejection) => ResponseCheckTx {
                code: rejection.code(),
                log: rejection.to_string(),
                codespace: "db3".to_owned(),
                ..ResponseCheckTx::default()
            },
        }
    }

    fn prepare_proposal(&self, request: RequestPrepareProposal) -> ResponsePrepareProposal {
        #[cfg(test)]
        self.note(crate::tests::Call::Prepare(request.height));
        let bytes_max = usize::try_from(request.max_tx_bytes).unwrap_or(0);
        let place = place(request.height, request.time, request.txs, &request.misbehavior);
        let txs = place.map(|place| self.inner.prepare(place, bytes_max)).unwrap_or_default();
        ResponsePrepareProposal { txs }
    }

    fn process_proposal(&self, request: RequestProcessProposal) -> ResponseProcessProposal {
        #[cfg(test)]
        self.note(crate::tests::Call::Process(request.height));
        let accepted = match place(request.height, request.time, request.txs, &request.misbehavior) {
            Some(place) => self.inner.process(place),
            None => false,
        };
        let status = if accepted { ProposalStatus::Accept } else { ProposalStatus::Reject };
        ResponseProcessProposal { status: status.into() }
    }

    fn finalize_block(&self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock {
        #[cfg(test)]
        self.note(crate::tests::Call::Finalize(request.height));
        match self.inner.finalize(request) {
            Ok(response) => response,
            Err(error) => {
                self.inner.fail(error);
                ResponseFinalizeBlock::default()
            }
        }
    }

    fn commit(&self) -> ResponseCommit {
        #[cfg(test)]
        self.note(crate::tests::Call::Commit);
        if let Err(error) = self.inner.commit() {
            self.inner.fail(error);
        }
        ResponseCommit { retain_height: i64::try_from(self.inner.retain_height().get()).unwrap_or(0) }
    }

    fn list_snapshots(&self) -> ResponseListSnapshots {
        self.inner.list_snapshots()
    }

    fn load_snapshot_chunk(&self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk {
        self.inner.load_chunk(&request)
    }

    fn offer_snapshot(&self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot {
        #[cfg(test)]
        self.note(crate::tests::Call::Offer);
        self.inner.offer(request)
    }

    fn apply_snapshot_chunk(&self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk {
        #[cfg(test)]
        self.note(crate::tests::Call::Apply);
        match self.inner.apply_chunk(&request) {
            Ok(response) => response,
            Err(error) => {
                self.inner.fail(error);
                ResponseApplySnapshotChunk::default()
            }
        }
    }
}

/// A block's place; none where the engine names a height or a time that cannot be.
pub(crate) fn place(height: i64, time: Option<Timestamp>, txs: Vec<Bytes>, reported: &[Misbehavior]) -> Option<Place> {
    let time = time?;
    Some(Place {
        height: Height::new(u64::try_from(height).ok()?),
        time: BlockTime::new(u64::try_from(time.seconds).ok()?, u32::try_from(time.nanos).ok()?)?,
        txs,
        misbehaviour: governance::misbehaviour(reported),
    })
}

impl<M: Machine> Inner<M> {
    /// Forgets an execution that is not for this block.
    fn take_executed(&self, place: &Place) -> Option<Executed<M>> {
        lock(&self.executed).take().filter(|executed| executed.place == *place)
    }
}
