//! What a shard hears of the settlement chain: lines, leases, and everything that is no line or lease.

use db3_carry::Delivery;
use db3_primitives::limits::{BLOCK_DELIVERIES_MAX, CEILING_TAI_MAX};
use db3_primitives::{
    Address, ChainId, CreditEntry, Epoch, EpochClose, Heartbeat, LineEntry, LogEntry, ShardId, Tai, VerifiedMutation,
};
use db3_shard_state::{Outcome, ReceiptOutcome, ShardState};
use proptest::prelude::*;

use crate::settlement::{ALL, Settlement};
use crate::support::{
    Actor, Chain, EPOCH_SECS, Genesis, START_SECS, actor, genesis, log_entry, mutation, put, refusal, sign,
};

const FIRST: u64 = START_SECS / EPOCH_SECS;

fn line(account: Address, ceiling: u128) -> CreditEntry {
    CreditEntry::Line(LineEntry { account, ceiling: Tai::new(ceiling) })
}

fn lease(epoch: u64) -> CreditEntry {
    CreditEntry::Heartbeat(Heartbeat { epoch: Epoch::new(0), lease: Epoch::new(epoch), inbox_cursor: 0 })
}

/// A shard as genesis leaves it, where nobody may spend anything, and the settlement chain that it hears.
fn network() -> (Chain, Settlement) {
    let bare = Genesis { lease_epoch: 0, ..genesis(&[]) };
    (Chain::new(&bare), Settlement::of(&bare))
}

fn write(actor: &Actor, nonce: u64) -> VerifiedMutation {
    sign(actor, &mutation(actor, nonce, vec![put("t", "k", "v")]))
}

fn refused(chain: &Chain, delivery: &Delivery) -> &'static str {
    let before = chain.state.root();
    let mut executor = chain.executor(0);
    let rejection = executor.deliver(delivery).unwrap_err();
    let (after, effects) = executor.finish();
    assert_eq!((after.root(), effects.deliveries.len()), (before, 0), "a refusal has no effect");
    assert_eq!(chain.check(delivery).unwrap_err(), rejection, "admission says the same");
    rejection.name()
}

#[test]
fn nobody_spends_before_a_line_and_a_lease_have_arrived() {
    let alice = actor(1);
    let (mut chain, mut settlement) = network();
    assert_eq!(refusal(chain.executor(0).apply(&write(&alice, 1))).name(), "LINE_MISSING");
    settlement.says(&[line(alice.address, 1_000_000)]);
    chain.hear(&settlement.tells(&chain, ALL));
    assert_eq!(refusal(chain.executor(0).apply(&write(&alice, 1))).name(), "LEASE_ENDED");
    settlement.says(&[lease(FIRST)]);
    let effects = chain.hear(&settlement.tells(&chain, ALL));
    assert_eq!((effects.deliveries[0].first, effects.deliveries[0].cursor), (1, 2));
    assert!(matches!(chain.executor(0).apply(&write(&alice, 1)), Outcome::Applied(_)));
    assert_eq!(refusal(chain.executor(EPOCH_SECS).apply(&write(&alice, 1))).name(), "LEASE_ENDED");
}

#[test]
fn a_line_may_be_used_by_a_mutation_of_the_block_that_brings_it() {
    let alice = actor(1);
    let (chain, mut settlement) = network();
    settlement.says(&[line(alice.address, 1_000_000), lease(FIRST)]);
    let mut executor = chain.executor(0);
    let _ = executor.deliver(&settlement.tells(&chain, ALL)).unwrap();
    assert!(matches!(executor.apply(&write(&alice, 1)), Outcome::Applied(_)));
    let (state, effects) = executor.finish();
    assert_eq!(effects.bills[0].fee, state.account(&alice.address).unwrap().spent);
}

#[test]
fn the_newest_line_counts_even_below_what_is_spent_and_moves_no_sum() {
    let alice = actor(1);
    let (mut chain, mut settlement) = network();
    settlement.says(&[line(alice.address, 5), line(alice.address, 1_000_000), lease(FIRST)]);
    chain.hear(&settlement.tells(&chain, ALL));
    assert_eq!(chain.block(0, &[write(&alice, 1)]).receipts[0].outcome, ReceiptOutcome::Applied);
    let before = chain.state.account(&alice.address).unwrap();
    settlement.says(&[line(alice.address, 7)]);
    chain.hear(&settlement.tells(&chain, ALL));
    let after = chain.state.account(&alice.address).unwrap();
    assert_eq!(after.ceiling, Tai::new(7));
    assert_eq!((after.spent, after.bill_count), (before.spent, before.bill_count));
    assert_eq!(after.available(), Tai::ZERO);
    assert_eq!(refusal(chain.executor(0).apply(&write(&alice, 2))).name(), "CREDIT_EXHAUSTED");
}

