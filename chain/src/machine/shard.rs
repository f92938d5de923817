//! A shard: mutations of records, bills, closes.

use std::sync::Arc;

use db3_carry::{Channel, Delivered, Delivery};
use db3_genesis::{AppState, ChainKind, GenesisDocument, GenesisState};
use db3_governance::{Accepted, Misbehaviour, Proposal, Report, SignedProposal};
use db3_merkle_log::Frontier;
use db3_primitives::limits::MUTATION_BYTES_MAX;
use db3_primitives::{
    Address, BlockTime, ChainId, Epoch, EpochClose, Fault, Height, LogEntry, Mutation, MutationId, Namespace, Nonce,
    Rejection, RoundLeaf, SignedMutation, Tai, VerifiedMutation,
};
use db3_proto::decode_mutation;
use db3_shard_state::{Effects, Executor, Outcome, ShardState};
use db3_state_tree::Tree;
use rocksdb::WriteBatch;

use super::{Appended, At, LogRow, Machine};
use crate::error::StartError;
use crate::store::blocks::BlockSummary;
use crate::store::epochs::EpochRow;
use crate::store::family::Family;
use crate::store::logs::{Log, NamedLog};
use crate::store::receipts::StoredReceipt;
use crate::store::{Store, StoreError};

/// The rules of a shard: [`db3_shard_state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardMachine;

impl Machine for ShardMachine {
    type Body = Mutation;
    type State = ShardState;
    type Executor = Executor;
    type Effects = Effects;
    type Lane = (Address, Namespace);

    const KIND: ChainKind = ChainKind::Shard;
    const ENVELOPE_BYTES_MAX: usize = MUTATION_BYTES_MAX;
    const FAMILIES: &'static [Family] = &[Family::Bills, Family::BillOrder, Family::BillNodes, Family::Epochs];

    fn decode(envelope: &[u8]) -> Result<SignedMutation, Rejection> {
        decode_mutation(envelope)
    }

    fn lane(mutation: &Mutation) -> Self::Lane {
        (mutation.account, mutation.namespace.clone())
    }

    fn admit(state: &ShardState, mutation: &Mutation, bytes: u32, now: BlockTime) -> Result<Tai, Rejection> {
        state.admit(mutation, bytes, now).map(|admission| admission.bound)
    }

    fn foresee(_state: &ShardState, _mutation: &Mutation, _bytes: u32, _now: BlockTime) -> Result<(), Rejection> {
        // What a mutation runs into is told by its receipt.
        Ok(())
    }

    fn check_funds(state: &ShardState, mutation: &Mutation, reserved: Tai, bound: Tai) -> Result<(), Rejection> {
        let Some(line) = state.account(&mutation.account) else {
            return Err(Rejection::LineMissing { account: mutation.account });
        };
        let available = line.ceiling.saturating_sub(line.spent).saturating_sub(reserved);
        if bound > available {
            let shard = state.chain().shard;
            return Err(Rejection::CreditExhausted { shard, ceiling: line.ceiling, available, fee: bound });
        }
        Ok(())
    }

    fn check_nonce(state: &ShardState, mutation: &Mutation) -> Result<(), Rejection> {
        state.window(&mutation.account, &mutation.namespace).check(mutation.nonce)
    }

    fn next_nonce(state: &ShardState, mutation: &Mutation) -> Nonce {
        state.window(&mutation.account, &mutation.namespace).next()
    }

    fn genesis(document: &GenesisDocument) -> Result<ShardState, StartError> {
        match document.state() {
            GenesisState::Shard(genesis) => Ok(ShardState::genesis(genesis)?),
            GenesisState::Settlement(_) => Err(super::other_kind(Self::KIND, document.kind())),
        }
    }

    fn from_tree(tree: Tree) -> Result<ShardState, String> {
        ShardState::from_tree(tree).map_err(|error| error.to_string())
    }

    fn genesis_again(state: &ShardState) -> Option<AppState> {
        super::genesis::of_shard(state)
    }

    fn chain_id(state: &ShardState) -> ChainId {
        state.chain().chain_id()
    }

    fn tree(state: &ShardState) -> &Tree {
        state.tree()
    }

    fn work_pending(state: &ShardState, now: BlockTime) -> bool {
        state.work_pending(now)
    }

    fn next_boundary_secs(state: &ShardState) -> Option<u64> {
        state.next_boundary_secs()
    }

    fn open_epoch(state: &ShardState, _time: BlockTime) -> Epoch {
        state.open_epoch().0
    }

    fn block_envelopes_max(state: &ShardState) -> usize {
        usize::try_from(state.chain().block_mutations_max).unwrap_or(usize::MAX)
    }

    fn logs(state: &ShardState) -> Vec<NamedLog> {
        let settlement = state.settlement();
        let (acknowledged, frontier) = (state.acknowledged_by(&settlement), state.outbox_to(&settlement));
        vec![NamedLog::outbox(settlement, acknowledged, frontier)]
    }

    fn outbox(state: &ShardState, destination: &ChainId) -> Option<Frontier> {
        (state.settlement() == *destination).then(|| state.outbox_to(destination))
    }

    fn sources(state: &ShardState) -> Vec<ChainId> {
        vec![state.settlement()]
    }

