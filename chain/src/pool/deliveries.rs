//! Deliveries that wait for a block: checked, at most two for each source, and a bounded number of sources, since only
//! chains that this one hears have a place.
//!
//! A delivery that was good when it came stays until a block holds it, until another one has brought the same entries,
//! or until its channel froze. One that only block time is behind waits on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use db3_carry::Delivery;
use db3_primitives::{ChainId, Height, Identifier, Rejection};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::lock;
use crate::signal::Signal;

/// Deliveries of one source that wait. One is on its way, one follows it.
const PER_SOURCE_MAX: usize = 2;

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It waits.
    Pending,
    /// The block of this height holds it.
    Done(Height),
    /// No block holds it. [`Rejection::DeliveryStale`]: what it brings is there already.
    Dropped(Rejection),
}

/// A delivery that was taken, and the watch of what becomes of it.
#[derive(Clone, Debug)]
pub struct SubmittedDelivery {
    /// Its identifier.
    pub id: Identifier,
    pub(crate) state: watch::Receiver<DeliveryState>,
}

impl SubmittedDelivery {
    /// Waits until a block holds it: the block's height; none if the deadline passes before; an error where none will.
    pub async fn block(mut self, deadline: Instant) -> Result<Option<Height>, Rejection> {
        let ended = self.state.wait_for(|state| *state != DeliveryState::Pending);
        match timeout_at(deadline, ended).await {
            Err(_) => Ok(None),
            Ok(Err(_)) => Err(Rejection::Stopping),
            Ok(Ok(state)) => match &*state {
                DeliveryState::Pending => Ok(None),
                DeliveryState::Done(height) => Ok(Some(*height)),
                DeliveryState::Dropped(rejection) => Err(rejection.clone()),
            },
        }
    }
}

struct Pending {
    id: Identifier,
    delivery: Arc<Delivery>,
    /// The consensus transaction that holds it.
    tx: Bytes,
    state: watch::Sender<DeliveryState>,
}

/// The deliveries that wait.
pub(crate) struct Deliveries {
    waiting: Mutex<BTreeMap<ChainId, Vec<Pending>>>,
    signal: Arc<Signal>,
}

impl Deliveries {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        Self { waiting: Mutex::default(), signal }
    }

    /// A delivery that waits.
    pub(crate) fn watch(&self, source: &ChainId, id: &Identifier) -> Option<SubmittedDelivery> {
        let waiting = lock(&self.waiting);
        let pending = waiting.get(source)?.iter().find(|pending| pending.id == *id)?;
        Some(SubmittedDelivery { id: pending.id, state: pending.state.subscribe() })
    }

    /// Whether another delivery of a source may wait.
    pub(crate) fn check_room(&self, source: &ChainId) -> Result<(), Rejection> {
        check_room(lock(&self.waiting).get(source).map_or(&[], Vec::as_slice))
    }

    /// Takes a delivery that was found good.
    pub(crate) fn insert(&self, id: Identifier, delivery: Delivery, tx: Bytes) -> Result<SubmittedDelivery, Rejection> {
        let mut waiting = lock(&self.waiting);
        let pending = waiting.entry(delivery.source.clone()).or_default();
        let submitted = if let Some(same) = pending.iter().find(|pending| pending.id == id) {
            SubmittedDelivery { id, state: same.state.subscribe() }
        } else {
            check_room(pending)?;
            let (sender, state) = watch::channel(DeliveryState::Pending);
            pending.push(Pending { id, delivery: Arc::new(delivery), tx, state: sender });
            SubmittedDelivery { id, state }
        };
        drop(waiting);
        self.signal.raise();
        Ok(submitted)
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.waiting).values().all(Vec::is_empty)
    }

    /// Consensus transactions for a block, the sources in turn, at most so many and so many bytes.
    pub(crate) fn select(&self, count: usize, bytes: usize) -> Vec<Bytes> {
        let waiting = lock(&self.waiting);
        let turn = |at: usize| waiting.values().filter_map(move |pending| pending.get(at));
        let mut left = bytes;
        let mut selected = Vec::new();
        for pending in (0..PER_SOURCE_MAX).flat_map(turn) {
            if selected.len() >= count {
                break;
            }
            if let Some(rest) = left.checked_sub(pending.tx.len()) {
                left = rest;
                selected.push(pending.tx.clone());
            }
        }
        selected
    }

    /// After a block: what it holds and what is of no use any more stops waiting. `useless` says why, of a delivery that
    /// the block does not hold.
    pub(crate) fn settle(&self, height: Height, txs: &[Bytes], useless: impl Fn(&Delivery) -> Option<Rejection>) {
        self.end(|pending| {
            let held = txs.contains(&pending.tx).then_some(DeliveryState::Done(height));
            held.or_else(|| useless(&pending.delivery).map(DeliveryState::Dropped))
        });
    }

    /// Drops one that no block can hold.
    pub(crate) fn refuse(&self, tx: &Bytes, rejection: &Rejection) {
        self.end(|pending| (pending.tx == *tx).then(|| DeliveryState::Dropped(rejection.clone())));
    }

    /// Removes those that have come to an end, and tells whoever watches them.
    fn end(&self, of: impl Fn(&Pending) -> Option<DeliveryState>) {
        let mut ends = Vec::new();
        let mut waiting = lock(&self.waiting);
        for pending in waiting.values_mut() {
            for one in std::mem::take(pending) {
                match of(&one) {
                    Some(state) => ends.push((one, state)),
                    None => pending.push(one),
                }
            }
        }
        waiting.retain(|_, pending| !pending.is_empty());
        drop(waiting);
        for (pending, state) in ends {
            pending.state.send_replace(state);
        }
    }
}

fn check_room(waiting: &[Pending]) -> Result<(), Rejection> {
    if waiting.len() < PER_SOURCE_MAX {
        return Ok(());
    }
    Err(Rejection::Overloaded { what: "two deliveries from that chain wait for a block already" })
}
