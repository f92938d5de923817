//! Making a block and judging one.
//!
//! A block never holds a delivery that brings nothing, a decision that cannot be accepted, nor a mutation that cannot be charged, and its deliveries and decisions come
//! first: whoever makes it leaves those out, counting what stands
//! before in the same block, and whoever judges it refuses it as a whole. Both execute, and keep the result: it is
//! taken when the block is decided.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use db3_carry::Delivery;
use db3_governance::SignedProposal;
use db3_primitives::limits::{
    BLOCK_BYTES_MAX, BLOCK_DELIVERIES_MAX, BLOCK_GOVERNANCE_MAX, BUNDLE_BYTES_MAX, DELIVERY_TX_BYTES_MAX,
    MUTATION_BYTES_MAX, TX_BYTES_MAX,
};
use db3_primitives::{Class, MutationId, Rejection, Verified};
use db3_proto::{BlockTx, TxKind, decode_tx, element_bytes, encode_bundle, encode_delivery_tx};

use super::delivery::worthiest_first;
use super::governance::misplaced_decision;
use super::{Executed, Inner, Place};
use crate::lock;
use crate::machine::Machine;
use crate::metrics::observe;
use crate::pool::Verdicts;
use crate::pool::order;
use crate::pool::verdicts::{Refusal, Verdict};

/// Bundles are filled to this, the length of one with a longest mutation alone, so that there is a bundle for every
/// mutation; `CometBFT` moves transactions of 128 to 256 KiB best.
pub(crate) const BUNDLE_BYTES: usize = element_bytes(MUTATION_BYTES_MAX);
const _: () = assert!(BUNDLE_BYTES <= BUNDLE_BYTES_MAX && BUNDLE_BYTES_MAX <= TX_BYTES_MAX);
/// Deliveries take at most so much of a block, so that mutations have room beside them.
pub(crate) const DELIVERY_BYTES_MAX: usize = BLOCK_BYTES_MAX / 2;
const _: () =
    assert!(element_bytes(DELIVERY_TX_BYTES_MAX) <= DELIVERY_BYTES_MAX, "a block has room for every delivery");

/// What stands around a transaction in a block, as `CometBFT` counts it.
const FRAME_BYTES: usize = element_bytes(TX_BYTES_MAX).saturating_sub(TX_BYTES_MAX);

/// The transactions of a block, taken apart and judged.
pub(crate) struct Judged<M: Machine> {
    pub(crate) deliveries: Vec<Placed>,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) items: Vec<Item<M>>,
}

/// A delivery of a block.
pub(crate) struct Placed {
    pub(crate) tx: Bytes,
    pub(crate) delivery: Delivery,
    /// It stands after a bundle, where none may.
    pub(crate) misplaced: bool,
}

/// A decision of operators in a block.
pub(crate) struct Decision {
    pub(crate) tx: Bytes,
    pub(crate) signed: SignedProposal,
    /// It stands after a bundle, where none may.
    pub(crate) misplaced: bool,
}

/// One mutation of a block, as bytes and as judged.
pub(crate) struct Item<M: Machine> {
    /// Its envelope; none where the bundle around it could not be read.
    pub(crate) envelope: Option<Bytes>,
    pub(crate) verdict: Verdict<M>,
}

impl<M: Machine> Item<M> {
    fn body(&self) -> Option<&M::Body> {
        self.verdict.as_ref().ok().map(|verified| verified.content())
    }
}

/// Candidates that were offered to a block.
struct Offered<M: Machine> {
    kept: Vec<(Bytes, Arc<Verified<M::Body>>)>,
    /// What no block can hold, and why.
    dropped: Vec<(MutationId, Rejection)>,
    /// Something was left for a later block, or could not be read.
    left_out: bool,
}