    fn channel(state: &ShardState, source: &ChainId) -> Option<Channel> {
        state.channel(source)
    }

    fn fault(_state: &ShardState, _source: &ChainId) -> Option<Fault> {
        None
    }

    fn round(_state: &ShardState) -> Option<RoundLeaf> {
        None
    }

    fn check_delivery(state: &ShardState, delivery: &Delivery, now: BlockTime) -> Result<(), Rejection> {
        state.check_delivery(delivery, now)
    }

    fn check_governance(
        state: &ShardState,
        signed: &SignedProposal,
        height: Height,
        now: BlockTime,
    ) -> Result<Accepted, Rejection> {
        state.check_governance(signed, height, now)
    }

    fn rehearse_governance(
        state: &ShardState,
        proposal: &Proposal,
        height: Height,
        now: BlockTime,
    ) -> Result<Height, Rejection> {
        state.rehearse_governance(proposal, height, now)
    }

    fn begin(state: &ShardState, height: Height, time: BlockTime, misbehaviour: &[Misbehaviour]) -> Executor {
        Executor::begin(state, height, time, misbehaviour)
    }

    fn govern(executor: &mut Executor, signed: &SignedProposal) -> Result<Accepted, Rejection> {
        executor.govern(signed)
    }

    fn deliver(executor: &mut Executor, delivery: &Delivery) -> Result<Delivered, Rejection> {
        executor.deliver(delivery)
    }

    fn apply(executor: &mut Executor, verified: &VerifiedMutation) -> Result<(), Rejection> {
        match executor.apply(verified) {
            Outcome::Applied(_) | Outcome::Failed(_) => Ok(()),
            Outcome::Refused(rejection) => Err(rejection),
        }
    }

    fn refuse(executor: &mut Executor, verified: &VerifiedMutation, rejection: Rejection) {
        executor.refuse(verified, rejection);
    }

    fn refuse_item(executor: &mut Executor, id: Option<MutationId>, rejection: Rejection) {
        executor.refuse_item(id, rejection);
    }

    fn finish(executor: Executor) -> (ShardState, Effects) {
        executor.finish()
    }

    fn receipts(_state: &ShardState, effects: &mut Effects, at: At) -> Vec<StoredReceipt> {
        let epoch = effects.bill_epoch;
        let receipts = std::mem::take(&mut effects.receipts).into_iter();
        receipts.map(|receipt| StoredReceipt::of_mutation(receipt, at, epoch)).collect()
    }

    fn governed(effects: &Effects) -> &Report {
        &effects.governance
    }

    fn lowered(effects: &Effects) -> &[Address] {
        &effects.lowered
    }

    fn delivered(effects: &Effects) -> &[Delivered] {
        &effects.deliveries
    }

    fn outbound_entries(effects: &Effects) -> usize {
        effects.entries.len()
    }

    fn appended<'a>(_state: &ShardState, effects: &'a Effects) -> Vec<Appended<'a>> {
        super::outbound(&effects.entries, &effects.outbox_nodes)
    }

    fn write_history(
        store: &Store,
        batch: &mut WriteBatch,
        at: At,
        effects: &Effects,
        receipts: &[Arc<StoredReceipt>],
        _bodies: &[Option<Arc<VerifiedMutation>>],
    ) -> Result<(), StoreError> {
        let charged = receipts.iter().filter(|receipt| receipt.is_charged());
        store.add_bills(batch, at.time, effects, charged.filter_map(|receipt| receipt.namespace.as_ref()))?;
        for entry in &effects.entries {
            if let Ok(LogEntry::EpochClose(close)) = LogEntry::from_bytes(&entry.bytes) {
                let row = EpochRow { close, outbox_index: entry.index, height: at.height, time: at.time };
                store.add_close(batch, &row)?;
            }
        }
        Ok(())
    }

    fn report(effects: &Effects) {
        if let Some(close) = &effects.closed {
            let (first, last, statements) = (close.first, close.last, close.statements);
            tracing::info!(%first, %last, statements, total = %close.total, "shard.close");
        }
    }

    fn closed(effects: &Effects) -> Option<EpochClose> {
        effects.closed
    }

    fn closed_by(store: &Store, summary: &BlockSummary) -> Result<Option<EpochClose>, StoreError> {
        // The close stands under the last epoch that it covers, before the one that was open in the block.
        let rows = store.epochs(Some(summary.epoch), 2)?;
        Ok(rows.into_iter().find(|row| row.height == summary.height).map(|row| row.close))
    }

    fn taken_in(_store: &Store, _log: &Log, _index: u64, _entry: &[u8]) -> Result<Option<At>, StoreError> {
        // Its one log is its own, and a close says itself when it was.
        Ok(None)
    }

    fn check_entry(entry: &LogRow, _log: &Log) -> Result<(), String> {
        LogEntry::from_bytes(&entry.bytes).map(drop).map_err(|error| error.to_string())
    }

    fn adopt_entry(
        store: &Store,
        batch: &mut WriteBatch,
        state: &ShardState,
        entry: &LogRow,
        _log: &Log,
    ) -> Result<(), StoreError> {
        store.add_foreign_close(batch, entry.index, &entry.bytes, state.chain().epoch_secs)
    }
}
