//! Nothing that comes from outside stops the chain: any entries that a shard proves, any block times.

use db3_primitives::{BlockTime, EpochClose, Height, LogEntry, Payee, Statement, Tai, TransactionOperation};
use db3_settlement_state::execute;
use proptest::prelude::*;

use crate::support::{EPOCH_SECS, FIRST_EPOCH, Net, account, actor};

/// An entry that may be anything.
#[derive(Clone, Debug)]
enum Any {
    Bytes(Vec<u8>),
    Statement(u8, u128),
    Close { last: u64, statements: u64, total: u128, cursor: u64, honest: bool },
}

fn any_entry() -> impl Strategy<Value = Any> {
    let amount = prop_oneof![0..150u128, Just(u128::MAX), any::<u128>()];
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..160).prop_map(Any::Bytes),
        6 => (1..4u8, amount.clone()).prop_map(|(account, sum)| Any::Statement(account, sum)),
        3 => (0..4u64, 0..3u64, amount, 0..6u64, any::<bool>()).prop_map(|(last, statements, total, cursor, honest)| {
            Any::Close { last, statements, total, cursor, honest }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_proven_entries_leave_a_state_that_passes_the_audit(entries in prop::collection::vec(any_entry(), 1..12)) {
        let accounts = (1..3).map(|seed| account(actor(seed).address, 50, 100, &[(0, 60), (1, 30)])).collect();
        let mut net = Net::new(2, accounts);
        net.now += 3 * EPOCH_SECS;
        net.settle();
        for entry in entries {
            match entry {
                Any::Bytes(bytes) => net.write(0, &bytes),
                Any::Statement(seed, cumulative) => net.state_of(0, actor(seed).address, cumulative % (1 << 100)),
                Any::Close { honest: true, last, .. } => {
                    let close = net.close_of(0, (FIRST_EPOCH + last).max(net.emitted[0].next));
                    net.close(0, &close);
                }
                Any::Close { last, statements, total, cursor, .. } => {
                    let close = net.close_of(0, FIRST_EPOCH + last);
                    let close =
                        EpochClose { statements, total: Tai::new(total), inbox_cursor: cursor, ..close };
                    let entry = LogEntry::EpochClose(close).to_bytes();
                    net.write(0, &entry);
                }
            }
        }
        net.carry(0);
        net.now += EPOCH_SECS;
        net.settle();
    }

    #[test]
    fn any_operations_at_any_time_leave_a_state_that_passes_the_audit(
        steps in prop::collection::vec((0..5u8, 1..3u8, 0..3u32, any::<u128>(), 0..900u64), 1..20),
    ) {
        let actors = [actor(1), actor(2)];
        let accounts = actors.iter().map(|actor| account(actor.address, 500, 100, &[(0, 60)])).collect();
        let mut net = Net::new(2, accounts);
        for (kind, to, shard, amount, secs) in steps {
            let amount = Tai::new(if amount % 3 == 0 { 1 + amount % (1 << 96) } else { 1 + amount % 300 });
            let to = actor(to).address;
            let shard = db3_primitives::ShardId::new(shard);
            let operation = match kind {
                0 => TransactionOperation::Transfer { to, amount },
                1 => TransactionOperation::Deposit { to, amount },
                2 => TransactionOperation::Withdraw { amount },
                3 => TransactionOperation::Allocate { shard, want: amount },
                _ => TransactionOperation::Pay { amount },
            };
            let verified = net.sign(&actors[0], vec![operation]);
            net.block(secs, &[], &[verified]);
        }
    }
}

#[test]
fn an_empty_block_in_which_nothing_is_due_changes_no_byte() {
    let alice = actor(1).address;
    let net = Net::new(2, vec![account(alice, 1_000, 500, &[(0, 100)])]);
    let mut root = net.state.root();
    for secs in [0, 1, EPOCH_SECS, EPOCH_SECS + 99] {
        let time = BlockTime::from_secs(net.now + secs);
        assert!(!net.state.work_pending(time));
        let (state, effects) = execute(&net.state, Height::new(2), time, &[], &[]);
        assert_eq!((state.root(), effects.entries.len(), effects.settled), (root, 0, None));
        root = state.root();
    }
    let boundary = net.state.next_boundary_secs().unwrap();
    assert_eq!(boundary, net.now + EPOCH_SECS + 100);
    assert!(net.state.work_pending(BlockTime::from_secs(boundary)));
    assert!(!net.state.work_pending(BlockTime::from_secs(boundary - 1)));
}

#[test]
fn the_same_block_on_the_same_version_gives_the_same_root_and_effects() {
    let alice = actor(1);
    let mut net = Net::new(1, vec![account(alice.address, 1_000, 500, &[(0, 100)])]);
    net.state_of(0, alice.address, 30);
    let delivery = net.delivery(0);
    let run =
        || execute(&net.state, Height::new(9), BlockTime::from_secs(net.now), std::slice::from_ref(&delivery), &[]);
    let ((first, first_effects), (second, second_effects)) = (run(), run());
    assert_eq!((first.root(), first_effects), (second.root(), second_effects));
    assert_eq!(db3_settlement_state::SettlementState::from_tree(first.tree().clone()).unwrap().root(), first.root());
}

#[test]
fn a_statement_is_found_with_what_was_stated_before() {
    let alice = actor(1).address;
    let mut net = Net::new(1, vec![account(alice, 1_000, 500, &[(0, 100)])]);
    for (sum, previous) in [(30, 0), (45, 30)] {
        net.state_of(0, alice, sum);
        let close = net.close_of(0, net.emitted[0].next);
        net.now = net.now.max((close.last.get() + 1) * EPOCH_SECS);
        net.close(0, &close);
        let effects = net.carry(0);
        let stated =
            LogEntry::Statement(Statement { account: alice, payee: Payee::ValidatorPool, cumulative: Tai::new(sum) });
        assert_eq!((&effects.inbound[0].entry, effects.inbound[0].previous), (&stated, Some(Tai::new(previous))));
        assert_eq!(effects.inbound[0].bytes, stated.to_bytes());
        assert_eq!(effects.inbound[1].entry, LogEntry::EpochClose(close));
    }
}
