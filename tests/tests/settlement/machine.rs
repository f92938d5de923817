//! A chain under simulation: a state machine, its timeline, and restarts from a snapshot.

use std::sync::Arc;

use db3_carry::{Delivered, Delivery, OutboundEntry};
use db3_primitives::{BlockTime, ChainId, Height, Rejection, VerifiedMutation, VerifiedTransaction};
use db3_settlement_state::SettlementState;
use db3_shard_state::ShardState;
use db3_state_tree::Tree;

use crate::timeline::Timeline;

/// What became of an item of a block.
pub enum Done<R> {
    /// In the block, executed and charged.
    Executed(R),
    /// As if it had never been.
    Refused(Rejection),
}

/// What a block did.
pub struct Ran<M: Machine> {
    pub state: M,
    pub effects: M::Effects,
    pub delivered: Vec<Result<Delivered, Rejection>>,
    pub items: Vec<Done<M::Receipt>>,
}

/// One of the two kinds of state.
pub trait Machine: Clone {
    type Item: Clone;
    type Receipt;
    type Effects;

    fn from_tree(tree: Tree) -> Self;
    fn tree(&self) -> &Tree;
    fn run(&self, height: Height, time: BlockTime, deliveries: &[Delivery], items: &[Self::Item]) -> Ran<Self>;
    fn entries(effects: &Self::Effects) -> &[OutboundEntry];
    fn frontier_bytes(&self, destination: &ChainId) -> Vec<u8>;
}

/// Both states are driven alike; only their types differ.
macro_rules! machine {
    ($state:ty, $chain:ident, $item:ty) => {
        impl Machine for $state {
            type Item = Arc<$item>;
            type Receipt = $chain::Receipt;
            type Effects = $chain::Effects;

            fn from_tree(tree: Tree) -> Self {
                Self::from_tree(tree).unwrap()
            }

            fn tree(&self) -> &Tree {
                self.tree()
            }

            fn run(&self, height: Height, time: BlockTime, deliveries: &[Delivery], items: &[Self::Item]) -> Ran<Self> {
                use $chain::Outcome;
                let mut executor = $chain::Executor::new(self, height, time);
                let delivered = deliveries.iter().map(|delivery| executor.deliver(delivery)).collect();
                let items = items
                    .iter()
                    .map(|item| match executor.apply(item) {
                        Outcome::Applied(receipt) | Outcome::Failed(receipt) => Done::Executed(receipt),
                        Outcome::Refused(rejection) => Done::Refused(rejection),
                    })
                    .collect();
                let (state, effects) = executor.finish();
                Ran { state, effects, delivered, items }
            }

            fn entries(effects: &Self::Effects) -> &[OutboundEntry] {
                &effects.entries
            }

            fn frontier_bytes(&self, destination: &ChainId) -> Vec<u8> {
                self.outbox_to(destination).to_bytes()
            }
        }
    };
}

machine!(ShardState, db3_shard_state, VerifiedMutation);
machine!(SettlementState, db3_settlement_state, VerifiedTransaction);

/// What a block held that had an effect, for replay and for being sent again.
struct Block<M: Machine> {
    height: Height,
    time: BlockTime,
    deliveries: Vec<Delivery>,
    items: Vec<M::Item>,
}

/// A delivery on its way, and whether a relayer changed it.
#[derive(Clone)]
pub struct Parcel {
    pub delivery: Delivery,
    pub forged: bool,
}

/// A state as a snapshot's leaves give it.
fn from_leaves<M: Machine>(leaves: &[(Vec<u8>, Option<Vec<u8>>)]) -> M {
    M::from_tree(Tree::new().apply(leaves.to_vec()).unwrap())
}

/// See the module's text.
pub struct Chain<M: Machine> {
    pub timeline: Timeline,
    pub state: M,
    /// Deliveries that wait for the next block.
    pub pool: Vec<Parcel>,
    snapshot: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    since: Vec<Block<M>>,
    /// What recovery from the last snapshot gives: begun with its leaves, and every block since replayed on it.
    recovered: M,
    /// Everything that ever had an effect.
    pub deliveries_taken: Vec<Delivery>,
    pub items_taken: Vec<M::Item>,
}

impl<M: Machine> Chain<M> {
    pub fn new(timeline: Timeline, state: M) -> Self {
        let snapshot = leaves(state.tree());
        let recovered = from_leaves(&snapshot);
        let (since, pool, deliveries_taken, items_taken) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { timeline, state, pool, snapshot, since, recovered, deliveries_taken, items_taken }
    }

