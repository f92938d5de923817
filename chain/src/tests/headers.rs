//! Headers alone, and whoever brings them: they come when they are needed, in as many deliveries as it takes, and do not stay
//! where they are of no use; proof of two headers at one height comes before everything else.

use std::cmp::Ordering;

use db3_carry::build::header_update;
use db3_carry::{Delivery, HeaderUpdate};
use db3_primitives::Rejection;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::RequestCheckTx;

use super::deliveries::{Bare, line, refused, tx};
use super::support::{Account, CEILING, Settlement, home_of, settings, settlement, shard_id, soon, start};
use crate::{Bearer, cost_signatures};

/// A settlement chain of so many blocks, all of whose validators change with every other one.
fn restless(source: &mut Settlement, blocks: u8) {
    for block in 1..=blocks {
        let first = 100 + block.div_ceil(2);
        source.source.headers_mut().change_validators(&[([first; 32], 1)]).unwrap();
        source.block();
    }
}

/// Headers alone at these heights, for who trusts that of another.
fn alone(source: &Settlement, trusted: u64, heights: impl IntoIterator<Item = u64>) -> Delivery {
    let headers = source.source.headers();
    let steps = heights.into_iter().scan(trusted, |trusted, height| {
        Some(header_update(headers, height, std::mem::replace(trusted, height)).unwrap())
    });
    Delivery::of_headers(settlement(), steps.collect())
}