impl<M: Machine> Inner<M> {
    /// The block to propose from these transactions: deliveries that bring something, then what can be charged, in nonce
    /// order, within the limits.
    pub(super) fn prepare(&self, place: Place, bytes_max: usize) -> Vec<Bytes> {
        let started = Instant::now();
        let bytes_max = bytes_max.min(BLOCK_BYTES_MAX);
        let Judged { deliveries, decisions, mut items } = self.judge(&place.txs);
        let before: Vec<_> = items.iter().map(|item| item.envelope.as_ref().map(|bytes| bytes.as_ptr())).collect();
        order::by_nonce::<M, _>(&mut items, Item::body);
        let ordered = items.iter().map(|item| item.envelope.as_ref().map(|bytes| bytes.as_ptr())).eq(before)
            && deliveries.iter().all(|placed| !placed.misplaced)
            && decisions.iter().all(|decision| !decision.misplaced);
        let fits = framed_bytes(&place.txs) <= bytes_max;

        let version = self.versions.committed();
        let mut executor = M::begin(&version.state, place.height, place.time, &place.misbehaviour);
        let offered_deliveries: Vec<Bytes> = deliveries.iter().map(|placed| placed.tx.clone()).collect();
        let deliveries = worthiest_first::<M>(&version.state, deliveries);
        let delivered = self.deliver(&mut executor, deliveries, bytes_max);
        let offered_decisions = decisions.len();
        let bytes_left = bytes_max.saturating_sub(framed_bytes(&delivered));
        let decided = decide::<M>(&mut executor, decisions, bytes_left);
        let bytes_left = bytes_left.saturating_sub(framed_bytes(&decided));
        let offered = offer::<M>(&mut executor, items, room_in_bundles(bytes_left));
        let first = delivered == offered_deliveries && decided.len() == offered_decisions;
        let all = first && !offered.left_out && offered.dropped.is_empty();
        if ordered && fits && all {
            // Every transaction was taken as it is, and nothing was refused: this is what `process` would do.
            let txs = place.txs.clone();
            let (state, effects) = M::finish(executor);
            let mutations = offered.kept.into_iter().map(|(_, verified)| Some(verified)).collect();
            *lock(&self.executed) =
                Some(Executed { place, state, effects, mutations, refused_deliveries: 0, dropped: Vec::new() });
            observe(&self.metrics.execution_seconds, started.elapsed());
            return txs;
        }
        drop(executor);
        let bundles = bundles(offered.kept.into_iter().map(|(envelope, _)| envelope));
        let txs = delivered.into_iter().chain(decided).chain(bundles).collect();
        self.propose(Place { txs, ..place }, offered.dropped)
    }

    /// Applies the deliveries that bring something and gives their transactions, without what in them is there already. What
    /// never will stops waiting.
    fn deliver(&self, executor: &mut M::Executor, deliveries: Vec<Placed>, bytes_max: usize) -> Vec<Bytes> {
        let mut bytes_left = bytes_max.min(DELIVERY_BYTES_MAX);
        let mut delivered = Vec::new();
        // Of each source that was delivered, how far.
        let mut cursors = BTreeMap::new();
        for Placed { tx, delivery, .. } in deliveries {
            // What is in this block already stops waiting when it is decided.
            let end = delivery.log.start.saturating_add(delivery.log.entries.len() as u64);
            let is_there = cursors.get(&delivery.source).is_some_and(|cursor| end <= *cursor);
            if element_bytes(tx.len()) > bytes_left || (is_there && !delivery.is_headers_alone()) {
                continue;
            }
            if delivered.len() >= BLOCK_DELIVERIES_MAX {
                break;
            }
            let mut lighter = self.without_known(delivery.clone());
            match M::deliver(executor, &lighter) {
                Ok(done) => {
                    // And without what another delivery of this block has brought.
                    lighter.log.skip_to(done.first);
                    let tx = if lighter == delivery { tx } else { Bytes::from(encode_delivery_tx(&lighter)) };
                    bytes_left = bytes_left.saturating_sub(element_bytes(tx.len()));
                    cursors.insert(done.source, done.cursor);
                    delivered.push(tx);
                }
                // Block time catches up, and a later block has room.
                Err(Rejection::HeaderTooEarly { .. } | Rejection::BlockFull { .. }) => {}
                Err(rejection) => self.deliveries.refuse(&tx, &rejection),
            }
        }
        delivered
    }

    /// Judges the proposal that is about to be made, and proposes an empty block where it would be refused.
    fn propose(&self, place: Place, dropped: Vec<(MutationId, Rejection)>) -> Vec<Bytes> {
        let empty = Place { txs: Vec::new(), ..place.clone() };
        let executed = self.check(place).or_else(|rejection| {
            tracing::error!(%rejection, "app.prepare: own proposal refused, proposing an empty block");
            self.check(empty)
        });
        match executed {
            Ok(executed) => {
                let txs = executed.place.txs.clone();
                *lock(&self.executed) = Some(Executed { dropped, ..executed });
                txs
            }
            Err(_) => Vec::new(),
        }
    }

