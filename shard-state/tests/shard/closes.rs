//! Epochs: when they close, what their closes say, and that one waits for the one before (rule I3).

use std::collections::BTreeMap;

use db3_merkle_log::{CompletedNode, Frontier, NodeSource, inclusion_proof, verify_inclusion};
use db3_primitives::{Bill, Epoch, EpochClose, Height, LogEntry, Mutation, Statement, Tai};
use db3_shard_state::{Effects, ReceiptOutcome};

use crate::support::{Actor, Chain, EPOCH_SECS, Genesis, START_SECS, actor, genesis, log_entry, mutation, put, sign};

const FIRST: u64 = START_SECS / EPOCH_SECS;
const RICH: u128 = 1 << 100;

/// A chain with `lines` accounts that visits two of them per block.
fn slow_chain(lines: u8) -> (Chain, Vec<Actor>) {
    let mut actors: Vec<Actor> = (1..=lines).map(actor).collect();
    actors.sort_by_key(|actor| actor.address);
    let lines: Vec<_> = actors.iter().map(|actor| (actor.address, RICH)).collect();
    (Chain::new(&Genesis { close_accounts_max: 2, ..genesis(&lines) }), actors)
}

/// One mutation that expires late.
fn write(actor: &Actor, nonce: u64) -> db3_primitives::VerifiedMutation {
    let late = Mutation { expire_unix_secs: START_SECS + 3_000, ..mutation(actor, nonce, vec![put("t", "k", "v")]) };
    sign(actor, &late)
}

fn statements(effects: &[&Effects]) -> Vec<Statement> {
    effects
        .iter()
        .flat_map(|effects| &effects.entries)
        .filter_map(|entry| match log_entry(entry) {
            LogEntry::Statement(statement) => Some(statement),
            LogEntry::EpochClose(_) => None,
        })
        .collect()
}

#[test]
fn a_block_before_the_boundary_closes_nothing_and_one_at_it_does() {
    let (mut chain, _) = slow_chain(1);
    let before = chain.state.root();
    assert!(chain.block(EPOCH_SECS - 1, &[]).closed.is_none());
    assert_eq!(chain.state.root(), before);
    assert!(!chain.state.work_pending(db3_primitives::BlockTime::from_secs(START_SECS + EPOCH_SECS - 1)));
    assert!(chain.state.work_pending(db3_primitives::BlockTime::from_secs(START_SECS + EPOCH_SECS)));
    let closed = chain.block(1, &[]).closed.unwrap();
    assert_eq!((closed.first.get(), closed.last.get()), (FIRST, FIRST));
    assert_eq!((closed.first_height.get(), closed.last_height.get()), (1, 1));
    assert_eq!(chain.state.open_epoch(), (Epoch::new(FIRST + 1), Height::new(2)));
}

#[test]
fn a_bill_belongs_to_the_epoch_open_in_its_block_and_the_close_comes_first() {
    let (mut chain, actors) = slow_chain(2);
    let first = chain.block(0, &[write(&actors[0], 1)]);
    let second = chain.block(EPOCH_SECS, &[write(&actors[0], 2), write(&actors[1], 1)]);
    let closed = second.closed.unwrap();
    assert_eq!((closed.bill_count, closed.statements, closed.total), (1, 1, first.bills[0].fee));
    assert_eq!(statements(&[&second])[0].cumulative, first.bills[0].cum_after, "not what the same block charged");
    assert_eq!((second.bill_epoch.get(), second.first_bill_index), (FIRST + 1, 0));
    let third = chain.block(EPOCH_SECS, &[]);
    let closed = third.closed.unwrap();
    let total = second.bills[0].fee.checked_add(second.bills[1].fee).unwrap();
    assert_eq!((closed.bill_count, closed.statements, closed.total), (2, 2, total));
    assert_eq!(closed.previous, second.closed.unwrap().hash());
}

