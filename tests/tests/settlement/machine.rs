//! A chain under simulation: a state machine, its timeline, and restarts from a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use db3_carry::{Delivered, Delivery, OutboundEntry};
use db3_governance::SignedProposal;
use db3_primitives::{BlockTime, ChainId, Height, Rejection, VerifiedMutation, VerifiedTransaction};
use db3_settlement_state::SettlementState;
use db3_shard_state::ShardState;
use db3_state_tree::Tree;

use crate::timeline::Timeline;

/// What became of an item of a block.
pub enum Done<R> {
    /// In the block, executed and charged.
    Executed(R),
    /// A decision of governance that was accepted.
    Accepted,
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

/// What somebody signed for a block.
pub trait Item: Clone {
    /// From this second of block time on it is good no more.
    fn expires(&self) -> u64;
}

/// What is signed for the settlement chain. Decisions stand before transactions.
#[derive(Clone)]
pub enum Paper {
    Decision(Arc<SignedProposal>),
    Transaction(Arc<VerifiedTransaction>),
}

impl Item for Arc<VerifiedMutation> {
    fn expires(&self) -> u64 {
        self.mutation().expire_unix_secs
    }
}

impl Item for Paper {
    fn expires(&self) -> u64 {
        match self {
            Self::Decision(signed) => signed.proposal.expire_unix_secs,
            Self::Transaction(transaction) => transaction.transaction().expire_unix_secs,
        }
    }
}

/// One of the two kinds of state.
pub trait Machine: Clone {
    type Item: Item;
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
    ($state:ty, $chain:ident, $item:ty, $apply:expr) => {
        impl Machine for $state {
            type Item = $item;
            type Receipt = $chain::Receipt;
            type Effects = $chain::Effects;

            fn from_tree(tree: Tree) -> Self {
                Self::from_tree(tree).unwrap()
            }

            fn tree(&self) -> &Tree {
                self.tree()
            }

            fn run(&self, height: Height, time: BlockTime, deliveries: &[Delivery], items: &[Self::Item]) -> Ran<Self> {
                let mut executor = $chain::Executor::new(self, height, time);
                let delivered = deliveries.iter().map(|delivery| executor.deliver(delivery)).collect();
                let items = items.iter().map(|item| $apply(&mut executor, item)).collect();
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

machine!(ShardState, db3_shard_state, Arc<VerifiedMutation>, mutate);
machine!(SettlementState, db3_settlement_state, Paper, settle);

fn mutate(executor: &mut db3_shard_state::Executor, item: &Arc<VerifiedMutation>) -> Done<db3_shard_state::Receipt> {
    use db3_shard_state::Outcome;
    match executor.apply(item) {
        Outcome::Applied(receipt) | Outcome::Failed(receipt) => Done::Executed(receipt),
        Outcome::Refused(rejection) => Done::Refused(rejection),
    }
}

fn settle(executor: &mut db3_settlement_state::Executor, item: &Paper) -> Done<db3_settlement_state::Receipt> {
    use db3_settlement_state::Outcome;
    match item {
        Paper::Decision(signed) => executor.govern(signed).map_or_else(Done::Refused, |_| Done::Accepted),
        Paper::Transaction(transaction) => match executor.apply(transaction) {
            Outcome::Applied(receipt) | Outcome::Failed(receipt) => Done::Executed(receipt),
            Outcome::Refused(rejection) => Done::Refused(rejection),
        },
    }
}

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

/// What a node keeps on disk: the leaves of a version, brought forward by what the next one differs in, as the product does.
struct Snapshot {
    tree: Tree,
    leaves: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Snapshot {
    fn of(tree: &Tree) -> Self {
        let mut snapshot = Self { tree: Tree::new(), leaves: BTreeMap::new() };
        snapshot.bring_forward(tree);
        snapshot
    }

    fn bring_forward(&mut self, tree: &Tree) {
        for (key, leaf) in self.tree.diff(tree) {
            match leaf {
                Some(leaf) => self.leaves.insert(key.to_vec(), leaf.to_vec()),
                None => self.leaves.remove(key),
            };
        }
        self.tree = tree.clone();
    }

    /// The state as the leaves give it, and nothing else.
    fn load<M: Machine>(&self) -> M {
        let leaves = self.leaves.iter().map(|(key, leaf)| (key.clone(), Some(leaf.clone()))).collect();
        M::from_tree(Tree::new().apply(leaves).unwrap())
    }
}

/// See the module's text.
pub struct Chain<M: Machine> {
    pub timeline: Timeline,
    pub state: M,
    /// Deliveries that wait for the next block.
    pub pool: Vec<Parcel>,
    snapshot: Snapshot,
    since: Vec<Block<M>>,
    /// What recovery from the last snapshot gives: begun with its leaves, and every block since replayed on it.
    recovered: M,
    /// Everything that ever had an effect.
    pub deliveries_taken: Vec<Delivery>,
    pub items_taken: Vec<M::Item>,
    /// How often what was good still was sent again.
    pub resent: usize,
}

impl<M: Machine> Chain<M> {
    pub fn new(timeline: Timeline, state: M) -> Self {
        let snapshot = Snapshot::of(state.tree());
        let recovered = snapshot.load();
        let (since, pool, deliveries_taken, items_taken) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { timeline, state, pool, snapshot, since, recovered, deliveries_taken, items_taken, resent: 0 }
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
        let done = items.iter().zip(&ran.items).filter(|(_, done)| !matches!(done, Done::Refused(_)));
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
        let mut state: M = self.snapshot.load();
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
        self.snapshot.bring_forward(self.state.tree());
        self.recovered = self.snapshot.load();
        assert_eq!(self.recovered.tree().root(), self.state.tree().root(), "I6: a snapshot is the version");
        self.since.clear();
    }

    pub fn blocks_since_snapshot(&self) -> usize {
        self.since.len()
    }

    /// Sends everything again that ever had an effect, in a block that would else be empty: no byte changes. Tells how much of
    /// what was signed is refused because it was there before, and how much because it has expired.
    pub fn resend_everything(&self) -> [usize; 2] {
        self.resend(&self.deliveries_taken, &self.items_taken)
    }

    /// The same with the newest, of which what was signed is good still.
    pub fn resend_newest(&mut self) {
        let newest = |length: usize| length.saturating_sub(60);
        let items = &self.items_taken[newest(self.items_taken.len())..];
        let good: Vec<M::Item> =
            items.iter().filter(|item| item.expires() > self.timeline.time().secs).cloned().collect();
        let deliveries = &self.deliveries_taken[newest(self.deliveries_taken.len())..];
        assert_eq!(self.resend(deliveries, &good), [good.len(), 0]);
        self.resent += good.len();
    }

    fn resend(&self, deliveries: &[Delivery], items: &[M::Item]) -> [usize; 2] {
        let now = self.timeline.time();
        let height = Height::new(self.timeline.height() + 1);
        let empty = self.state.run(height, now, &[], &[]);
        let again = self.state.run(height, now, deliveries, items);
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
        let (mut used, mut expired) = (0, 0);
        for done in &again.items {
            match done {
                Done::Refused(Rejection::NonceUsed { .. } | Rejection::GovernanceSequence { .. }) => used += 1,
                Done::Refused(Rejection::Expired { .. }) => expired += 1,
                Done::Refused(rejection) => panic!("{rejection}"),
                Done::Executed(_) | Done::Accepted => panic!("nothing is executed twice"),
            }
        }
        assert_eq!(again.state.tree().root(), empty.state.tree().root(), "what is sent again changes no byte");
        [used, expired]
    }
}
