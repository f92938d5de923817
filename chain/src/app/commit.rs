//! A decided block becomes the newest version: its history is written, and only then does anybody see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use db3_primitives::{MutationId, Rejection, Tai};
use rocksdb::WriteBatch;

use super::events::EventMutation;
use super::{BlockEvent, Decided, Inner, MutationBody};
use crate::error::FatalError;
use crate::lock;
use crate::metrics::observe;
use crate::pool::ReceiptState;
use crate::store::blocks::BlockSummary;
use crate::store::receipts::StoredReceipt;
use crate::store::{Step, StoreError};
use crate::version::Version;

impl Inner {
    /// Writes the decided block's history and makes its version the newest.
    pub(super) fn commit(&self) -> Result<(), FatalError> {
        let Some(mut decided) = lock(&self.decided).take() else {
            return Err(FatalError::Engine { detail: "a commit without a block".to_owned() });
        };
        let started = Instant::now();
        let before = self.versions.committed();
        let outbox_first = before.state.outbox().size();
        let receipts = stored_receipts(&mut decided);
        let summary = summary(&decided, &before, outbox_first, &receipts);
        self.write_history(&decided, &summary, &receipts)?;
        Step::AfterHistory.reached();
        observe(&self.metrics.commit_seconds, started.elapsed());

        let Decided { executed, .. } = decided;
        let time = executed.place.time;
        let dropped = executed.dropped.into_iter().map(|(id, rejection)| self.end_of(id, rejection));
        let dropped = dropped.collect::<Result<Vec<_>, StoreError>>()?;
        let version = Version::new(executed.place.height, time, executed.state);
        self.metrics.block(version.height, time);
        self.metrics.tree_leaves.set(version.state.tree().len());
        self.metrics.mutations.inc_by(u64::from(summary.applied.saturating_add(summary.failed)));
        let mutations = receipts.iter().filter_map(|receipt| {
            let at = usize::try_from(receipt.index).ok()?;
            let verified = executed.mutations.get(at)?.clone()?;
            Some(EventMutation { receipt: Arc::clone(receipt), body: MutationBody::Verified(verified) })
        });
        let event = BlockEvent { mutations: mutations.collect(), closed: executed.effects.closed, summary };
        self.events.push(Arc::new(event));
        self.mempool.settle(time, &receipts, dropped, || self.versions.commit(version));
        *lock(&self.unproven) = Some(before);
        Ok(())
    }

    /// The header of the newest block exists: the version before it can be proven.
    pub(crate) fn prove(&self, light_block: Arc<[u8]>) {
        let Some(before) = lock(&self.unproven).take() else { return };
        let version = self.versions.prove(&before, light_block);
        self.metrics.provable_height.set(version.height.get());
        self.snapshotter.offer(version);
    }

    fn write_history(
        &self,
        decided: &Decided,
        summary: &BlockSummary,
        receipts: &[Arc<StoredReceipt>],
    ) -> Result<(), StoreError> {
        let (place, effects) = (&decided.executed.place, &decided.executed.effects);
        let mut batch = WriteBatch::default();
        for receipt in receipts {
            self.store.add_receipt(&mut batch, receipt)?;
        }
        let charged = receipts.iter().filter(|receipt| receipt.is_charged());
        self.store.add_bills(&mut batch, place.time, effects, charged.map(|receipt| &receipt.namespace))?;
        self.store.add_entries(&mut batch, place.height, place.time, effects)?;
        self.store.add_summary(&mut batch, summary)?;
        self.store.write(batch, self.sync_commits.load(Ordering::Relaxed))
    }

    /// What is told about a mutation that waited and was left out. It may be in an earlier block: then it was admitted
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

fn stored_receipts(decided: &mut Decided) -> Vec<Arc<StoredReceipt>> {
    let place = &decided.executed.place;
    let epoch = decided.executed.effects.bill_epoch;
    let receipts = std::mem::take(&mut decided.executed.effects.receipts);
    receipts.into_iter().map(|receipt| Arc::new(StoredReceipt::new(receipt, place.height, place.time, epoch))).collect()
}

fn summary(decided: &Decided, before: &Version, outbox_first: u64, receipts: &[Arc<StoredReceipt>]) -> BlockSummary {
    let (place, effects) = (&decided.executed.place, &decided.executed.effects);
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let bytes = place.txs.iter().fold(0_u64, |bytes, tx| bytes.saturating_add(tx.len() as u64));
    let fees = receipts.iter().try_fold(Tai::ZERO, |sum, receipt| sum.checked_add(receipt.fee));
    BlockSummary {
        height: place.height,
        hash: decided.hash,
        time: place.time,
        app_hash: before.root,
        root: decided.executed.state.root(),
        proposer: decided.proposer,
        transactions: count(place.txs.len()),
        transaction_bytes: bytes,
        mutations: count(decided.executed.mutations.len()),
        applied: count(receipts.iter().filter(|receipt| receipt.rejection.is_none()).count()),
        failed: count(receipts.iter().filter(|receipt| receipt.rejection.is_some() && receipt.is_charged()).count()),
        // Rule I2: the sums of a block's accounts hold its fees.
        fees: fees.unwrap_or(Tai::ZERO),
        outbox_first,
        outbox_entries: count(effects.entries.len()),
        epoch: effects.bill_epoch,
    }
}