#[test]
fn statements_are_emitted_in_order_of_address_over_several_blocks() {
    let (mut chain, actors) = slow_chain(5);
    let bills: Vec<_> = [0, 2, 4].map(|number| write(&actors[number], 1)).to_vec();
    let billed = chain.block(0, &bills);
    // Two accounts a block: (0, 1), (2, 3), (4).
    let blocks = [chain.block(EPOCH_SECS, &[]), chain.block(0, &[]), chain.block(0, &[])];
    assert_eq!(blocks.each_ref().map(|effects| effects.entries.len()), [1, 1, 2]);
    assert_eq!(blocks.each_ref().map(|effects| effects.closed.is_some()), [false, false, true]);
    let stated = statements(&blocks.each_ref());
    let expected: Vec<_> = [0, 2, 4].map(|number| actors[number].address).to_vec();
    assert_eq!(stated.iter().map(|statement| statement.account).collect::<Vec<_>>(), expected);
    let sum: u128 = stated.iter().map(|statement| statement.cumulative.get()).sum();
    assert_eq!(sum, billed.bills.iter().map(|bill| bill.fee.get()).sum::<u128>());
    let indexes: Vec<u64> = blocks.iter().flat_map(|effects| &effects.entries).map(|entry| entry.index).collect();
    assert_eq!(indexes, [0, 1, 2, 3]);
    assert_eq!(chain.state.outbox_to(&chain.state.settlement()).size(), 4);
    assert_eq!(chain.state.emission(), None);
    let before = chain.state.root();
    chain.block(0, &[]);
    assert_eq!(chain.state.root(), before, "an empty block away from a boundary changes no byte");
}

#[test]
fn sums_at_a_close_are_frozen_while_the_next_epoch_charges() {
    let (mut chain, actors) = slow_chain(5);
    let all = |nonce: u64| actors.iter().map(|actor| write(actor, nonce)).collect::<Vec<_>>();
    let first = chain.block(0, &all(1));
    // Everybody is charged again before the emission reaches them.
    let blocks = [chain.block(EPOCH_SECS, &all(2)), chain.block(1, &all(3)), chain.block(1, &all(4))];
    let stated = statements(&blocks.each_ref());
    let expected: BTreeMap<_, _> = first.bills.iter().map(|bill| (bill.account, bill.cum_after)).collect();
    assert_eq!(stated.iter().map(|stated| (stated.account, stated.cumulative)).collect::<BTreeMap<_, _>>(), expected);
    let closed = blocks[2].closed.unwrap();
    assert_eq!((closed.bill_count, closed.statements), (5, 5));
}

#[test]
fn a_close_waits_for_the_one_before() {
    let (mut chain, actors) = slow_chain(5);
    chain.block(0, &[write(&actors[4], 1)]);
    let closing = chain.block(EPOCH_SECS, &[write(&actors[0], 1)]);
    assert!(closing.closed.is_none());
    // Two boundaries pass while the first close is being emitted: the epoch stays open, and takes the bills.
    let waiting = chain.block(2 * EPOCH_SECS, &[write(&actors[0], 2)]);
    assert!(waiting.closed.is_none());
    assert_eq!(waiting.bill_epoch.get(), FIRST + 1);
    let first = chain.block(0, &[write(&actors[0], 3)]);
    let first_close = first.closed.unwrap();
    assert_eq!((first_close.first.get(), first_close.last.get()), (FIRST, FIRST));
    assert_eq!(first.bill_epoch.get(), FIRST + 1, "a block that ends an emission does not close as well");
    // Now the waiting close begins, for all epochs up to the block's time.
    let second = chain.block(0, &[write(&actors[0], 4)]);
    assert_eq!(second.bill_epoch.get(), FIRST + 3);
    assert_eq!(chain.state.emission().unwrap().first.get(), FIRST + 1);
    chain.block(0, &[]);
    let second_close = chain.block(0, &[]).closed.unwrap();
    assert_eq!((second_close.first.get(), second_close.last.get()), (FIRST + 1, FIRST + 2));
    assert_eq!((second_close.bill_count, second_close.statements), (3, 1));
    assert_eq!(second_close.previous, first_close.hash());
    assert_eq!(second_close.first_height.get(), first_close.last_height.get() + 1, "I3: heights are contiguous");
}

