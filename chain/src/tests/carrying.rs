//! Deliveries of many relays, honest ones and others, on their way through `CometBFT`'s mempool and a chain's proposals:
//! whatever comes in whatever order, the chain hears exactly the log, and as fast as the best of them brings it.

use bytes::Bytes;
use db3_carry::Delivery;
use db3_primitives::Tai;
use db3_proto::{BlockTx, decode_tx};
use proptest::prelude::*;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::RequestCheckTx;

use super::deliveries::{Bare, line, tx};
use super::support::{Account, CEILING, Settlement, settlement, shard_id};

/// A chain without an engine, the chain that it hears, and what stands in `CometBFT`'s mempool, in order.
struct Network {
    chain: Bare,
    source: Settlement,
    /// How many entries the source's blocks prove, by height.
    sizes: Vec<u64>,
    mempool: Vec<Bytes>,
}

impl Network {
    /// The source has said so many entries.
    fn new(entries: u64) -> Self {
        let (chain, source) = Bare::new();
        let mut network = Self { chain, source, sizes: vec![0], mempool: Vec::new() };
        network.say(entries - 1);
        network
    }

    fn log(&self) -> Vec<Vec<u8>> {
        self.source.source.log(&shard_id()).unwrap().entries().to_vec()
    }

    fn newest(&self) -> usize {
        self.sizes.len() - 1
    }

    /// The source says so many entries more and proves them. Each raises one line by 1.
    fn say(&mut self, entries: u64) {
        let said = self.log().len() as u64;
        for entry in said..said + entries {
            self.source.says(line(&Account::new(1), CEILING + u128::from(entry)));
        }
        self.source.block();
        self.sizes.push(said + entries);
    }

    fn cursor(&self) -> u64 {
        self.chain.app.inner.versions.committed().state.channel(&settlement()).unwrap().cursor()
    }

    /// So many entries as the block of a height proves them, at least one.
    fn part(&self, height: usize, start: u64, entries: u64) -> Delivery {
        let wanted =
            self.log().into_iter().skip(usize::try_from(start).unwrap()).take(usize::try_from(entries).unwrap());
        let bytes = wanted.map(|entry| entry.len()).sum();
        self.source.source.delivery_at(height as u64, &shard_id(), start, bytes, 0).unwrap()
    }

    /// All that the chain has not heard.
    fn whole(&self) -> Delivery {
        self.part(self.newest(), self.cursor(), u64::MAX >> 8)
    }

