//! What a chain asks of its state machine. Everything else of this crate (the application, the engine, the pool, the
//! snapshots) is the same for every chain and is written over a [`Machine`]; each machine is one type that stands for
//! its rules, so calls are resolved when the program is compiled.
//!
//! A machine here only connects: it holds no rule of a ledger (those stand in the crate of its state) and performs no
//! effect but writing its own rows.

mod genesis;
mod settlement;
mod shard;

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use db3_carry::{Channel, Delivered, Delivery, OutboundEntry};
use db3_genesis::{AppState, ChainKind, GenesisDocument};
use db3_governance::{Accepted, Misbehaviour, Proposal, Report, Session, SignedProposal};
use db3_merkle_log::{CompletedNode, Frontier};
use db3_primitives::{
    Address, BlockTime, Body, ChainId, Epoch, EpochClose, Fault, Hash32, Height, MutationId, Nonce, Rejection,
    RoundLeaf, Signed, Tai, Verified,
};
use db3_state_tree::Tree;
use rocksdb::WriteBatch;

use crate::error::StartError;
use crate::store::blocks::BlockSummary;
use crate::store::family::Family;
use crate::store::logs::{Log, NamedLog};
use crate::store::receipts::StoredReceipt;
use crate::store::{Store, StoreError};

pub use settlement::SettlementMachine;
pub use shard::ShardMachine;