#[test]
fn a_block_names_those_whose_ceiling_was_lowered_and_nobody_else() {
    let [alice, bob, carol] = [1, 2, 3].map(actor);
    let (mut chain, mut settlement) = network();
    settlement.says(&[line(alice.address, 500), line(bob.address, 500), line(carol.address, 500), lease(FIRST)]);
    assert_eq!(chain.hear(&settlement.tells(&chain, ALL)).lowered, []);
    settlement.says(&[lease(FIRST + 1), line(bob.address, 499), line(alice.address, 500), line(carol.address, 501)]);
    assert_eq!(chain.hear(&settlement.tells(&chain, ALL)).lowered, [bob.address]);
    assert_eq!(chain.block(0, &[]).lowered, []);
}

#[test]
fn a_lease_grows_and_never_shrinks() {
    let (mut chain, mut settlement) = network();
    settlement.says(&[lease(FIRST + 5), lease(FIRST + 3)]);
    chain.hear(&settlement.tells(&chain, ALL));
    assert_eq!(chain.state.chain().lease_epoch, FIRST + 5);
}

#[test]
fn entries_that_no_settlement_chain_writes_are_recorded_and_passed() {
    let alice = actor(1);
    let (mut chain, mut settlement) = network();
    let too_much = CEILING_TAI_MAX.get() + 1;
    settlement.writes(b"");
    settlement.says(&[line(alice.address, 9)]);
    settlement.says(&[line(alice.address, too_much)]);
    settlement.writes(&[3; 36]);
    settlement.writes(&[1; 37]);
    settlement.says(&[lease(FIRST)]);
    let effects = chain.hear(&settlement.tells(&chain, ALL));
    let delivered = &effects.deliveries[0];
    assert_eq!((delivered.applied, delivered.cursor), (6, 6));
    assert_eq!(delivered.refused.iter().map(|entry| entry.index).collect::<Vec<_>>(), [0, 2, 3, 4]);
    assert!(delivered.refused[1].detail.contains(&too_much.to_string()), "{}", delivered.refused[1].detail);
    assert_eq!(chain.state.account(&alice.address).unwrap().ceiling, Tai::new(9));
    assert_eq!(chain.state.chain().lease_epoch, FIRST);
}

#[test]
fn what_was_delivered_changes_no_byte_when_it_comes_again() {
    let (mut chain, mut settlement) = network();
    settlement.says(&[line(actor(1).address, 9), lease(FIRST)]);
    let first = settlement.tells(&chain, ALL);
    chain.hear(&first);
    assert_eq!(refused(&chain, &first), "DELIVERY_STALE");
    settlement.says(&[line(actor(1).address, 10)]);
    let whole = settlement.from(0, 0, ALL);
    let effects = chain.hear(&whole);
    assert_eq!((effects.deliveries[0].first, effects.deliveries[0].applied), (2, 1), "what is known is skipped");
    settlement.says(&[line(actor(1).address, 11)]);
    settlement.says(&[line(actor(1).address, 12)]);
    assert_eq!(refused(&chain, &settlement.from(4, 0, ALL)), "DELIVERY_GAP");
}

#[test]
fn a_log_for_another_chain_or_of_another_one_is_refused() {
    let (chain, mut settlement) = network();
    settlement.says(&[line(actor(1).address, 9)]);
    let good = settlement.tells(&chain, ALL);
    let stranger = Delivery { source: ChainId::settlement(&"other".parse().unwrap()), ..good.clone() };
    assert_eq!(refused(&chain, &stranger), "DELIVERY_SOURCE_UNKNOWN");
    let shard = Delivery { source: chain.state.chain().chain_id(), ..good.clone() };
    assert_eq!(refused(&chain, &shard), "DELIVERY_SOURCE_UNKNOWN");
    let mut elsewhere = settlement.clone();
    elsewhere.shard = ChainId::shard(&chain.state.chain().network, ShardId::new(1));
    elsewhere.says(&[line(actor(2).address, 9)]);
    assert_eq!(refused(&chain, &elsewhere.from(0, 0, ALL)), "DELIVERY_FALSE");
    let mut changed = good;
    changed.log.entries[0][1] ^= 1;
    assert_eq!(refused(&chain, &changed), "DELIVERY_FALSE");
}

#[test]
fn a_header_from_the_future_is_too_early_and_not_false() {
    let (chain, mut settlement) = network();
    settlement.time += 1_000;
    settlement.says(&[lease(FIRST)]);
    let early = settlement.tells(&chain, ALL);
    assert_eq!(refused(&chain, &early), "HEADER_TOO_EARLY");
    assert!(chain.executor(1_000).deliver(&early).is_ok());
}

