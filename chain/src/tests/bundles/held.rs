//! Bundles that the others refused for a while. `CometBFT` sends a transaction to each peer once, so they hear of what is in
//! one again only in another one.

use std::time::Duration;

use super::*;
use crate::app::FalseBundles;
use crate::lock;
use crate::pool::PATIENCE_BLOCKS;

/// Blocks without transactions on all nodes, and what the first one says of a bundle after each, until it says no; how
/// many they were.
fn blocks_until_given_up(apps: &[ShardApp], tx: &Bytes) -> u64 {
    for blocks in 1..=2 * PATIENCE_BLOCKS {
        for app in apps {
            decide(app, &[]);
        }
        if !checks(&apps[0], tx, true) {
            return blocks;
        }
        assert_eq!(free(&apps[0]), 0, "it has it");
    }
    panic!("it holds the bundle for ever");
}

#[tokio::test]
async fn what_everybody_else_refused_for_a_while_is_brought_to_them_again() {
    let (apps, folders) = nodes(2);
    // One that never proposes, and one that does.
    let (origin, peer) = (&apps[0], &apps[1]);
    let envelopes = [1, 2].map(|nonce| Account::new(1).put_with_nonce(time(origin), "k", 1, nonce));
    let submitted = envelopes.clone().map(|envelope| admit(origin, envelope));
    let mut bundler = bundler(origin, &folders[0]);
    bundler.bundle(0);
    let tx = bundle(&envelopes);
    assert!(checks(origin, &tx, false));
    lock(&peer.inner.false_bundles).spend(Duration::from_secs(3_600));
    assert!(!checks(peer, &tx, false), "not now");
    *lock(&peer.inner.false_bundles) = FalseBundles::default();

    assert!(blocks_until_given_up(&apps, &tx) > PATIENCE_BLOCKS, "a full mempool is no reason");
    assert_eq!((bundler.places(), free(origin)), (IN_FLIGHT_MAX, 2));
    bundler.bundle(0);
    assert!(checks(origin, &tx, false) && checks(origin, &tx, true), "and it is held as long as the first one");
    assert!(checks(peer, &tx, false));
    let proposed = prepare(peer, &[tx]);
    for app in &apps {
        decide(app, &proposed);
    }
    assert!(submitted.iter().all(|submitted| matches!(submitted.receipt.now(), ReceiptState::Done(_))));
}

#[test]
fn a_bundle_is_given_up_by_those_alone_who_were_asked_for_what_is_in_it() {
    let (apps, _folders) = nodes(1);
    let app = &apps[0];
    let [theirs, mine] = [1, 2].map(|nonce| Account::new(1).put_with_nonce(time(app), "k", 1, nonce));
    let (strange, shared) = (bundle(&[theirs]), bundle(std::slice::from_ref(&mine)));
    assert!(checks(app, &strange, false) && checks(app, &shared, false));
    admit(app, mine);
    for _ in 0..PATIENCE_BLOCKS {
        decide(app, &[]);
        assert!(checks(app, &strange, true) && checks(app, &shared, true));
    }
    decide(app, &[]);
    assert!(checks(app, &strange, true) && !checks(app, &shared, true));
    assert_eq!((waiting(app), free(app)), (2, 1));
}
