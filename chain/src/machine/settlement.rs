//! The settlement chain: transactions of money, what the shards stated and closed, rounds and their postings.

use std::borrow::Cow;
use std::sync::Arc;

use db3_carry::{Channel, Delivered, Delivery};
use db3_genesis::{AppState, ChainKind, GenesisDocument, GenesisState};
use db3_governance::{Accepted, Misbehaviour, Proposal, Report, SignedProposal};
use db3_merkle_log::Frontier;
use db3_primitives::limits::{BLOCK_MUTATIONS_MAX, TRANSACTION_BYTES_MAX};
use db3_primitives::name::ChainRole;
use db3_primitives::{
    Address, BlockTime, ChainId, Epoch, EpochClose, Fault, Height, LogEntry, Nonce, Posting, Rejection, RoundLeaf,
    ShardFault, ShardId, SignedTransaction, Tai, Transaction, TransactionId, VerifiedTransaction,
};
use db3_proto::decode_transaction;
use db3_settlement_state::{Effects, Executor, FaultReport, Outcome, SettlementState};
use db3_state_tree::Tree;
use rocksdb::WriteBatch;

use super::{Appended, At, LogRow, Machine};
use crate::error::StartError;
use crate::store::blocks::BlockSummary;
use crate::store::family::Family;
use crate::store::logs::{Log, NamedLog};
use crate::store::receipts::StoredReceipt;
use crate::store::{Store, StoreError};

/// The rules of the settlement chain: [`db3_settlement_state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettlementMachine;

impl Machine for SettlementMachine {
    type Body = Transaction;
    type State = SettlementState;
    type Executor = Executor;
    type Effects = Effects;
    type Lane = Address;