#[test]
fn the_close_samples_the_cursor_before_the_deliveries_of_its_block() {
    let alice = actor(1);
    let (mut chain, mut settlement) = network();
    settlement.says(&[line(alice.address, 1_000_000), lease(FIRST + 9)]);
    chain.hear(&settlement.tells(&chain, ALL));
    let _ = chain.block(0, &[write(&alice, 1)]);
    settlement.says(&[line(alice.address, 2_000_000)]);
    let news = settlement.tells(&chain, ALL);
    let effects = chain.block_with(EPOCH_SECS, &[news], &[write(&alice, 2)]);
    let closes = closes(&effects.entries.iter().map(log_entry).collect::<Vec<_>>());
    assert_eq!(
        (closes[0].inbox_cursor, closes[0].bill_count),
        (2, 1),
        "neither delivery nor bill of this block counts"
    );
    assert_eq!(chain.state.channel(&chain.state.settlement()).unwrap().cursor(), 3);
    let closes = self::closes(&chain.block(EPOCH_SECS, &[]).entries.iter().map(log_entry).collect::<Vec<_>>());
    assert_eq!((closes[0].inbox_cursor, closes[0].bill_count), (3, 1));
}

#[test]
fn a_close_that_takes_many_blocks_keeps_the_cursor_it_began_with() {
    let actors: Vec<Actor> = (1..=5).map(actor).collect();
    let slow = Genesis { lease_epoch: 0, close_accounts_max: 1, ..genesis(&[]) };
    let (mut chain, mut settlement) = (Chain::new(&slow), Settlement::of(&slow));
    let lines: Vec<CreditEntry> = actors.iter().map(|actor| line(actor.address, 1_000_000)).collect();
    settlement.says(&lines);
    settlement.says(&[lease(FIRST + 9)]);
    chain.hear(&settlement.tells(&chain, ALL));
    let mutations: Vec<VerifiedMutation> = actors.iter().map(|actor| write(actor, 1)).collect();
    let _ = chain.block(0, &mutations);
    let mut entries = Vec::new();
    let mut secs = EPOCH_SECS;
    while closes(&entries).is_empty() {
        settlement.says(&[line(actors[0].address, 2_000_000)]);
        // New accounts stand before and after the ones that are visited.
        settlement.says(&[line(Address::new([0; 20]), 5), line(Address::new([255; 20]), 5)]);
        let effects = chain.block_with(std::mem::take(&mut secs), &[settlement.tells(&chain, ALL)], &[]);
        entries.extend(effects.entries.iter().map(log_entry));
    }
    let close = closes(&entries)[0];
    assert_eq!((close.inbox_cursor, close.statements, close.bill_count), (6, 5, 5));
}

#[test]
fn a_halt_closes_its_epochs_as_one_and_the_lease_may_arrive_in_the_same_block() {
    let alice = actor(1);
    let (mut chain, mut settlement) = network();
    settlement.says(&[line(alice.address, 1_000_000), lease(FIRST)]);
    chain.hear(&settlement.tells(&chain, ALL));
    let _ = chain.block(0, &[write(&alice, 1)]);
    settlement.time += 7 * EPOCH_SECS;
    settlement.says(&[lease(FIRST + 9)]);
    let late = sign(
        &alice,
        &db3_primitives::Mutation {
            expire_unix_secs: START_SECS + 100,
            ..mutation(&alice, 2, vec![put("t", "k", "w")])
        },
    );
    let effects = chain.block_with(7 * EPOCH_SECS, &[settlement.tells(&chain, ALL)], &[late]);
    let close = closes(&effects.entries.iter().map(log_entry).collect::<Vec<_>>())[0];
    assert_eq!((close.first.get(), close.last.get(), close.inbox_cursor), (FIRST, FIRST + 6, 2));
    assert_eq!(effects.receipts[0].outcome, ReceiptOutcome::Applied);
    assert_eq!(effects.bill_epoch.get(), FIRST + 7);
    assert_eq!(chain.state.next_boundary_secs(), Some((FIRST + 8) * EPOCH_SECS));
}

#[test]
fn a_block_takes_so_many_deliveries_and_no_more() {
    let (chain, mut settlement) = network();
    let mut executor = chain.executor(0);
    for cursor in 0..BLOCK_DELIVERIES_MAX as u64 {
        settlement.says(&[lease(cursor)]);
        let _ = executor.deliver(&settlement.from(cursor, 0, ALL)).unwrap();
    }
    settlement.says(&[lease(99)]);
    let one_more = settlement.from(BLOCK_DELIVERIES_MAX as u64, 0, ALL);
    assert_eq!(executor.deliver(&one_more).unwrap_err().name(), "BLOCK_FULL");
    assert_eq!(executor.finish().1.deliveries.len(), BLOCK_DELIVERIES_MAX);
}

