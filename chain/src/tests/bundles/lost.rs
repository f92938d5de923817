//! Bundles that `CometBFT` took and then dropped without a word, as it does where its mempool became full meanwhile: after
//! a block it asks about all that it holds, and about these it does not.

use super::*;

/// A block without transactions, after which `CometBFT` asks about what it holds.
fn block(app: &ShardApp, holds: &[&Bytes]) {
    decide(app, &[]);
    for tx in holds {
        assert!(checks(app, tx, true), "it still holds something good");
    }
}

#[tokio::test]
async fn a_bundle_that_cometbft_lost_is_made_again_of_what_was_asked_for_here() {
    let (apps, folders) = nodes(1);
    let (app, now) = (&apps[0], time(&apps[0]));
    let envelopes = [1, 2].map(|nonce| Account::new(1).put_with_nonce(now, "k", 1, nonce));
    let submitted = envelopes.clone().map(|envelope| admit(app, envelope));
    let mut bundler = bundler(app, &folders[0]);
    bundler.bundle(0);
    let tx = bundle(&envelopes);
    block(app, &[]);
    block(app, &[]);
    assert_eq!(bundler.places(), IN_FLIGHT_MAX - 1, "it has not asked yet: the bundle is on its way");
    assert!(checks(app, &tx, false));
    block(app, &[&tx]);
    block(app, &[&tx]);
    assert_eq!((bundler.places(), free(app)), (IN_FLIGHT_MAX - 1, 0), "it has it");
    block(app, &[]);
    assert_eq!(free(app), 0, "it is asked between one block and the next");
    block(app, &[]);
    assert_eq!((bundler.places(), free(app)), (IN_FLIGHT_MAX, 2));
    bundler.bundle(0);
    assert_eq!((bundler.places(), free(app)), (IN_FLIGHT_MAX - 1, 0));
    assert!(checks(app, &tx, false), "it is taken as if for the first time");
    let proposed = prepare(app, &[tx]);
    decide(app, &proposed);
    assert!(submitted.iter().all(|submitted| matches!(submitted.receipt.now(), ReceiptState::Done(_))));
}

#[test]
fn of_a_peers_bundle_that_cometbft_lost_stays_what_was_asked_for_here() {
    let (apps, _folders) = nodes(1);
    let (app, now) = (&apps[0], time(&apps[0]));
    let [mine, theirs, more] = [1, 2, 3].map(|nonce| Account::new(1).put_with_nonce(now, "k", 1, nonce));
    admit(app, mine.clone());
    let (lost, held) = (bundle(&[mine, theirs.clone()]), bundle(&[more]));
    assert!(checks(app, &lost, false) && checks(app, &held, false));
    block(app, &[&held]);
    assert_eq!((waiting(app), free(app)), (3, 0));
    block(app, &[&held]);
    assert_eq!((waiting(app), free(app)), (2, 1));
    // What was forgotten is new again.
    assert!(checks(app, &bundle(&[theirs]), false));
}

#[test]
fn what_came_between_a_block_and_its_second_looks_is_not_lost() {
    let (apps, _folders) = nodes(1);
    let (app, now) = (&apps[0], time(&apps[0]));
    let [old, new] = [1, 2].map(|nonce| bundle(&[Account::new(1).put_with_nonce(now, "k", 1, nonce)]));
    assert!(checks(app, &old, false));
    block(app, &[&old]);
    assert!(checks(app, &new, false));
    block(app, &[&old, &new]);
    block(app, &[&old, &new]);
    assert_eq!((waiting(app), free(app)), (2, 0));
}

#[test]
fn a_mutation_of_a_peers_bundle_does_not_hold_the_whole_bundle_in_memory() {
    let (apps, _folders) = nodes(1);
    let (app, now) = (&apps[0], time(&apps[0]));
    let envelopes = [1, 2].map(|nonce| Account::new(1).put_with_nonce(now, "k", 1, nonce));
    let tx = bundle(&envelopes);
    assert!(checks(app, &tx, false));
    assert!(tx.is_unique(), "nobody else holds its bytes");
}
