//! Deliveries that wait for a block: checked, at most two for each source, and a bounded number of sources, since only
//! chains that this one hears have a place.
//!
//! A delivery that was good when it came stays until a block holds it, until another one has brought the same entries or
//! waits to bring far more, or until its channel froze. One that only block time is behind waits on. Headers alone were judged by
//! what was trusted then: when that has moved, they go.
//!
//! Proof that a source has two headers at one height comes before everything else of that source.

use std::cmp::Reverse;
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

/// What a delivery is good for, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    /// Headers alone.
    Headers {
        /// Height of the last one.
        to: u64,
        /// Height that was trusted when they were judged.
        trusted: u64,
    },
    /// Entries.
    Entries {
        /// Index after the last one.
        end: u64,
        /// How many were taken when it was judged.
        cursor: u64,
    },
    /// Proof that its source has two headers at one height.
    Conflict,
}

impl Worth {
    /// Whether a delivery of so many bytes brings far more than another: something of a higher kind, twice as much beyond what
    /// is there already, or as much in half the bytes.
    fn outdoes(self, bytes: usize, other: Self, other_bytes: usize) -> bool {
        let (brings, others) = match (self, other) {
            (Self::Entries { end, cursor: there }, Self::Entries { end: other, .. })
            | (Self::Headers { to: end, trusted: there }, Self::Headers { to: other, .. }) => {
                (end.saturating_sub(there), other.saturating_sub(there))
            }
            (Self::Conflict, Self::Conflict) => (1, 1),
            (Self::Entries { .. } | Self::Conflict, Self::Headers { .. }) | (Self::Conflict, Self::Entries { .. }) => {
                return true;
            }
            (Self::Headers { .. } | Self::Entries { .. }, Self::Conflict)
            | (Self::Headers { .. }, Self::Entries { .. }) => {
                return false;
            }
        };
        brings >= others.saturating_mul(2).max(1) || (brings >= others && bytes <= other_bytes.div_euclid(2))
    }
}

struct Pending {
    id: Identifier,
    worth: Worth,
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

    /// Whether a delivery of so many bytes may wait, if it is good.
    pub(crate) fn check_room(&self, source: &ChainId, worth: Worth, bytes: usize) -> Result<(), Rejection> {
        let waiting = lock(&self.waiting);
        let waiting = waiting.get(source).map_or(&[][..], Vec::as_slice);
        if waiting.len() < PER_SOURCE_MAX || loser(waiting, worth, bytes).is_some() { Ok(()) } else { Err(full()) }
    }