#[test]
fn two_headers_at_one_height_freeze_the_channel_and_nothing_else() {
    let alice = actor(1);
    let (mut chain, mut settlement) = network();
    settlement.says(&[line(alice.address, 1_000_000), lease(FIRST)]);
    let mut twin = settlement.clone();
    chain.hear(&settlement.tells(&chain, ALL));
    twin.says(&[line(alice.address, 2_000_000)]);
    settlement.says(&[lease(FIRST + 1)]);
    chain.hear(&settlement.tells(&chain, ALL));
    let effects = chain.hear(&Delivery::of_headers(chain.state.settlement(), twin.headers()));
    assert_eq!(effects.deliveries[0].applied, 0);
    assert!(chain.state.channel(&chain.state.settlement()).unwrap().frozen().is_some());
    settlement.says(&[lease(FIRST + 9)]);
    assert_eq!(refused(&chain, &settlement.tells(&chain, ALL)), "CHANNEL_FROZEN");
    assert_eq!(
        chain.block(0, &[write(&alice, 1)]).receipts[0].outcome,
        ReceiptOutcome::Applied,
        "the line still holds"
    );
    ShardState::from_tree(chain.state.tree().clone()).unwrap();
}

fn closes(entries: &[LogEntry]) -> Vec<EpochClose> {
    entries
        .iter()
        .filter_map(|entry| match entry {
            LogEntry::EpochClose(close) => Some(*close),
            LogEntry::Statement(_) => None,
        })
        .collect()
}

/// An entry as the generator draws it.
fn entry() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (1_u8..4, 0_u128..2_000_000).prop_map(|(who, ceiling)| line(actor(who).address, ceiling).to_bytes()),
        1 => (0_u64..20).prop_map(|epochs| lease(FIRST + epochs).to_bytes()),
        1 => any::<(u8, u128)>().prop_map(|(who, ceiling)| line(Address::new([who; 20]), ceiling).to_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However the log is cut into deliveries, whatever is repeated and written between: the shard knows what the
    /// newest entries say, and the sums are those of its own bills.
    #[test]
    fn any_cut_of_the_log_leads_to_what_the_log_says(
        entries in prop::collection::vec(entry(), 1..40),
        cuts in prop::collection::vec((1_usize..600, 0_u64..4, prop::bool::ANY), 40..60),
    ) {
        let alice = actor(1);
        let (mut chain, mut settlement) = network();
        for bytes in &entries {
            settlement.writes(bytes);
        }
        settlement.block();
        let mut nonce = 0;
        let mut spent = 0;
        for (bytes_max, back, writes) in cuts {
            let cursor = chain.state.channel(&chain.state.settlement()).unwrap().cursor();
            if cursor == entries.len() as u64 {
                break;
            }
            let delivery = settlement.from(cursor.saturating_sub(back), 0, bytes_max);
            let mut executor = chain.executor(1);
            let _ = executor.deliver(&delivery);
            if writes {
                nonce += 1;
                if let Outcome::Applied(receipt) = executor.apply(&write(&alice, nonce)) {
                    spent += receipt.fee.get();
                }
            }
            chain.take(1, executor);
        }
        let cursor = usize::try_from(chain.state.channel(&chain.state.settlement()).unwrap().cursor()).unwrap();
        let (mut ceilings, mut lease_epoch) = (std::collections::BTreeMap::new(), 0);
        for entry in entries[..cursor].iter().filter_map(|bytes| CreditEntry::from_bytes(bytes).ok()) {
            match entry {
                CreditEntry::Line(line) if line.ceiling <= CEILING_TAI_MAX => {
                    ceilings.insert(line.account, line.ceiling);
                }
                CreditEntry::Line(_) => {}
                CreditEntry::Heartbeat(heartbeat) => lease_epoch = lease_epoch.max(heartbeat.lease.get()),
            }
        }
        let known: std::collections::BTreeMap<Address, Tai> =
            chain.state.accounts().map(|(account, leaf)| (account, leaf.ceiling)).collect();
        prop_assert_eq!(known, ceilings);
        prop_assert_eq!(chain.state.chain().lease_epoch, lease_epoch);
        let sum: u128 = chain.state.accounts().map(|(_, leaf)| leaf.spent.get()).sum();
        prop_assert_eq!(sum, spent);
        ShardState::from_tree(chain.state.tree().clone()).unwrap();
    }
}