    /// Makes a block of what waits and of `items`, and again of what had an effect alone.
    pub fn block(&mut self, now: BlockTime, items: &[M::Item]) -> (Height, BlockTime, Ran<M>) {
        let (height, time) = self.timeline.header(self.state.tree(), now);
        let parcels = std::mem::take(&mut self.pool);
        let deliveries: Vec<Delivery> = parcels.iter().map(|parcel| parcel.delivery.clone()).collect();
        let ran = self.state.run(height, time, &deliveries, items);
        for (parcel, result) in parcels.iter().zip(&ran.delivered) {
            assert!(!parcel.forged || result.is_err(), "a forged delivery was taken: {result:?}");
        }
        let kept = parcels.into_iter().zip(&ran.delivered).filter(|(_, result)| result.is_ok());
        let deliveries: Vec<Delivery> = kept.map(|(parcel, _)| parcel.delivery).collect();
        let done = items.iter().zip(&ran.items).filter(|(_, done)| matches!(done, Done::Executed(_)));
        let items: Vec<M::Item> = done.map(|(item, _)| item.clone()).collect();
        let again = self.state.run(height, time, &deliveries, &items);
        assert_eq!(
            again.state.tree().root(),
            ran.state.tree().root(),
            "I7: a block is a function of what had an effect in it; what is refused leaves no trace"
        );
        self.recovered = self.recovered.run(height, time, &deliveries, &items).state;
        assert_eq!(
            self.recovered.tree().root(),
            ran.state.tree().root(),
            "I6: the last snapshot and a replay of every block since give the same root"
        );
        self.timeline.append(M::entries(&ran.effects));
        for entry in M::entries(&ran.effects) {
            let (to, state) = (&entry.destination, &ran.state);
            assert_eq!(self.timeline.frontier_bytes(to), state.frontier_bytes(to), "the state commits to its log");
        }
        self.deliveries_taken.extend(deliveries.iter().cloned());
        self.items_taken.extend(items.iter().cloned());
        self.since.push(Block { height, time, deliveries, items });
        self.state = ran.state.clone();
        (height, time, ran)
    }

    /// I6: starts again from the snapshot, replays the blocks since, and goes on from what that gives.
    pub fn restart(&mut self) {
        let mut state: M = from_leaves(&self.snapshot);
        for block in &self.since {
            let ran = state.run(block.height, block.time, &block.deliveries, &block.items);
            assert!(ran.delivered.iter().all(Result::is_ok), "a replayed block takes what it took");
            state = ran.state;
        }
        assert_eq!(state.tree().root(), self.state.tree().root(), "I6: recovery is snapshot and replay");
        self.state = state;
    }

    /// Takes a snapshot: from here the next restart begins.
    pub fn snapshot(&mut self) {
        self.snapshot = leaves(self.state.tree());
        self.recovered = from_leaves(&self.snapshot);
        self.since.clear();
    }

    pub fn blocks_since_snapshot(&self) -> usize {
        self.since.len()
    }

    /// Sends everything again that ever had an effect, in a block that would else be empty: no byte changes.
    pub fn resend_everything(&mut self) {
        let now = self.timeline.time();
        let height = Height::new(self.timeline.height() + 1);
        let empty = self.state.run(height, now, &[], &[]);
        let again = self.state.run(height, now, &self.deliveries_taken, &self.items_taken);
        for result in &again.delivered {
            let rejection = result.as_ref().expect_err("a delivery that was taken brings nothing new");
            assert!(
                matches!(
                    rejection,
                    Rejection::DeliveryStale { .. } | Rejection::ChannelFrozen { .. } | Rejection::HeadersNotDue { .. }
                ),
                "{rejection}"
            );
        }
        for done in &again.items {
            let Done::Refused(rejection) = done else { panic!("nothing is executed twice") };
            let known = matches!(rejection, Rejection::NonceUsed { .. } | Rejection::Expired { .. });
            assert!(known, "{rejection}");
        }
        assert_eq!(again.state.tree().root(), empty.state.tree().root(), "what is sent again changes no byte");
    }
}

fn leaves(tree: &Tree) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    tree.range(&[], None).map(|(key, leaf)| (key.to_vec(), Some(leaf.to_vec()))).collect()
}
