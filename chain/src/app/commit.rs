//! A decided block becomes the newest version: its history is written, and only then does anybody see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use db3_primitives::{BlockTime, ChainId, Height, MutationId, Rejection, Tai};
use rocksdb::WriteBatch;

use super::delivery::outlived;
use super::events::EventMutationOf;
use super::governance;
use super::{BlockEventOf, Decided, Executed, Inner, MutationBodyOf};
use crate::error::FatalError;
use crate::lock;
use crate::machine::{Appended, At, Machine};
use crate::metrics::observe;
use crate::pool::ReceiptState;
use crate::pool::mempool::{Funds, SettledBlock};
use crate::store::blocks::BlockSummary;
use crate::store::receipts::StoredReceipt;
use crate::store::{Step, StoreError};
use crate::version::VersionOf;

/// Versions that wait for their header. One waits for the next block; after a start, those of the blocks that were
/// executed again do until `CometBFT` answers.
const UNPROVEN_MAX: usize = 64;

impl<M: Machine> Inner<M> {
    /// Writes the decided block's history and makes its version the newest.
    pub(super) fn commit(&self) -> Result<(), FatalError> {
        let Some(mut decided) = lock(&self.decided).take() else {
            return Err(FatalError::Engine { detail: "a commit without a block".to_owned() });
        };
        let started = Instant::now();
        let before = self.versions.committed();
        let at = At { height: decided.executed.place.height, time: decided.executed.place.time };
        let receipts: Vec<_> =
            M::receipts(&decided.executed.state, &mut decided.executed.effects, at).into_iter().map(Arc::new).collect();
        let summary = summary(&decided, &before, &receipts);
        self.write_history(&decided, &summary, &receipts)?;
        Step::AfterHistory.reached();
        observe(&self.metrics.commit_seconds, started.elapsed());

        let Decided { executed, .. } = decided;
        let time = executed.place.time;
        let dropped = executed.dropped.into_iter().map(|(id, rejection)| self.end_of(id, rejection));
        let dropped = dropped.collect::<Result<Vec<_>, StoreError>>()?;
        let version = VersionOf::<M>::new(executed.place.height, time, executed.state);
        self.metrics.block(version.height, time);
        self.metrics.tree_leaves.set(M::tree(&version.state).len());
        self.metrics.mutations.inc_by(u64::from(summary.applied.saturating_add(summary.failed)));
        let mutations = receipts.iter().filter_map(|receipt| {
            let at = usize::try_from(receipt.index).ok()?;
            let verified = executed.mutations.get(at)?.clone()?;
            Some(EventMutationOf { receipt: Arc::clone(receipt), body: MutationBodyOf::Verified(verified) })
        });
        M::report(&executed.effects);
        governance::report(M::governed(&executed.effects));
        let closed = M::closed(&executed.effects);
        let transaction_bytes = summary.transaction_bytes;
        let event = BlockEventOf::<M> { mutations: mutations.collect(), closed, summary };
        self.events.push(Arc::new(event));
        let state = version.state.clone();
        let is_governed = !M::governed(&executed.effects).applied.is_empty();
        let funds = if is_governed { Funds::Repriced } else { Funds::Lowered(M::lowered(&executed.effects)) };
        let (receipts, mutations) = (&receipts, &executed.mutations);
        let block = SettledBlock { time, state: &state, receipts, mutations, refused: dropped, funds };
        self.mempool.settle(&block, || self.versions.commit(version));
        let committed = self.versions.committed();
        let state = &committed.state;
        for delivered in M::delivered(&executed.effects) {
            self.metrics.delivered(delivered);
            self.measure_channel(state, &delivered.source);
        }
        self.measure_round(state, time);
        self.deliveries.settle(executed.place.height, &executed.place.txs, |delivery, worth| {
            outlived::<M>(state, delivery, worth, time)
        });
        self.settle_governance(state, executed.place.height, time, M::governed(&executed.effects));
        // Before the version is offered to the snapshot, so that it is due by what it holds.
        self.snapshotter.count(transaction_bytes);
        self.wait_for_header(before);
        Ok(())
    }

    /// Keeps a version until its header is known; of too many the oldest are never proven.
    pub(super) fn wait_for_header(&self, version: Arc<VersionOf<M>>) {
        let mut unproven = lock(&self.unproven);
        unproven.push_back(version);
        let oldest = if unproven.len() > UNPROVEN_MAX { unproven.pop_front() } else { None };
        drop(unproven);
        drop(oldest);
    }

    /// The header of `height` exists: the version before it can be proven. Versions before that one are not any more.
    pub(crate) fn prove(&self, height: Height, light_block: Arc<[u8]>) {
        let mut passed = Vec::new();
        let mut found = None;
        let mut unproven = lock(&self.unproven);
        while let Some(version) = unproven.pop_front() {
            match version.height.next() {
                Some(next) if next < height => passed.push(version),
                Some(next) if next == height => {
                    found = Some(version);
                    break;
                }
                Some(_) | None => {
                    unproven.push_front(version);
                    break;
                }
            }
        }
        drop(unproven);
        drop(passed);
        let Some(before) = found else { return };
        let version = self.versions.prove(&before, light_block);
        self.metrics.provable_height.set(version.height.get());
        self.sync_files.offer(&version);
        self.snapshotter.offer(version);
    }