#[test]
fn empty_epochs_after_a_halt_close_as_one() {
    let (mut chain, actors) = slow_chain(1);
    let billed = chain.block(0, &[write(&actors[0], 1)]);
    let closed = chain.block(7 * EPOCH_SECS + 3, &[]).closed.unwrap();
    assert_eq!((closed.first.get(), closed.last.get()), (FIRST, FIRST + 6));
    assert_eq!((closed.bill_count, closed.total), (1, billed.bills[0].fee));
    assert_eq!(chain.state.open_epoch().0.get(), FIRST + 7);
    for inner in FIRST..=FIRST + 6 {
        assert_eq!(chain.state.epoch_hash(Epoch::new(inner)), Some((Epoch::new(FIRST + 6), closed.hash())));
    }
    assert_eq!(chain.state.epoch_hash(Epoch::new(FIRST + 7)), None);
    // A bill long after the last one, and a halt without any bill.
    chain.block(0, &[write(&actors[0], 2)]);
    let next = chain.block(EPOCH_SECS, &[]).closed.unwrap();
    assert_eq!((next.first.get(), next.last.get(), next.statements), (FIRST + 7, FIRST + 7, 1));
    let empty = chain.block(90 * EPOCH_SECS, &[]).closed.unwrap();
    assert_eq!((empty.first.get(), empty.last.get()), (FIRST + 8, FIRST + 97));
    assert_eq!((empty.bill_count, empty.statements, empty.total), (0, 0, Tai::ZERO));
}

#[test]
fn the_lease_ends_with_its_epoch() {
    let (alice, now) = (actor(1), START_SECS / EPOCH_SECS);
    let mut chain = Chain::new(&Genesis { lease_epoch: now + 1, ..genesis(&[(alice.address, RICH)]) });
    assert_eq!(chain.block(EPOCH_SECS, &[write(&alice, 1)]).bills.len(), 1, "the lease's last epoch still charges");
    let late = write(&alice, 2);
    let at_boundary = db3_primitives::BlockTime::from_secs(chain.time + EPOCH_SECS);
    let rejection = chain.state.admit(late.mutation(), late.bytes(), at_boundary).unwrap_err();
    assert_eq!(rejection.name(), "LEASE_ENDED");
    let effects = chain.block(EPOCH_SECS, &[late]);
    assert_eq!(effects.receipts[0].outcome, ReceiptOutcome::Refused(rejection));
    assert!(effects.closed.is_some(), "epochs close after the lease as well");
}

/// Stores what effects report, as a node does.
#[derive(Default)]
struct Nodes(BTreeMap<(u8, u64), [u8; 32]>);

impl Nodes {
    fn take<'n>(&mut self, nodes: impl IntoIterator<Item = &'n CompletedNode>) {
        self.0.extend(nodes.into_iter().map(|node| ((node.level, node.index), node.hash)));
    }
}

impl NodeSource for Nodes {
    type Error = std::convert::Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Option<[u8; 32]>, Self::Error> {
        Ok(self.0.get(&(level, index)).copied())
    }
}

#[test]
fn every_bill_is_provable_under_its_close_and_every_entry_under_the_outbox() {
    let (mut chain, actors) = slow_chain(3);
    let (mut bills, mut bill_nodes, mut outbox_nodes) = (Vec::<Bill>::new(), Nodes::default(), Nodes::default());
    for nonce in 1..=7 {
        let effects = chain.block(1, &actors.iter().map(|actor| write(actor, nonce)).collect::<Vec<_>>());
        assert_eq!(effects.first_bill_index, bills.len() as u64);
        bills.extend(effects.bills);
        bill_nodes.take(&effects.bill_nodes);
    }
    let mut entries: Vec<LogEntry> = Vec::new();
    let mut closed: Option<EpochClose> = None;
    for _ in 0..3 {
        let effects = chain.block(if closed.is_none() && entries.is_empty() { EPOCH_SECS } else { 0 }, &[]);
        outbox_nodes.take(effects.outbox_nodes.iter().map(|(_, node)| node));
        entries.extend(effects.entries.iter().map(log_entry));
        closed = closed.or(effects.closed);
    }
    let closed = closed.unwrap();
    assert_eq!((closed.bill_count, bills.len()), (21, 21));
    for (index, bill) in (0_u64..).zip(&bills) {
        let proof = inclusion_proof(&bill_nodes, index, closed.bill_count).unwrap();
        verify_inclusion(&bill.to_bytes(), index, closed.bill_count, &proof, &closed.bills_root).unwrap();
    }
    let outbox: Frontier = chain.state.outbox_to(&chain.state.settlement());
    assert_eq!((outbox.size(), entries.len()), (4, 4));
    for (index, entry) in (0_u64..).zip(&entries) {
        let proof = inclusion_proof(&outbox_nodes, index, outbox.size()).unwrap();
        verify_inclusion(&entry.to_bytes(), index, outbox.size(), &proof, &outbox.root()).unwrap();
    }
}