    /// Whether a proposed block may be. Its result is kept.
    pub(super) fn process(&self, place: Place) -> bool {
        if lock(&self.executed).as_ref().is_some_and(|executed| executed.place == place) {
            return true;
        }
        match self.check(place) {
            Ok(executed) => {
                *lock(&self.executed) = Some(executed);
                true
            }
            Err(rejection) => {
                tracing::warn!(%rejection, "app.process: proposal refused");
                false
            }
        }
    }

    /// Executes a proposal that must hold nothing that could not be charged.
    pub(crate) fn check(&self, place: Place) -> Result<Executed<M>, Rejection> {
        let started = Instant::now();
        if total_bytes(&place.txs) > BLOCK_BYTES_MAX {
            return Err(Rejection::BlockFull { what: "bytes" });
        }
        check_numbers(&place.txs)?;
        let version = self.versions.committed();
        let mut executor = M::begin(&version.state, place.height, place.time, &place.misbehaviour);
        let mut mutations = Vec::new();
        let Judged { deliveries, decisions, items } = self.judge(&place.txs);
        for Placed { delivery, misplaced, .. } in &deliveries {
            if *misplaced {
                return Err(misplaced_delivery());
            }
            let done = M::deliver(&mut executor, delivery)?;
            if !delivery.is_headers_alone() && delivery.log.start < done.first {
                return Err(padded_delivery(delivery.log.start, done.first));
            }
        }
        for Decision { signed, misplaced, .. } in &decisions {
            if *misplaced {
                return Err(misplaced_decision());
            }
            let _ = M::govern(&mut executor, signed)?;
        }
        for item in items {
            let verified = item.verdict.map_err(|refusal| refusal.rejection)?;
            M::apply(&mut executor, &verified)?;
            mutations.push(Some(verified));
        }
        let (state, effects) = M::finish(executor);
        observe(&self.metrics.execution_seconds, started.elapsed());
        Ok(Executed { place, state, effects, mutations, refused_deliveries: 0, dropped: Vec::new() })
    }

    fn judge(&self, txs: &[Bytes]) -> Judged<M> {
        judge(&self.verdicts, self.threads, txs)
    }
}

/// Whether a block holds no more deliveries and decisions than may be, before any of them is read.
fn check_numbers(txs: &[Bytes]) -> Result<(), Rejection> {
    let count = |kind| txs.iter().filter(|tx| TxKind::of(tx) == kind).count();
    if count(TxKind::Delivery) > BLOCK_DELIVERIES_MAX {
        return Err(Rejection::BlockFull { what: "deliveries" });
    }
    if count(TxKind::Governance) > BLOCK_GOVERNANCE_MAX {
        return Err(Rejection::BlockFull { what: "governance transactions" });
    }
    Ok(())
}

/// Takes transactions apart and judges every mutation in them, on `threads` threads. A transaction that cannot be read
/// is one refused item.
pub(crate) fn judge<M: Machine>(verdicts: &Verdicts<M>, threads: usize, txs: &[Bytes]) -> Judged<M> {
    let mut items = Vec::new();
    let mut deliveries = Vec::new();
    let mut decisions = Vec::new();
    for tx in txs {
        match decode_tx(tx) {
            Ok(BlockTx::Bundle(envelopes)) => {
                items.extend(envelopes.into_iter().map(|envelope| Ok(tx.slice_ref(envelope))));
            }
            Ok(BlockTx::Delivery(delivery)) => {
                deliveries.push(Placed { tx: tx.clone(), delivery, misplaced: !items.is_empty() });
            }
            Ok(BlockTx::Governance(signed)) => {
                decisions.push(Decision { tx: tx.clone(), signed, misplaced: !items.is_empty() });
            }
            Err(rejection) => items.push(Err(rejection)),
        }
    }
    let readable: Vec<&[u8]> = items.iter().filter_map(|item| item.as_deref().ok()).collect();
    let mut verdicts = verdicts.of_all(&readable, threads).into_iter();
    let item = |item: Result<Bytes, Rejection>| match item {
        Ok(envelope) => verdicts.next().map(|verdict| Item { envelope: Some(envelope), verdict }),
        Err(rejection) => Some(Item { envelope: None, verdict: Err(Box::new(Refusal { id: None, rejection })) }),
    };
    Judged { deliveries, decisions, items: items.into_iter().filter_map(item).collect() }
}