/// The state machine of one kind of chain.
pub trait Machine: Copy + Debug + Eq + Send + Sync + 'static {
    /// What an account signs.
    type Body: Body;
    /// One version of the state; a clone is a pointer.
    type State: Clone + Debug + Send + Sync + 'static;
    /// A block under execution.
    type Executor;
    /// What a block did beside the new version.
    type Effects: Send + 'static;
    /// In which nonces are counted and kept in order.
    type Lane: Clone + Eq + Hash + Send + 'static;

    /// Which kind it is.
    const KIND: ChainKind;
    /// Largest encoded envelope.
    const ENVELOPE_BYTES_MAX: usize;
    /// The rows that only this kind of chain has.
    const FAMILIES: &'static [Family];

    /// Reads an envelope: canonical, within its limits, its signature not yet checked.
    fn decode(envelope: &[u8]) -> Result<Signed<Self::Body>, Rejection>;
    /// Where its nonce counts.
    fn lane(body: &Self::Body) -> Self::Lane;
    /// The cheap ladder, against a version and the time of a next block. Gives the largest fee that it can cost.
    fn admit(state: &Self::State, body: &Self::Body, bytes: u32, now: BlockTime) -> Result<Tai, Rejection>;
    /// What would make it fail in execution, as far as that is told before: asked once its signature is known to be good,
    /// since it costs more than the ladder.
    fn foresee(state: &Self::State, body: &Self::Body, bytes: u32, now: BlockTime) -> Result<(), Rejection>;
    /// Whether `bound` fits what its account has left when `reserved` is spoken for.
    fn check_funds(state: &Self::State, body: &Self::Body, reserved: Tai, bound: Tai) -> Result<(), Rejection>;
    /// Whether its nonce may be used still.
    fn check_nonce(state: &Self::State, body: &Self::Body) -> Result<(), Rejection>;
    /// The smallest nonce that is free in its lane.
    fn next_nonce(state: &Self::State, body: &Self::Body) -> Nonce;

    /// The first state, of a document that [`Self::check_kind`] accepts.
    fn genesis(document: &GenesisDocument) -> Result<Self::State, StartError>;
    /// Whether a document is of this kind of chain.
    fn check_kind(document: &GenesisDocument) -> Result<(), StartError> {
        if document.kind() == Self::KIND { Ok(()) } else { Err(other_kind(Self::KIND, document.kind())) }
    }
    /// The state that a tree holds; the error's text says which leaf is none.
    fn from_tree(tree: Tree) -> Result<Self::State, String>;
    /// A genesis with the parameters of a state, for a chain that continues from it.
    fn genesis_again(state: &Self::State) -> Option<AppState>;
    /// The chain that a state is of.
    fn chain_id(state: &Self::State) -> ChainId;
    /// The tree of a state.
    fn tree(state: &Self::State) -> &Tree;
    /// Root of the tree: the app hash.
    fn root(state: &Self::State) -> Hash32 {
        Self::tree(state).root()
    }
    /// Whether a block of this time has something to do even if it is empty.
    fn work_pending(state: &Self::State, now: BlockTime) -> bool;
    /// The second at which there will be such work; none: never by itself.
    fn next_boundary_secs(state: &Self::State) -> Option<u64>;
    /// The epoch that is open in a block of this state and time.
    fn open_epoch(state: &Self::State, time: BlockTime) -> Epoch;
    /// Most envelopes that one block executes.
    fn block_envelopes_max(state: &Self::State) -> usize;
    /// The logs that the state holds the frontiers of and this machine keeps the entries of.
    fn logs(state: &Self::State) -> Vec<NamedLog>;
    /// The log for another chain.
    fn outbox(state: &Self::State, destination: &ChainId) -> Option<Frontier>;

    /// The chains that this one hears.
    fn sources(state: &Self::State) -> Vec<ChainId>;
    /// What is known of a chain that this one hears, and how far it was heard.
    fn channel(state: &Self::State, source: &ChainId) -> Option<Channel>;
    /// The fault for which nothing more is accepted from a chain; a conflict of its headers stands in its channel.
    fn fault(state: &Self::State, source: &ChainId) -> Option<Fault>;
    /// How far rounds of settlement have come; none on a shard.
    fn round(state: &Self::State) -> Option<RoundLeaf>;
    /// Everything that can be checked of a delivery against a version and a time.
    fn check_delivery(state: &Self::State, delivery: &Delivery, now: BlockTime) -> Result<(), Rejection>;

    /// What the state holds of governance.
    fn governance(state: &Self::State) -> Session {
        Session::of(Self::tree(state))
    }
    /// Whether a block of this height and time, the next one, could accept what operators decided.
    fn check_governance(
        state: &Self::State,
        signed: &SignedProposal,
        height: Height,
        now: BlockTime,
    ) -> Result<Accepted, Rejection>;
    /// The same of a proposal that nobody signed yet. Gives the height at which its change would take effect.
    fn rehearse_governance(
        state: &Self::State,
        proposal: &Proposal,
        height: Height,
        now: BlockTime,
    ) -> Result<Height, Rejection>;

    /// Begins a block, with what consensus reports of validators.
    fn begin(state: &Self::State, height: Height, time: BlockTime, misbehaviour: &[Misbehaviour]) -> Self::Executor;
    /// Accepts what operators decided, before any envelope; what is refused left no trace.
    fn govern(executor: &mut Self::Executor, signed: &SignedProposal) -> Result<Accepted, Rejection>;
    /// Applies a delivery, before any envelope; what is refused left no trace.
    fn deliver(executor: &mut Self::Executor, delivery: &Delivery) -> Result<Delivered, Rejection>;
    /// Executes one envelope; what is refused left no trace and took no place in the block.
    fn apply(executor: &mut Self::Executor, verified: &Verified<Self::Body>) -> Result<(), Rejection>;
    /// Records that an envelope of a final block was refused.
    fn refuse(executor: &mut Self::Executor, verified: &Verified<Self::Body>, rejection: Rejection);
    /// Records an item of a final block that is no envelope of anybody's.
    fn refuse_item(executor: &mut Self::Executor, id: Option<MutationId>, rejection: Rejection);
    /// Ends the block.
    fn finish(executor: Self::Executor) -> (Self::State, Self::Effects);

    /// Takes the receipts out of what a block did, by index; `state` is the version after it.
    fn receipts(state: &Self::State, effects: &mut Self::Effects, at: At) -> Vec<StoredReceipt>;
    /// What governance did.
    fn governed(effects: &Self::Effects) -> &Report;
    /// Validators whose power changed, for consensus; power 0: gone.
    fn validator_updates(effects: &Self::Effects) -> &[([u8; 32], u64)] {
        &Self::governed(effects).validator_updates
    }
    /// Accounts that may have less than before, beside those that the receipts charge.
    fn lowered(effects: &Self::Effects) -> &[Address];
    /// The deliveries that were applied.
    fn delivered(effects: &Self::Effects) -> &[Delivered];
    /// How many entries for other chains a block wrote.
    fn outbound_entries(effects: &Self::Effects) -> usize;
    /// What a block appended to its logs; `state` is the version after it.
    fn appended<'a>(state: &Self::State, effects: &'a Self::Effects) -> Vec<Appended<'a>>;
    /// Writes the rows that only this kind of chain has. `bodies` are the block's envelopes by the index of their receipt.
    fn write_history(
        store: &Store,
        batch: &mut WriteBatch,
        at: At,
        effects: &Self::Effects,
        receipts: &[Arc<StoredReceipt>],
        bodies: &[Option<Arc<Verified<Self::Body>>>],
    ) -> Result<(), StoreError>;
    /// Tells the log what operators have to know of a block.
    fn report(effects: &Self::Effects);
    /// The epoch whose last statement a block wrote.
    fn closed(effects: &Self::Effects) -> Option<EpochClose>;
    /// The same, read again from its rows.
    fn closed_by(store: &Store, summary: &BlockSummary) -> Result<Option<EpochClose>, StoreError>;
    /// The block that took in an entry of one of its logs, as far as this kind of chain keeps that.
    fn taken_in(store: &Store, log: &Log, index: u64, entry: &[u8]) -> Result<Option<At>, StoreError>;
    /// Whether an entry of one of its logs that comes with a state from elsewhere can be adopted: what is wrong with it,
    /// before anything is written.
    fn check_entry(entry: &LogRow, log: &Log) -> Result<(), String>;
    /// Writes what this kind of chain keeps about such an entry; its place is what [`taken_in`](Self::taken_in) said
    /// there, if that came along.
    fn adopt_entry(
        store: &Store,
        batch: &mut WriteBatch,
        state: &Self::State,
        entry: &LogRow,
        log: &Log,
    ) -> Result<(), StoreError>;
}