    /// Takes a delivery that was found good.
    pub(crate) fn insert(
        &self,
        id: Identifier,
        worth: Worth,
        delivery: Delivery,
        tx: Bytes,
    ) -> Result<SubmittedDelivery, Rejection> {
        let mut waiting = lock(&self.waiting);
        let pending = waiting.entry(delivery.source.clone()).or_default();
        let mut lost = None;
        let submitted = if let Some(same) = pending.iter().find(|pending| pending.id == id) {
            SubmittedDelivery { id, state: same.state.subscribe() }
        } else {
            if pending.len() >= PER_SOURCE_MAX {
                lost = Some(pending.remove(loser(pending, worth, tx.len()).ok_or_else(full)?));
            }
            let (sender, state) = watch::channel(DeliveryState::Pending);
            pending.push(Pending { id, worth, delivery: Arc::new(delivery), tx, state: sender });
            SubmittedDelivery { id, state }
        };
        drop(waiting);
        if let Some(lost) = lost {
            // What it brings, the longer one brings.
            let stale = Rejection::DeliveryStale { cursor: lost.delivery.log.start };
            lost.state.send_replace(DeliveryState::Dropped(stale));
        }
        self.signal.raise();
        Ok(submitted)
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.waiting).values().all(Vec::is_empty)
    }

    /// Consensus transactions for a block, at most so many and so many bytes: of every source the delivery that brings
    /// most and fits. `turn` says with which source to begin, so that none always comes too late.
    pub(crate) fn select(&self, count: usize, bytes: usize, turn: u64) -> Vec<Bytes> {
        let waiting = lock(&self.waiting);
        let mut sources: Vec<&Vec<Pending>> = waiting.values().collect();
        let first = turn.checked_rem(sources.len() as u64).and_then(|first| usize::try_from(first).ok());
        sources.rotate_left(first.unwrap_or(0));
        let mut left = bytes;
        let mut selected = Vec::new();
        for pending in sources.into_iter().take(count) {
            let fitting = pending.iter().filter(|pending| pending.tx.len() <= left);
            if let Some(most) = fitting.max_by_key(|pending| rank(pending)) {
                left = left.saturating_sub(most.tx.len());
                selected.push(most.tx.clone());
            }
        }
        selected
    }

    /// After a block: what it holds and what is of no use any more stops waiting. `useless` says why, of a delivery that
    /// the block does not hold.
    pub(crate) fn settle(
        &self,
        height: Height,
        txs: &[Bytes],
        useless: impl Fn(&Delivery, Worth) -> Option<Rejection>,
    ) {
        self.end_those(|pending| {
            let held = txs.contains(&pending.tx).then_some(DeliveryState::Done(height));
            held.or_else(|| useless(&pending.delivery, pending.worth).map(DeliveryState::Dropped))
        });
    }

    /// Drops one that no block can hold.
    pub(crate) fn refuse(&self, tx: &Bytes, rejection: &Rejection) {
        self.end_those(|pending| (pending.tx == *tx).then(|| DeliveryState::Dropped(rejection.clone())));
    }

    /// Removes those that have come to an end, and tells whoever watches them.
    fn end_those(&self, of: impl Fn(&Pending) -> Option<DeliveryState>) {
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

/// What is worth more comes first, then what is shorter in bytes.
fn rank(pending: &Pending) -> (Worth, Reverse<usize>) {
    (pending.worth, Reverse(pending.tx.len()))
}

/// Which of those that wait makes room for a delivery: the one that is worth least, if this one brings far more than every
/// one of them. So nobody holds a source up with short or padded deliveries. And since `CometBFT` keeps what made room until
/// the next block, nobody fills its mempool with deliveries that grow by an entry each.
fn loser(waiting: &[Pending], worth: Worth, bytes: usize) -> Option<usize> {
    let outdoes = |pending: &Pending| worth.outdoes(bytes, pending.worth, pending.tx.len());
    let (at, _) = waiting.iter().enumerate().min_by_key(|(_, pending)| rank(pending))?;
    waiting.iter().all(outdoes).then_some(at)
}

fn full() -> Rejection {
    Rejection::Overloaded { what: "two deliveries from that chain wait already, and one brings about as much" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

    use super::*;

    fn delivery(source: &str, entries: usize) -> Delivery {
        let log = db3_merkle_log::Delivery { start: 3, entries: vec![vec![1]; entries], size: 100, right: Vec::new() };
        let empty = Delivery::of_headers(ChainId::parse(source).unwrap(), Vec::new());
        Delivery { log, ..empty }
    }

    fn insert(pool: &Deliveries, number: u8, delivery: Delivery, bytes: usize) -> Result<SubmittedDelivery, Rejection> {
        let worth = match delivery.log.entries.len() {
            0 => HEADERS,
            entries => Worth::Entries { end: delivery.log.start + entries as u64, cursor: delivery.log.start },
        };
        pool.insert(Identifier([number; 32]), worth, delivery, Bytes::from(vec![number; bytes]))
    }

    const HEADERS: Worth = Worth::Headers { to: 9, trusted: 3 };

    fn numbers(selected: &[Bytes]) -> Vec<u8> {
        selected.iter().map(|tx| tx[0]).collect()
    }

    #[test]
    fn a_far_longer_delivery_takes_the_place_of_a_shorter_one_and_of_a_padded_one() {
        let pool = Deliveries::new(Arc::default());
        let short = insert(&pool, 1, delivery("test-shard-0", 1), 50).unwrap();
        let padded = insert(&pool, 2, delivery("test-shard-0", 2), 900).unwrap();
        assert!(insert(&pool, 3, delivery("test-shard-0", 1), 50).is_err(), "it brings no more than the least");
        assert!(insert(&pool, 4, delivery("test-shard-0", 3), 800).is_err(), "it brings little more than the best");
        insert(&pool, 5, delivery("test-shard-0", 2), 60).unwrap();
        assert_eq!(*short.state.borrow(), DeliveryState::Dropped(Rejection::DeliveryStale { cursor: 3 }));
        insert(&pool, 6, delivery("test-shard-0", 4), 90).unwrap();
        assert!(matches!(*padded.state.borrow(), DeliveryState::Dropped(_)));
        assert!(
            insert(&pool, 7, Delivery::of_headers(ChainId::parse("test-shard-0").unwrap(), Vec::new()), 10).is_err()
        );
        assert_eq!(numbers(&pool.select(9, 1_000, 0)), [6]);
        assert_eq!(numbers(&pool.select(9, 70, 0)), [5], "what fits");
    }

    #[test]
    fn deliveries_that_grow_by_an_entry_each_take_few_places_until_the_next_block() {
        let pool = Deliveries::new(Arc::default());
        let worth = |entries: u64| Worth::Entries { end: 3 + entries, cursor: 3 };
        let insert = |entries: u16| {
            let id = Identifier([entries.to_be_bytes(); 16].concat().try_into().unwrap());
            let tx = Bytes::from(vec![7; 100 + usize::from(entries)]);
            pool.insert(id, worth(entries.into()), delivery("test-shard-0", 1), tx).is_ok()
        };
        assert_eq!((1..=9_000).filter(|entries| insert(*entries)).count(), 14);
        // And one that brings all there is is at most as much longer than what waits as it has to wait for.
        assert!(pool.select(9, usize::MAX, 0)[0].len() > 100 + 4_500);
    }

    #[test]
    fn proof_of_two_headers_comes_before_entries_and_these_before_headers_alone() {
        let pool = Deliveries::new(Arc::default());
        let source = ChainId::parse("test-shard-0").unwrap();
        let alone = |number: u8, worth: Worth| {
            let delivery = Delivery::of_headers(source.clone(), Vec::new());
            pool.insert(Identifier([number; 32]), worth, delivery, Bytes::from(vec![number; 90]))
        };
        alone(1, HEADERS).unwrap();
        alone(2, Worth::Headers { to: 12, trusted: 3 }).unwrap();
        assert_eq!(numbers(&pool.select(9, 1_000, 0)), [2], "what leads furthest");
        insert(&pool, 3, delivery("test-shard-0", 1), 50).unwrap();
        insert(&pool, 4, delivery("test-shard-0", 2), 50).unwrap();
        assert!(alone(5, Worth::Headers { to: 99, trusted: 3 }).is_err());
        assert!(pool.check_room(&source, Worth::Conflict, 90).is_ok());
        alone(6, Worth::Conflict).unwrap();
        assert!(insert(&pool, 7, delivery("test-shard-0", 9), 50).is_err());
        assert_eq!(numbers(&pool.select(9, 1_000, 0)), [6]);
    }

    #[test]
    fn sources_take_turns() {
        let pool = Deliveries::new(Arc::default());
        for number in 0..3 {
            insert(&pool, number, delivery(&format!("test-shard-{number}"), 1), 100).unwrap();
        }
        let first = |turn| numbers(&pool.select(9, 100, turn));
        assert_eq!([first(0), first(1), first(2), first(3)], [[0], [1], [2], [0]]);
        assert_eq!(numbers(&pool.select(2, 1_000, 1)), [1, 2]);
        assert!(Deliveries::new(Arc::default()).select(9, 100, 7).is_empty());
    }
}
