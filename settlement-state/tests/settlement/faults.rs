//! A shard that says what cannot be true freezes alone: its entry has no effect, the cursor passes it, later deliveries
//! are refused, and everyone else goes on.

use db3_light_client::UnixTime;
use db3_primitives::{
    Address, BlockTime, EpochClose, Fault, LogEntry, Payee, Rejection, ShardFault, ShardId, Statement, Tai,
};

use crate::support::{FIRST_EPOCH, Net, account, actor};

const LIAR: usize = 0;
const HONEST: usize = 1;

/// Two shards; alice has spent 50 of the 100 that she has on each.
fn net() -> (Net, Address) {
    let alice = actor(1).address;
    let mut net = Net::new(2, vec![account(alice, 1_000, 500, &[(0, 100), (1, 100)])]);
    for shard in [LIAR, HONEST] {
        net.state_of(shard, alice, 50);
        let close = net.close_of(shard, FIRST_EPOCH);
        net.close(shard, &close);
        net.now = net.now.max(super::support::BEGIN + super::support::EPOCH_SECS);
        assert_eq!(net.carry(shard).faults, []);
    }
    net.settle();
    (net, alice)
}

fn statement(account: Address, cumulative: u128) -> Vec<u8> {
    let statement = Statement { account, payee: Payee::ValidatorPool, cumulative: Tai::new(cumulative) };
    LogEntry::Statement(statement).to_bytes()
}

/// Writes the entries, of which the last is a lie, and one true entry after it.
fn lie(code: ShardFault, entries: impl FnOnce(&mut Net, Address) -> Vec<Vec<u8>>) {
    let (mut net, alice) = net();
    net.now += super::support::EPOCH_SECS;
    let entries = entries(&mut net, alice);
    for entry in &entries {
        net.write(LIAR, entry);
    }
    net.write(LIAR, &statement(alice, 60));
    let line = net.state.line(&alice, ShardId::new(0)).unwrap();
    let effects = net.carry(LIAR);
    let index = 2 + entries.len() as u64 - 1;
    let fault = Fault { code, index };
    assert_eq!(effects.faults.iter().map(|report| report.fault).collect::<Vec<_>>(), [fault]);
    assert_eq!(effects.faults[0].bytes, *entries.last().unwrap());
    assert_eq!(effects.deliveries[0].refused[0].index, index);
    let view = net.state.shard(ShardId::new(0)).unwrap();
    assert_eq!((view.leaf.fault, view.cursor), (Some(fault), index + 1), "the cursor passes the lie and nothing else");
    let nodes = effects.inbound_nodes.iter().filter(|(_, node)| node.level == 0).count();
    assert_eq!(nodes as u64, index + 1 - 2, "nodes cover the lie too");
    if entries.len() == 1 {
        assert_eq!(net.state.line(&alice, ShardId::new(0)).unwrap(), line);
    }
    frozen_alone(net, alice);
}

/// The liar is heard no more, gets no heartbeat and no more credit; the other shard and the account go on.
fn frozen_alone(mut net: Net, alice: Address) {
    let delivery = net.delivery(LIAR);
    let refused = net.state.check_delivery(&delivery, BlockTime::from_secs(net.now));
    assert!(matches!(refused, Err(Rejection::ChannelFrozen { .. })), "{refused:?}");
    let sent = net.state.shard(ShardId::new(0)).unwrap().sent;
    net.state_of(HONEST, alice, 120);
    let close = net.close_of(HONEST, FIRST_EPOCH + 1);
    net.close(HONEST, &close);
    assert_eq!(net.carry(HONEST).faults, []);
    let rounds = net.settle().iter().filter(|effects| effects.settled.is_some()).count();
    assert_eq!(rounds, 1, "no round waits for a shard that is not heard");
    assert_eq!(net.state.line(&alice, ShardId::new(1)).unwrap().paid, Tai::new(120));
    assert_eq!(net.state.shard(ShardId::new(0)).unwrap().sent, sent, "nothing is sent to a frozen shard");
}

/// A close that is true but for one thing.
fn false_close(code: ShardFault, change: impl FnOnce(&mut EpochClose)) {
    lie(code, |net, _| {
        let mut close = net.close_of(LIAR, FIRST_EPOCH + 1);
        change(&mut close);
        vec![LogEntry::EpochClose(close).to_bytes()]
    });
}

#[test]
fn bytes_that_are_no_entry_freeze_the_shard() {
    lie(ShardFault::EntryMalformed, |_, _| vec![vec![9; 58]]);
}

#[test]
fn a_statement_for_an_account_without_a_line_freezes_the_shard() {
    lie(ShardFault::LineUnknown, |_, _| vec![statement(actor(7).address, 1)]);
}

#[test]
fn a_statement_below_the_last_freezes_the_shard() {
    lie(ShardFault::StatementBelowLast, |_, alice| vec![statement(alice, 49)]);
}

#[test]
fn a_statement_above_what_is_held_freezes_the_shard() {
    lie(ShardFault::StatementAboveHeld, |net, alice| {
        let held = net.state.line(&alice, ShardId::new(0)).unwrap().held;
        vec![statement(alice, held.get() + 1)]
    });
}

#[test]
fn two_statements_for_one_account_in_one_close_freeze_the_shard() {
    lie(ShardFault::StatementOrder, |_, alice| vec![statement(alice, 60), statement(alice, 61)]);
}

