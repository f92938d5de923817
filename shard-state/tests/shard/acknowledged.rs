//! What a shard keeps of how far it was heard.

use db3_primitives::{AcknowledgedLeaf, CreditEntry, Epoch, Heartbeat, LineEntry, Tai, key};
use db3_shard_state::ShardState;
use proptest::prelude::*;

use crate::settlement::{ALL, Settlement};
use crate::support::{Chain, EPOCH_SECS, Genesis, START_SECS, actor, genesis, mutation, put, sign};

const FIRST: u64 = START_SECS / EPOCH_SECS;

/// A heartbeat: a lease, and how much of the shard's log was applied.
fn applied(lease: u64, inbox_cursor: u64) -> CreditEntry {
    CreditEntry::Heartbeat(Heartbeat { epoch: Epoch::new(0), lease: Epoch::new(lease), inbox_cursor })
}

/// A shard that has written a statement and a close, whose settlement chain has said nothing of them yet.
fn having_closed() -> (Chain, Settlement) {
    let alice = actor(1);
    let bare = Genesis { lease_epoch: 0, ..genesis(&[]) };
    let (mut chain, mut settlement) = (Chain::new(&bare), Settlement::of(&bare));
    let line = CreditEntry::Line(LineEntry { account: alice.address, ceiling: Tai::new(1_000_000) });
    settlement.says(&[line, applied(FIRST + 9, 0)]);
    chain.hear(&settlement.tells(&chain, ALL));
    chain.block(0, &[sign(&alice, &mutation(&alice, 1, vec![put("t", "k", "v")]))]);
    chain.block(EPOCH_SECS, &[]);
    assert_eq!(chain.state.outbox_to(&chain.state.settlement()).size(), 2);
    (chain, settlement)
}

fn acknowledged(chain: &Chain) -> u64 {
    chain.state.acknowledged_by(&chain.state.settlement())
}

#[test]
fn a_heartbeat_says_how_much_of_the_outbox_was_applied_and_a_later_one_takes_nothing_back() {
    let (mut chain, mut settlement) = having_closed();
    let key = key::acknowledged(&chain.state.settlement());
    assert_eq!((acknowledged(&chain), chain.state.tree().get(&key)), (0, None));
    settlement.says(&[applied(FIRST + 9, 1), applied(FIRST + 9, 2), applied(FIRST + 10, 1), applied(FIRST + 11, 0)]);
    let effects = chain.hear(&settlement.tells(&chain, ALL));
    assert!(effects.deliveries[0].refused.is_empty(), "a lower one is no fault");
    assert_eq!((acknowledged(&chain), chain.state.chain().lease_epoch), (2, FIRST + 11), "and its lease counts");
    assert_eq!(chain.state.tree().get(&key), Some(AcknowledgedLeaf { entries: 2 }.to_bytes().as_slice()));
    let restored = ShardState::from_tree(chain.state.tree().clone()).unwrap();
    assert_eq!(restored.acknowledged_by(&restored.settlement()), 2);
}

#[test]
fn a_heartbeat_that_names_more_entries_than_were_written_has_no_effect_and_is_recorded() {
    let (mut chain, mut settlement) = having_closed();
    settlement.says(&[applied(FIRST + 50, 3), applied(FIRST + 60, u64::MAX), applied(FIRST + 10, 2)]);
    let effects = chain.hear(&settlement.tells(&chain, ALL));
    let refused = &effects.deliveries[0].refused;
    assert_eq!(refused.iter().map(|entry| entry.index).collect::<Vec<_>>(), [2, 3]);
    let detail = &refused[0].detail;
    assert!(detail.contains("3 entries were applied") && detail.contains("has written 2"), "{detail}");
    assert_eq!((acknowledged(&chain), chain.state.chain().lease_epoch), (2, FIRST + 10));
}

#[test]
fn a_leaf_of_it_that_does_not_decode_or_is_of_no_chain_is_no_state() {
    let (chain, _) = having_closed();
    let settlement = chain.state.settlement();
    for (key, leaf) in [(key::acknowledged(&settlement), vec![1; 8]), (b"acked/".to_vec(), vec![1; 9])] {
        let tree = chain.state.tree().apply(vec![(key, Some(leaf))]).unwrap();
        assert!(ShardState::from_tree(tree).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a settlement chain names: what is noted is the highest number that could be true, so no entry that it may
    /// still ask for lies before it, and none that was never written is noted.
    #[test]
    fn of_any_numbers_the_highest_that_can_be_true_is_kept(
        said in prop::collection::vec(prop_oneof![0..8_u64, any::<u64>()], 1..20),
        closes in prop::collection::vec(any::<bool>(), 20),
    ) {
        let (mut chain, mut settlement) = having_closed();
        let mut expected = 0;
        for (number, closes) in said.into_iter().zip(closes) {
            if closes {
                chain.block(EPOCH_SECS, &[]);
            }
            let written = chain.state.outbox_to(&chain.state.settlement()).size();
            settlement.says(&[applied(FIRST, number)]);
            let refused = chain.hear(&settlement.tells(&chain, ALL)).deliveries[0].refused.len();
            prop_assert_eq!(refused, usize::from(number > written));
            if number <= written {
                expected = expected.max(number);
            }
            prop_assert_eq!(acknowledged(&chain), expected);
        }
    }
}