/// Why a block with a delivery in the wrong place is none.
pub(super) fn misplaced_delivery() -> Rejection {
    Rejection::DeliveryMalformed { detail: "it stands after a bundle; deliveries come first in a block".to_owned() }
}

/// Why a proposal with a delivery of entries that were taken before is none: nobody looks at them, so anything may stand in
/// their place, and whoever proposes knows the cursor and leaves them out.
fn padded_delivery(start: u64, cursor: u64) -> Rejection {
    Rejection::DeliveryMalformed {
        detail: format!("it starts at entry {start}, and in a block it would start at the cursor, which is {cursor}"),
    }
}

/// Accepts the decisions that can be, in order, as far as there is room, and gives their transactions.
fn decide<M: Machine>(executor: &mut M::Executor, decisions: Vec<Decision>, bytes_max: usize) -> Vec<Bytes> {
    let mut bytes_left = bytes_max;
    let mut decided = Vec::new();
    for Decision { tx, signed, .. } in decisions {
        let Some(left) = bytes_left.checked_sub(element_bytes(tx.len())) else { continue };
        if M::govern(executor, &signed).is_ok() {
            bytes_left = left;
            decided.push(tx);
        }
    }
    decided
}

/// Offers candidates to a block, in order, until its bytes are used up.
fn offer<M: Machine>(executor: &mut M::Executor, items: Vec<Item<M>>, bytes_max: usize) -> Offered<M> {
    let mut offered = Offered { kept: Vec::with_capacity(items.len()), dropped: Vec::new(), left_out: false };
    let mut bytes_left = bytes_max;
    for item in items {
        let (Some(envelope), Ok(verified)) = (item.envelope, item.verdict) else {
            offered.left_out = true;
            continue;
        };
        let Some(left) = bytes_left.checked_sub(element_bytes(envelope.len())) else {
            offered.left_out = true;
            continue;
        };
        match M::apply(executor, &verified) {
            Ok(()) => {
                bytes_left = left;
                offered.kept.push((envelope, verified));
            }
            Err(rejection) if is_for_good(&rejection) => offered.dropped.push((verified.id(), rejection)),
            Err(_) => offered.left_out = true,
        }
    }
    offered
}

/// Whether no later block can hold what was refused for this. All else something may mend while it waits, here or with the
/// other nodes that have it: room, block time, a longer lease, a higher line, lower prices.
fn is_for_good(rejection: &Rejection) -> bool {
    rejection.class() == Class::Malformed
        || matches!(
            rejection,
            Rejection::Expired { .. }
                | Rejection::WrongShard { .. }
                | Rejection::NamespaceTaken { .. }
                | Rejection::NotPermitted { .. }
                | Rejection::NonceUsed { .. }
        )
}

/// Fills bundles with envelopes, in order.
pub(crate) fn bundles(envelopes: impl IntoIterator<Item = Bytes>) -> Vec<Bytes> {
    let mut bundles = Vec::new();
    let mut open: Vec<Bytes> = Vec::new();
    let mut bytes = 0_usize;
    for envelope in envelopes {
        let element = element_bytes(envelope.len());
        if bytes.saturating_add(element) > BUNDLE_BYTES && !open.is_empty() {
            bundles.push(Bytes::from(encode_bundle(open.drain(..))));
            bytes = 0;
        }
        bytes = bytes.saturating_add(element);
        open.push(envelope);
    }
    if !open.is_empty() {
        bundles.push(Bytes::from(encode_bundle(open)));
    }
    bundles
}

/// How much of so many bytes of a block its mutations may take: what is left stands around their bundles. (Two bundles that
/// follow each other are longer than one.)
pub(crate) fn room_in_bundles(bytes: usize) -> usize {
    let bundles = (bytes / BUNDLE_BYTES).saturating_mul(2).saturating_add(1);
    bytes.saturating_sub(bundles.saturating_mul(FRAME_BYTES))
}

fn total_bytes(txs: &[Bytes]) -> usize {
    txs.iter().fold(0, |bytes: usize, tx| bytes.saturating_add(tx.len()))
}

/// The same with what stands around each.
pub(crate) fn framed_bytes(txs: &[Bytes]) -> usize {
    txs.iter().fold(0, |bytes: usize, tx| bytes.saturating_add(element_bytes(tx.len())))
}