/// A block's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Its height.
    pub height: Height,
    /// Its time.
    pub time: BlockTime,
}

impl At {
    /// The place of a block that is not known.
    pub(crate) const UNKNOWN: Self = Self { height: Height::new(0), time: BlockTime { secs: 0, nanos: 0 } };
}

/// An entry of a log that comes with a state from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Its place in the log.
    pub index: u64,
    /// Its bytes, as hashed.
    pub bytes: Vec<u8>,
    /// The block that took it in, if that is known.
    pub taken: Option<At>,
}

/// Something that a block appended to one of its logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended<'a> {
    /// An entry.
    Entry {
        /// The log.
        log: Log,
        /// Its place in it.
        index: u64,
        /// Its bytes, as hashed.
        bytes: Cow<'a, [u8]>,
    },
    /// What a log goes on from, without the entries before.
    Begun {
        /// The log.
        log: Log,
        /// Its frontier there.
        from: &'a Frontier,
    },
    /// A subtree that entries completed.
    Node {
        /// The log.
        log: Log,
        /// The subtree.
        node: &'a CompletedNode,
    },
}

/// Why a folder cannot be run as another kind of chain.
fn other_kind(expected: ChainKind, found: ChainKind) -> StartError {
    let name = |kind| match kind {
        ChainKind::Shard => "a shard",
        ChainKind::Settlement => "the settlement chain",
    };
    StartError::OtherKind { expected: name(expected), found: name(found) }
}

/// Entries for other chains and the subtrees that they completed.
fn outbound<'a>(entries: &'a [OutboundEntry], nodes: &'a [(ChainId, CompletedNode)]) -> Vec<Appended<'a>> {
    let entries = entries.iter().map(|entry| {
        let (log, bytes) = (Log::Outbox(entry.destination.clone()), Cow::from(entry.bytes.as_slice()));
        Appended::Entry { log, index: entry.index, bytes }
    });
    let nodes = nodes.iter().map(|(chain, node)| Appended::Node { log: Log::Outbox(chain.clone()), node });
    entries.chain(nodes).collect()
}