fn check(chain: &Bare, delivery: &Delivery, recheck: bool) -> u32 {
    chain.app.check_tx(RequestCheckTx { tx: tx(delivery), r#type: recheck.into() }).code
}

fn trusted(chain: &Bare) -> u64 {
    chain.app.inner.versions.committed().state.channel(&settlement()).unwrap().trusted_height()
}

#[test]
fn headers_alone_wait_no_longer_than_what_is_trusted_stands() {
    // Either one that is needed may be first in a block.
    for first in [Ordering::Less, Ordering::Greater] {
        let (chain, mut source) = Bare::new();
        restless(&mut source, 12);
        let (short, long) = (alone(&source, 0, 1..=4), alone(&source, 0, 1..=6));
        let one = alone(&source, 0, [1]);
        assert_eq!(check(&chain, &one, false), 222, "one header can be trusted at once, and is not due");
        assert_eq!((check(&chain, &short, false), check(&chain, &long, false)), (0, 0));
        assert_eq!((check(&chain, &short, true), check(&chain, &long, true)), (0, 0));
        let (taken, left) = if first == Ordering::Less { (&short, &long) } else { (&long, &short) };
        chain.decide(vec![tx(taken)]);
        assert_eq!(trusted(&chain), taken.headers.len() as u64);
        assert!(chain.app.inner.deliveries.is_empty(), "what waits was judged by what was trusted before");
        let code = check(&chain, left, true);
        assert!([217, 222].contains(&code), "CometBFT forgets it as well: {code}");
    }
}

#[test]
fn headers_alone_that_are_due_leave_when_one_of_them_was_taken() {
    for first in [Ordering::Less, Ordering::Greater] {
        let (chain, mut source) = Bare::trusting(30);
        for _ in 0..3 {
            source.block();
        }
        let (low, high) = (alone(&source, 0, [2]), alone(&source, 0, [3]));
        assert_eq!((check(&chain, &low, false), check(&chain, &high, false)), (0, 0), "the root is a third as old");
        chain.decide(vec![tx(if first == Ordering::Less { &low } else { &high })]);
        assert!(chain.app.inner.deliveries.is_empty());
    }
}

#[test]
fn proof_of_two_headers_at_one_height_comes_before_all_entries() {
    let (chain, mut source) = Bare::new();
    source.says(line(&Account::new(1), CEILING));
    chain.decide(vec![tx(&source.delivery(0, 0))]);
    let light_block = source.source.headers().fork(1, [7; 32]).unwrap().unwrap();
    let fraud = vec![HeaderUpdate { light_block, trusted_next_validators: None }];
    let accusation = Delivery::of_headers(settlement(), fraud);
    for ceiling in 1..=2 {
        source.says(line(&Account::new(1), CEILING + ceiling));
        assert_eq!(check(&chain, &source.delivery(2, 1), false), 0);
    }
    // Both places are taken by entries, which would come before headers alone.
    assert_eq!(check(&chain, &accusation, false), 0);
    assert_eq!(chain.app.inner.deliveries.select(9, usize::MAX, 0), [tx(&accusation)]);
    chain.decide(vec![tx(&accusation)]);
    let state = chain.app.inner.versions.committed().state.clone();
    assert_eq!(state.channel(&settlement()).unwrap().frozen().unwrap().height, 1);
    assert!(chain.app.inner.deliveries.is_empty(), "nothing is heard any more");
}

#[test]
fn while_false_deliveries_cost_too_much_cometbft_is_told_to_wait() {
    let (chain, mut source) = Bare::new();
    source.says(line(&Account::new(1), CEILING));
    let (good, forged) = (source.delivery(0, 0), source.delivery_of([9; 32]));
    assert_eq!(check(&chain, &forged, false), 219);
    chain.app.inner.gate.exhaust();
    assert_eq!(check(&chain, &good, false), Rejection::Overloaded { what: "" }.code());
    // What others proposed is judged all the same.
    assert!(chain.accepts(vec![tx(&good)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_node_found_good_goes_on_while_false_deliveries_cost_too_much() {
    let (chain, mut source) = Bare::new();
    source.says(line(&Account::new(1), CEILING));
    let (own, unseen) = (source.delivery(0, 0), source.delivery(0, 0));
    chain.app.inner.submit_delivery(own.clone(), Bearer::Own).await.unwrap();
    chain.app.inner.gate.exhaust();
    assert_eq!(check(&chain, &own, false), 0, "its own relay's way to CometBFT");
    assert_eq!(check(&chain, &unseen, false), Rejection::Overloaded { what: "" }.code());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_far_behind_catches_up_in_several_deliveries_and_then_hears_the_entries() {
    let (_folder, home, mut source) = home_of(settings);
    let account = Account::new(1);
    source.says(line(&account, CEILING));
    restless(&mut source, 40);
    let chain = start(&home).await;
    let trusted = || chain.committed().state.channel(&settlement()).unwrap().trusted_height();
    // Nobody needs a single header, and the entries cannot be proven yet.
    assert_eq!(refused(&chain, alone(&source, 0, [2])).await.name(), "HEADERS_NOT_DUE");
    let mut whole = source.delivery(0, 0);
    assert_eq!(refused(&chain, whole.clone()).await.name(), "HEADER_REFUSED");
    while trusted() < 32 {
        let from = trusted();
        let part = alone(&source, from, from + 1..=from + 16);
        chain.submit_delivery(part).await.unwrap().block(soon()).await.unwrap().unwrap();
        assert_eq!(trusted(), from + 16);
    }
    whole.headers = alone(&source, 32, 33..=41).headers;
    chain.submit_delivery(whole).await.unwrap().block(soon()).await.unwrap().unwrap();
    assert_eq!(chain.committed().state.channel(&settlement()).unwrap().cursor(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_known_take_no_room_in_a_block() {
    let (_folder, home, mut source) = home_of(settings);
    let chain = start(&home).await;
    for ceiling in 1..=3 {
        source.says(line(&Account::new(1), CEILING + ceiling));
        source.block();
    }
    let first = source.source.delivery_at(1, &shard_id(), 0, usize::MAX, 0).unwrap();
    chain.submit_delivery(first).await.unwrap().block(soon()).await.unwrap().unwrap();
    // The same header again, beside the one that proves more.
    let mut padded = source.source.delivery_at(3, &shard_id(), 2, usize::MAX, 1).unwrap();
    let needed = tx(&padded);
    padded.headers.insert(0, header_update(source.source.headers(), 1, 0).unwrap());
    let height = chain.submit_delivery(padded).await.unwrap().block(soon()).await.unwrap().unwrap();
    let block = chain.store().block(height).unwrap().unwrap();
    assert_eq!(block.data.unwrap().txs, [needed.to_vec()]);
    assert_eq!(chain.committed().state.channel(&settlement()).unwrap().cursor(), 4);
}

/// A chain that has taken two entries, the delivery of the third, and the same with garbage where the first two stood.
fn padded() -> (Bare, Delivery, Delivery) {
    let (chain, mut source) = Bare::new();
    source.says(line(&Account::new(1), CEILING));
    chain.decide(vec![tx(&source.delivery(0, 0))]);
    source.says(line(&Account::new(1), CEILING + 1));
    let needed = source.delivery(2, 1);
    let mut padded = needed.clone();
    padded.log.start = 0;
    padded.log.entries.splice(0..0, [vec![7; 4_000], vec![8; 4_000]]);
    (chain, needed, padded)
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_were_taken_before_take_no_room_in_a_block() {
    let (chain, needed, padded) = padded();
    chain.app.inner.submit_delivery(padded.clone(), Bearer::Stranger).await.unwrap();
    assert_eq!(chain.app.inner.deliveries.select(9, usize::MAX, 0), [tx(&needed)]);
}

#[test]
fn a_proposer_leaves_out_entries_that_were_taken_before_and_a_proposal_with_them_is_refused() {
    let (chain, needed, padded) = padded();
    // An honest relay that was overtaken on the way brings such entries as well.
    assert_eq!(check(&chain, &padded, false), 0);
    assert_eq!(chain.prepare(vec![tx(&padded)]), [tx(&needed)]);
    assert!(!chain.accepts(vec![tx(&padded)]));
    assert!(chain.accepts(vec![tx(&needed)]));
    // What was decided all the same is executed.
    chain.decide(vec![tx(&padded)]);
    assert_eq!(chain.app.inner.versions.committed().state.channel(&settlement()).unwrap().cursor(), 3);
}

#[test]
fn who_comes_late_with_entries_under_a_header_that_is_known_no_more_is_not_taken_for_a_forger() {
    let (chain, mut source) = Bare::new();
    source.says(line(&Account::new(1), CEILING));
    source.block();
    let mut late = source.delivery(0, 0);
    late.headers.clear();
    let inner = &chain.app.inner;
    let rejection = inner.take_delivery(late).unwrap_err();
    assert!(!cost_signatures(&rejection), "no signature was looked at: {rejection}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_own_relay_has_a_place_when_strangers_take_all() {
    let (_folder, home, mut source) = home_of(settings);
    let chain = start(&home).await;
    source.says(line(&Account::new(1), CEILING));
    let delivery = source.delivery(0, 0);
    let strangers = chain.inner().gate.fill();
    assert_eq!(chain.submit_delivery(delivery.clone()).await.unwrap_err().rejection().name(), "OVERLOADED");
    let own = chain.submit_delivery_of(Bearer::Own, delivery).await.unwrap();
    own.block(soon()).await.unwrap().unwrap();
    drop(strangers);
    source.says(line(&Account::new(1), CEILING + 1));
    chain.submit_delivery(source.delivery(2, 1)).await.unwrap();
}
