//! What each end of a channel is told of how far it was heard: shards by heartbeats, this chain by closes.

use db3_primitives::{ChainId, CreditEntry, EpochClose, ShardFault, ShardId};
use db3_settlement_state::Effects;

use crate::support::{BEGIN, EPOCH_SECS, FIRST_EPOCH, Net, account, actor, network};

const SHARD: ShardId = ShardId::new(0);

/// The cursors that heartbeats for a shard named.
fn told(blocks: &[Effects], shard: ShardId) -> Vec<u64> {
    let chain = ChainId::shard(&network(), shard);
    let entries = blocks.iter().flat_map(|effects| &effects.entries).filter(|entry| entry.destination == chain);
    let cursor = |bytes: &[u8]| match CreditEntry::from_bytes(bytes).unwrap() {
        CreditEntry::Heartbeat(heartbeat) => Some(heartbeat.inbox_cursor),
        CreditEntry::Line(_) => None,
    };
    entries.filter_map(|entry| cursor(&entry.bytes)).collect()
}

#[test]
fn a_heartbeat_names_what_was_applied_of_that_shards_log_also_where_the_round_did_not_wait_for_its_close() {
    let alice = actor(1).address;
    let mut net = Net::new(2, vec![account(alice, 1_000, 500, &[(0, 100), (1, 100)])]);
    let late = ShardId::new(1);
    for shard in [0, 1] {
        net.state_of(shard, alice, 50);
    }
    let close = net.close_of(0, FIRST_EPOCH);
    net.close(0, &close);
    net.now = BEGIN + EPOCH_SECS;
    assert_eq!(net.carry(0).faults, []);
    assert_eq!(net.carry(1).faults, [], "a statement, and no close yet");
    assert_eq!(told(&net.settle(), SHARD), Vec::<u64>::new(), "the round waits");
    net.now = BEGIN + EPOCH_SECS + 100;
    let round = net.settle();
    assert_eq!((told(&round, SHARD), told(&round, late)), (vec![2], vec![1]));
}

#[test]
fn what_a_shard_has_applied_is_what_its_last_close_names_and_no_close_takes_it_back() {
    let alice = actor(1).address;
    let mut net = Net::new(1, vec![account(alice, 1_000, 500, &[(0, 100)])]);
    let sent = net.state.shard(SHARD).unwrap().sent;
    assert!(sent >= 2, "the line and a heartbeat");
    assert_eq!(net.state.acknowledged_by(SHARD), 0, "before the first close");
    let close = net.close_of(0, FIRST_EPOCH);
    net.close(0, &EpochClose { inbox_cursor: 1, ..close });
    net.now = BEGIN + EPOCH_SECS;
    assert_eq!(net.carry(0).faults, []);
    assert_eq!(net.state.acknowledged_by(SHARD), 1);
    net.settle();
    let close = net.close_of(0, FIRST_EPOCH + 1);
    net.close(0, &EpochClose { inbox_cursor: 0, ..close });
    net.now = BEGIN + 2 * EPOCH_SECS;
    let faults: Vec<_> = net.carry(0).faults.iter().map(|report| report.fault.code).collect();
    assert_eq!((faults, net.state.acknowledged_by(SHARD)), (vec![ShardFault::CloseCursor], 1));
    assert_eq!(net.state.acknowledged_by(ShardId::new(9)), 0, "of a shard that there is not");
}