    /// The oldest block that is needed; 0: all are kept. Those above the snapshot are needed to come back to the newest
    /// state, and those above the snapshots for others by whoever comes from one.
    pub(super) fn retain_height(&self) -> Height {
        let kept = self.config.blocks_kept;
        let newest = self.versions.committed().height.get();
        let oldest = if kept == 0 { 0 } else { newest.saturating_sub(kept) };
        let offered = self.sync_files.oldest().unwrap_or(Height::new(oldest));
        Height::new(oldest).min(self.snapshotter.durable_height()).min(offered)
    }

    fn write_history(
        &self,
        decided: &Decided<M>,
        summary: &BlockSummary,
        receipts: &[Arc<StoredReceipt>],
    ) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for receipt in receipts {
            self.store.add_receipt(&mut batch, receipt)?;
        }
        for appended in M::appended(&decided.executed.state, &decided.executed.effects) {
            match appended {
                Appended::Entry { log, index, bytes } => self.store.add_entry(&mut batch, &log, index, &bytes)?,
                Appended::Begun { log, from } => self.store.add_frontier(&mut batch, &log, from)?,
                Appended::Node { log, node } => self.store.add_node(&mut batch, &log, node)?,
            }
        }
        let at = At { height: summary.height, time: summary.time };
        let Executed { effects, mutations, .. } = &decided.executed;
        M::write_history(&self.store, &mut batch, at, effects, receipts, mutations)?;
        self.store.add_decisions(&mut batch, summary.height, M::governed(&decided.executed.effects))?;
        self.store.add_summary(&mut batch, summary)?;
        let synced = self.sync_commits.load(Ordering::Relaxed);
        self.store.write(batch, synced)?;
        self.store.keep_manifest()?;
        if synced { self.store.acknowledge(summary.height, &summary.hash) } else { Ok(()) }
    }

    /// Measures what the newest version says of other chains and of rounds.
    pub(crate) fn measure(&self) {
        let version = self.versions.committed();
        self.metrics.block(version.height, version.time);
        for source in M::sources(&version.state) {
            self.measure_channel(&version.state, &source);
        }
        self.measure_round(&version.state, version.time);
    }

    /// Measures how far a chain is heard.
    fn measure_channel(&self, state: &M::State, source: &ChainId) {
        if let Some(channel) = M::channel(state, source) {
            self.metrics.channel(&channel, channel.frozen().is_some() || M::fault(state, source).is_some());
        }
    }

    /// Measures how far rounds of settlement have come.
    fn measure_round(&self, state: &M::State, time: BlockTime) {
        if let Some(round) = M::round(state) {
            // Before the first round, the epoch in which the chain began: nothing is late then.
            let settled = round.settled.unwrap_or_else(|| M::open_epoch(state, self.genesis.time()));
            self.metrics.rounds.set(round.rounds);
            self.metrics.settled_epoch.set(settled.get());
            self.metrics.open_epoch.set(M::open_epoch(state, time).get());
        }
    }

    /// What is told about a mutation that waited and was left out for good. It may be in an earlier block: then it was admitted
    /// a second time while that block was being committed, and its end is that block's.
    fn end_of(&self, id: MutationId, rejection: Rejection) -> Result<(MutationId, ReceiptState), StoreError> {
        let state = match (self.store.receipt(&id)?, &rejection) {
            (Some(receipt), _) => ReceiptState::Done(Arc::new(receipt)),
            (None, Rejection::Expired { .. }) => ReceiptState::Expired,
            (None, _) => {
                self.metrics.rejected(&rejection);
                ReceiptState::Rejected(rejection)
            }
        };
        Ok((id, state))
    }
}

fn summary<M: Machine>(decided: &Decided<M>, before: &VersionOf<M>, receipts: &[Arc<StoredReceipt>]) -> BlockSummary {
    let Executed { place, state, mutations, refused_deliveries, .. } = &decided.executed;
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let bytes = place.txs.iter().fold(0_u64, |bytes, tx| bytes.saturating_add(tx.len() as u64));
    let fees = receipts.iter().try_fold(Tai::ZERO, |sum, receipt| sum.checked_add(receipt.fee));
    BlockSummary {
        height: place.height,
        hash: decided.hash,
        time: place.time,
        app_hash: before.root,
        root: M::root(state),
        proposer: decided.proposer,
        transactions: count(place.txs.len()),
        transaction_bytes: bytes,
        deliveries: count(M::delivered(&decided.executed.effects).len()),
        mutations: count(mutations.len().saturating_sub(*refused_deliveries)),
        applied: count(receipts.iter().filter(|receipt| receipt.rejection.is_none()).count()),
        failed: count(receipts.iter().filter(|receipt| receipt.rejection.is_some() && receipt.is_charged()).count()),
        // Rule I2: the sums of a block's accounts hold its fees.
        fees: fees.unwrap_or(Tai::ZERO),
        outbox_entries: count(M::outbound_entries(&decided.executed.effects)),
        epoch: M::open_epoch(state, place.time),
    }
}