    fn check(&self, tx: &Bytes, recheck: bool) -> bool {
        self.chain.app.check_tx(RequestCheckTx { tx: tx.clone(), r#type: recheck.into() }).code == 0
    }

    /// `CometBFT` hears of a delivery.
    fn bring(&mut self, delivery: &Delivery) -> bool {
        let tx = tx(delivery);
        let taken = !self.mempool.contains(&tx) && self.check(&tx, false);
        if taken {
            self.mempool.push(tx);
        }
        taken
    }

    /// A block of what stands in the mempool, which the node has handed the best of what waits.
    fn block(&mut self) {
        for tx in self.chain.app.inner.deliveries.select(1, usize::MAX, 0) {
            if !self.mempool.contains(&tx) {
                self.mempool.push(tx);
            }
        }
        let best = self.mempool.iter().map(end).fold(self.cursor(), u64::max);
        let txs = self.chain.prepare(self.mempool.clone());
        self.chain.decide(txs.clone());
        assert_eq!(self.cursor(), best, "what the best delivery brings is heard");
        let mut left = std::mem::take(&mut self.mempool);
        left.retain(|tx| !txs.contains(tx) && self.check(tx, true));
        assert!(left.is_empty(), "what brings nothing more is forgotten");
        // Each entry raises the line by 1, and the first one is none.
        let state = self.chain.app.inner.versions.committed().state.clone();
        let ceiling = state.account(&Account::new(1).address()).map(|leaf| leaf.ceiling);
        let last = u128::from(best.saturating_sub(1));
        assert_eq!(ceiling, (best > 1).then(|| Tai::new(CEILING + last)), "each entry once, in order");
    }
}

/// How far a delivery goes.
fn end(tx: &Bytes) -> u64 {
    match decode_tx(tx) {
        Ok(BlockTx::Delivery(delivery)) => delivery.log.start + delivery.log.entries.len() as u64,
        other => panic!("{other:?}"),
    }
}

#[test]
fn deliveries_that_grow_by_an_entry_each_do_not_hold_a_source_up() {
    let mut network = Network::new(1_000);
    let short: Vec<Delivery> = (1..=200).map(|entries| network.part(1, 0, entries)).collect();
    let taken = short.into_iter().filter(|delivery| network.bring(delivery)).count();
    assert!(taken <= 10, "{taken} of one source stand in the mempool");
    let whole = network.whole();
    assert!(network.bring(&whole));
    network.block();
    assert_eq!((network.cursor(), network.mempool.len()), (1_000, 0));
}

#[test]
fn a_proposer_takes_the_delivery_that_brings_most_wherever_it_stands() {
    let network = Network::new(100);
    let whole = tx(&network.whole());
    let mut txs: Vec<_> = (1..=40).map(|entries| tx(&network.part(1, 0, entries))).collect();
    txs.push(whole.clone());
    assert_eq!(network.chain.prepare(txs), [whole]);
}

#[test]
fn cometbft_forgets_at_the_next_block_what_has_made_room() {
    let mut network = Network::new(100);
    for entries in [1, 2, 4] {
        let part = network.part(1, 0, entries);
        assert!(network.bring(&part));
    }
    let kept: Vec<bool> = network.mempool.iter().map(|tx| network.check(tx, true)).collect();
    assert_eq!(kept, [false, true, true]);
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// The source says more.
    Say(u64),
    /// A relay brings a part, so far behind the cursor, under the header so many blocks before the newest.
    Bring {
        behind: u64,
        entries: u64,
        before: usize,
    },
    /// A relay brings all there is.
    BringAll,
    /// Whatever was brought before is brought again.
    Repeat(prop::sample::Index),
    /// The mempool loses one.
    Lose(prop::sample::Index),
    /// It holds them in another order, as another node's does.
    Turn(usize),
    Block,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1..40_u64).prop_map(Step::Say),
        8 => (0..5_u64, 1..30_u64, 0..3_usize)
            .prop_map(|(behind, entries, before)| Step::Bring { behind, entries, before }),
        1 => Just(Step::BringAll),
        2 => any::<prop::sample::Index>().prop_map(Step::Repeat),
        1 => any::<prop::sample::Index>().prop_map(Step::Lose),
        1 => (0..8_usize).prop_map(Step::Turn),
        3 => Just(Step::Block),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_interleaving_of_relays_delivers_exactly_the_log(steps in prop::collection::vec(step(), 1..80)) {
        let mut network = Network::new(20);
        let mut brought = Vec::new();
        for step in steps {
            match step {
                Step::Say(entries) => network.say(entries),
                Step::Bring { behind, entries, before } => {
                    let start = network.cursor().saturating_sub(behind);
                    let height = network.newest().saturating_sub(before).max(1);
                    if network.sizes[height] > start {
                        let part = network.part(height, start, entries);
                        network.bring(&part);
                        brought.push(part);
                    }
                }
                Step::BringAll => {
                    if network.sizes[network.newest()] > network.cursor() {
                        let whole = network.whole();
                        network.bring(&whole);
                    }
                }
                Step::Repeat(index) if !brought.is_empty() => {
                    network.bring(index.get(&brought));
                }
                Step::Lose(index) if !network.mempool.is_empty() => {
                    network.mempool.remove(index.index(network.mempool.len()));
                }
                Step::Turn(by) if !network.mempool.is_empty() => {
                    let by = by % network.mempool.len();
                    network.mempool.rotate_left(by);
                }
                Step::Repeat(_) | Step::Lose(_) | Step::Turn(_) => {}
                Step::Block => network.block(),
            }
        }
        // Where a relay that brings all has no place, what waits brings about as much: half of it at least.
        let all = network.sizes[network.newest()];
        while network.cursor() < all {
            let before = all - network.cursor();
            let whole = network.whole();
            network.bring(&whole);
            network.block();
            prop_assert!(all - network.cursor() <= before / 2);
        }
    }
}