#[test]
fn a_close_of_another_shard_freezes_the_shard() {
    false_close(ShardFault::CloseShard, |close| close.shard = ShardId::new(1));
}

#[test]
fn a_close_that_does_not_follow_freezes_the_shard() {
    false_close(ShardFault::CloseNotContiguous, |close| close.first = db3_primitives::Epoch::new(FIRST_EPOCH));
}

#[test]
fn a_first_close_that_does_not_begin_where_the_shard_did_freezes_the_shard() {
    for first in [0, FIRST_EPOCH - 1, FIRST_EPOCH + 1] {
        let alice = actor(1).address;
        let mut net = Net::new(2, vec![account(alice, 1_000, 500, &[(0, 100), (1, 100)])]);
        net.now += 2 * super::support::EPOCH_SECS;
        let last = first.max(FIRST_EPOCH);
        let close = EpochClose { first: db3_primitives::Epoch::new(first), ..net.close_of(LIAR, last) };
        net.write(LIAR, &LogEntry::EpochClose(close).to_bytes());
        let effects = net.carry(LIAR);
        let faults: Vec<ShardFault> = effects.faults.iter().map(|report| report.fault.code).collect();
        assert_eq!(faults, [ShardFault::CloseNotContiguous], "from epoch {first}");
        let leaf = net.state.shard(ShardId::new(0)).unwrap().leaf;
        assert_eq!((leaf.last_close, leaf.close_hash), (None, [0; 32]));
    }
}

#[test]
fn a_close_with_another_past_freezes_the_shard() {
    false_close(ShardFault::ClosePrevious, |close| close.previous = [1; 32]);
}

#[test]
fn a_close_with_a_wrong_number_of_statements_freezes_the_shard() {
    false_close(ShardFault::CloseStatements, |close| close.statements += 1);
}

#[test]
fn a_close_with_a_wrong_total_freezes_the_shard() {
    false_close(ShardFault::CloseTotal, |close| close.total = Tai::new(1));
}

#[test]
fn a_close_that_knows_entries_which_were_never_written_freezes_the_shard() {
    false_close(ShardFault::CloseCursor, |close| close.inbox_cursor += 1);
}

#[test]
fn a_close_that_forgets_entries_freezes_the_shard() {
    false_close(ShardFault::CloseCursor, |close| close.inbox_cursor = 0);
}

#[test]
fn a_close_of_an_epoch_that_has_not_ended_freezes_the_shard() {
    false_close(ShardFault::CloseEarly, |close| close.last = db3_primitives::Epoch::new(FIRST_EPOCH + 2));
}

#[test]
fn two_headers_of_one_height_freeze_the_shard() {
    let (mut net, alice) = net();
    // The same validators, another history: a made-up shard with the same keys.
    let mut other = super::support::source(LIAR as u32);
    for _ in 0..net.state.channel(net.sources[LIAR].chain_id()).unwrap().trusted_height() {
        other.append(&super::support::settlement(), &[1]).unwrap();
        net.now += 1;
        other.block(UnixTime::new(net.now as i64, 0).unwrap()).unwrap();
    }
    let mut delivery = other.delivery(&super::support::settlement(), 0, usize::MAX, 0).unwrap();
    delivery = db3_carry::Delivery::of_headers(delivery.source, delivery.headers);
    let effects = net.block(0, &[delivery], &[]);
    assert_eq!(effects.faults[0].fault.code, ShardFault::HeaderConflict);
    net.now += super::support::EPOCH_SECS;
    let sent = net.state.shard(ShardId::new(0)).unwrap().sent;
    net.state_of(HONEST, alice, 70);
    let close = net.close_of(HONEST, FIRST_EPOCH + 1);
    net.close(HONEST, &close);
    assert_eq!(net.carry(HONEST).faults, []);
    net.settle();
    assert_eq!(net.state.shard(ShardId::new(0)).unwrap().sent, sent);
}

#[test]
fn a_delivery_from_nowhere_is_refused_and_changes_nothing() {
    let (mut net, alice) = net();
    net.state_of(HONEST, alice, 70);
    let good = net.delivery(HONEST);
    let now = BlockTime::from_secs(net.now);
    assert_eq!(net.state.check_delivery(&good, now), Ok(()));
    let mut stranger = good.clone();
    stranger.source = db3_primitives::ChainId::shard(&super::support::network(), ShardId::new(2));
    assert!(matches!(net.state.check_delivery(&stranger, now), Err(Rejection::DeliverySourceUnknown { .. })));
    let mut mixed = good.clone();
    mixed.source = db3_primitives::ChainId::shard(&super::support::network(), ShardId::new(0));
    assert!(net.state.check_delivery(&mixed, now).is_err());
    let mut false_entry = good.clone();
    false_entry.log.entries[0][40] ^= 1;
    let before = net.state.root();
    let (state, effects) = db3_settlement_state::execute(
        &net.state,
        db3_primitives::Height::new(net.height + 1),
        now,
        &[stranger, mixed, false_entry],
        &[],
    );
    assert_eq!((state.root(), effects.refused.len(), effects.deliveries.len()), (before, 3, 0));
    net.block(0, std::slice::from_ref(&good), &[]);
    assert!(matches!(net.state.check_delivery(&good, now), Err(Rejection::DeliveryStale { .. })));
}