    const KIND: ChainKind = ChainKind::Settlement;
    const ENVELOPE_BYTES_MAX: usize = TRANSACTION_BYTES_MAX;
    const FAMILIES: &'static [Family] = &[
        Family::Statements,
        Family::StatementOrder,
        Family::Closes,
        Family::CloseOrder,
        Family::AccountPostings,
        Family::PostingMarks,
        Family::Transactions,
        Family::AccountTransactions,
    ];

    fn decode(envelope: &[u8]) -> Result<SignedTransaction, Rejection> {
        decode_transaction(envelope)
    }

    fn lane(transaction: &Transaction) -> Address {
        transaction.account
    }

    fn admit(state: &SettlementState, transaction: &Transaction, bytes: u32, now: BlockTime) -> Result<Tai, Rejection> {
        state.admit(transaction, bytes, now).map(|admission| admission.bound)
    }

    fn foresee(
        state: &SettlementState,
        transaction: &Transaction,
        bytes: u32,
        now: BlockTime,
    ) -> Result<(), Rejection> {
        let admission = state.admit(transaction, bytes, now)?;
        state.foresee(transaction, &admission, now)
    }

    fn check_funds(
        state: &SettlementState,
        transaction: &Transaction,
        reserved: Tai,
        bound: Tai,
    ) -> Result<(), Rejection> {
        let balance = state.balance(&transaction.account).map_or(Tai::ZERO, |leaf| leaf.balance);
        let balance = balance.saturating_sub(reserved);
        if bound > balance { Err(Rejection::BalanceTooLowForFee { balance, fee: bound }) } else { Ok(()) }
    }

    fn check_nonce(state: &SettlementState, transaction: &Transaction) -> Result<(), Rejection> {
        state.window(&transaction.account).check(transaction.nonce)
    }

    fn next_nonce(state: &SettlementState, transaction: &Transaction) -> Nonce {
        state.window(&transaction.account).next()
    }

    fn genesis(document: &GenesisDocument) -> Result<SettlementState, StartError> {
        match document.state() {
            GenesisState::Settlement(genesis) => Ok(SettlementState::genesis(genesis)?),
            GenesisState::Shard(_) => Err(super::other_kind(Self::KIND, document.kind())),
        }
    }

    fn from_tree(tree: Tree) -> Result<SettlementState, String> {
        SettlementState::from_tree(tree).map_err(|error| error.to_string())
    }

    fn genesis_again(state: &SettlementState) -> Option<AppState> {
        super::genesis::of_settlement(state)
    }

    fn chain_id(state: &SettlementState) -> ChainId {
        state.chain().chain_id()
    }

    fn tree(state: &SettlementState) -> &Tree {
        state.tree()
    }

    fn work_pending(state: &SettlementState, now: BlockTime) -> bool {
        state.work_pending(now)
    }

    fn next_boundary_secs(state: &SettlementState) -> Option<u64> {
        state.next_boundary_secs()
    }

    fn open_epoch(state: &SettlementState, time: BlockTime) -> Epoch {
        Epoch::of(time.secs, state.chain().epoch_secs)
    }

    fn block_envelopes_max(_state: &SettlementState) -> usize {
        usize::try_from(BLOCK_MUTATIONS_MAX).unwrap_or(usize::MAX)
    }

    fn logs(state: &SettlementState) -> Vec<NamedLog> {
        let chain_of = |shard| ChainId::shard(&state.chain().network, shard);
        let outboxes = state.shards().map(|shard| {
            let chain = chain_of(shard);
            let frontier = state.outbox_to(&chain);
            NamedLog::outbox(chain, state.acknowledged_by(shard), frontier)
        });
        let inboxes = state.shards().filter_map(|shard| {
            let chain = chain_of(shard);
            let frontier = state.channel(&chain)?.inbox().frontier().clone();
            Some(NamedLog { log: Log::Inbox(chain), begins: state.passed(shard).begins(), frontier })
        });
        outboxes.chain(inboxes).chain([NamedLog::whole(Log::Postings, state.postings())]).collect()
    }

    fn outbox(state: &SettlementState, destination: &ChainId) -> Option<Frontier> {
        Self::sources(state).contains(destination).then(|| state.outbox_to(destination))
    }

    fn sources(state: &SettlementState) -> Vec<ChainId> {
        state.shards().map(|shard| ChainId::shard(&state.chain().network, shard)).collect()
    }

    fn channel(state: &SettlementState, source: &ChainId) -> Option<Channel> {
        state.channel(source)
    }

    fn fault(state: &SettlementState, source: &ChainId) -> Option<Fault> {
        match source.parts() {
            Some((_, ChainRole::Shard(shard))) => state.shard(shard)?.leaf.fault,
            Some((_, ChainRole::Settlement)) | None => None,
        }
    }

    fn round(state: &SettlementState) -> Option<RoundLeaf> {
        Some(state.round())
    }

    fn check_delivery(state: &SettlementState, delivery: &Delivery, now: BlockTime) -> Result<(), Rejection> {
        state.check_delivery(delivery, now)
    }

    fn check_governance(
        state: &SettlementState,
        signed: &SignedProposal,
        height: Height,
        now: BlockTime,
    ) -> Result<Accepted, Rejection> {
        state.check_governance(signed, height, now)
    }

    fn rehearse_governance(
        state: &SettlementState,
        proposal: &Proposal,
        height: Height,
        now: BlockTime,
    ) -> Result<Height, Rejection> {
        state.rehearse_governance(proposal, height, now)
    }

    fn begin(state: &SettlementState, height: Height, time: BlockTime, misbehaviour: &[Misbehaviour]) -> Executor {
        Executor::begin(state, height, time, misbehaviour)
    }

    fn govern(executor: &mut Executor, signed: &SignedProposal) -> Result<Accepted, Rejection> {
        executor.govern(signed)
    }

    fn deliver(executor: &mut Self::Executor, delivery: &Delivery) -> Result<Delivered, Rejection> {
        executor.deliver(delivery)
    }

    fn apply(executor: &mut Self::Executor, verified: &VerifiedTransaction) -> Result<(), Rejection> {
        match executor.apply(verified) {
            Outcome::Applied(_) | Outcome::Failed(_) => Ok(()),
            Outcome::Refused(rejection) => Err(rejection),
        }
    }

    fn refuse(executor: &mut Self::Executor, verified: &VerifiedTransaction, rejection: Rejection) {
        executor.refuse(verified, rejection);
    }

    fn refuse_item(executor: &mut Self::Executor, id: Option<TransactionId>, rejection: Rejection) {
        executor.refuse_item(id, rejection);
    }

    fn finish(executor: Self::Executor) -> (SettlementState, Effects) {
        executor.finish()
    }

    fn receipts(state: &SettlementState, effects: &mut Effects, at: At) -> Vec<StoredReceipt> {
        let epoch = Self::open_epoch(state, at.time);
        let receipts = std::mem::take(&mut effects.receipts).into_iter();
        receipts.map(|receipt| StoredReceipt::of_transaction(receipt, at, epoch)).collect()
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

    fn appended<'a>(state: &SettlementState, effects: &'a Effects) -> Vec<Appended<'a>> {
        let inbox = |shard| Log::Inbox(ChainId::shard(&state.chain().network, shard));
        let mut appended = super::outbound(&effects.entries, &effects.outbox_nodes);
        appended.extend(effects.begun.iter().map(|(shard, from)| Appended::Begun { log: inbox(*shard), from }));
        appended.extend(effects.inbound.iter().map(|entry| Appended::Entry {
            log: inbox(entry.source),
            index: entry.index,
            bytes: Cow::from(entry.bytes.as_slice()),
        }));
        // An entry at fault, even an empty one, was read too: the shard's log goes on after it. Of two headers none was.
        let read = |report: &&FaultReport| report.fault.code != ShardFault::HeaderConflict;
        appended.extend(effects.faults.iter().filter(read).map(|report| {
            let bytes = Cow::from(report.bytes.as_slice());
            Appended::Entry { log: inbox(report.source), index: report.fault.index, bytes }
        }));
        appended.extend(effects.inbound_nodes.iter().map(|(shard, node)| Appended::Node { log: inbox(*shard), node }));
        appended.extend(effects.postings.iter().map(|(index, posting)| Appended::Entry {
            log: Log::Postings,
            index: *index,
            bytes: Cow::from(posting.to_bytes()),
        }));
        appended.extend(effects.posting_nodes.iter().map(|node| Appended::Node { log: Log::Postings, node }));
        appended
    }

    fn write_history(
        store: &Store,
        batch: &mut WriteBatch,
        at: At,
        effects: &Effects,
        receipts: &[Arc<StoredReceipt>],
        bodies: &[Option<Arc<VerifiedTransaction>>],
    ) -> Result<(), StoreError> {
        for receipt in receipts {
            let body = usize::try_from(receipt.index).ok().and_then(|index| bodies.get(index)?.as_ref());
            if let Some(verified) = body {
                store.add_transaction(batch, receipt, verified)?;
            }
        }
        for entry in &effects.inbound {
            store.add_inbound(batch, at, entry.source, entry.index, &entry.entry)?;
        }
        for (index, posting) in &effects.postings {
            store.add_posting(batch, *index, posting)?;
        }
        Ok(())
    }

    fn report(effects: &Effects) {
        for report in &effects.faults {
            let (shard, code, index) = (report.source, report.fault.code, report.fault.index);
            tracing::error!(%shard, ?code, index, "settlement.fault: the shard's channel is frozen");
        }
        if let Some(round) = &effects.settled {
            let (number, epoch, postings) = (round.number, round.epoch, round.postings);
            let (debited, paid) = (round.debited, round.paid);
            tracing::info!(number, %epoch, postings, %debited, %paid, "settlement.round");
        }
    }

    fn closed(_effects: &Effects) -> Option<EpochClose> {
        None
    }

    fn closed_by(_store: &Store, _summary: &BlockSummary) -> Result<Option<EpochClose>, StoreError> {
        Ok(None)
    }

    fn taken_in(store: &Store, log: &Log, index: u64, entry: &[u8]) -> Result<Option<At>, StoreError> {
        match (shard_of(log), LogEntry::from_bytes(entry)) {
            (Some(shard), Ok(entry)) => store.taken_in(shard, index, &entry),
            (Some(_) | None, _) => Ok(None),
        }
    }

    fn check_entry(entry: &LogRow, log: &Log) -> Result<(), String> {
        match log {
            Log::Postings => Posting::from_bytes(&entry.bytes).map(drop).map_err(|error| error.to_string()),
            // What does not decode is an entry at fault, and says nothing.
            Log::Inbox(_) | Log::Outbox(_) => Ok(()),
        }
    }

    fn adopt_entry(
        store: &Store,
        batch: &mut WriteBatch,
        state: &SettlementState,
        entry: &LogRow,
        log: &Log,
    ) -> Result<(), StoreError> {
        let LogRow { index, bytes, taken } = entry;
        if *log == Log::Postings {
            let posting = Posting::from_bytes(bytes)
                .map_err(|error| StoreError::damaged("posting", &index.to_be_bytes(), error))?;
            return store.add_posting(batch, *index, &posting);
        }
        let Some(shard) = shard_of(log) else { return Ok(()) };
        let fault = state.shard(shard).and_then(|shard| shard.leaf.fault);
        let has_effect = fault.is_none_or(|fault| fault.index != *index) && !state.passed(shard).holds(*index);
        match LogEntry::from_bytes(bytes) {
            Ok(decoded) if has_effect => {
                store.add_inbound(batch, taken.unwrap_or(At::UNKNOWN), shard, *index, &decoded)
            }
            // An entry at fault says nothing.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// The shard whose log this is; none where it is this chain's own.
fn shard_of(log: &Log) -> Option<ShardId> {
    match log {
        Log::Inbox(chain) => match chain.parts()? {
            (_, ChainRole::Shard(shard)) => Some(shard),
            (_, ChainRole::Settlement) => None,
        },
        Log::Outbox(_) | Log::Postings => None,
    }
}
