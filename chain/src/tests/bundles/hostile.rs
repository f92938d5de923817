//! Bundles that no honest node makes.

use std::time::Duration;

use db3_primitives::sha256;

use super::super::support::{put, sign};
use super::*;
use crate::app::FalseBundles;
use crate::lock;

/// A mutation in the name of an account that has not signed it.
fn forged(victim: &Account, now: u64, nonce: u64) -> Bytes {
    sign(&Account::new(2).key, &victim.mutation(now, nonce, vec![put("k", b"v")]))
}

/// A mutation of nobody who has a line here.
fn unpaid(now: u64, pairs: usize, nonce: u64) -> Bytes {
    Account::new(200).put_with_nonce(now, "k", pairs, nonce)
}

#[test]
fn a_bundle_that_cannot_be_read_in_part_is_refused() {
    let (apps, _folders) = nodes(1);
    let (app, now) = (&apps[0], time(&apps[0]));
    let good: Vec<_> = (1..=9).map(|nonce| Account::new(1).put_with_nonce(now, "k", 1, nonce)).collect();
    for junk in [Bytes::new(), Bytes::from_static(b"junk"), Bytes::from(vec![0xff; 100_000])] {
        assert!(!checks(app, &bundle(&[&good[..], &[junk]].concat()), false));
    }
    assert_eq!(waiting(app), 0);
    assert!(checks(app, &bundle(&good), false));
}

#[test]
fn what_nobody_pays_for_takes_no_more_room_in_a_bundle_than_what_somebody_does() {
    let (apps, _folders) = nodes(1);
    let (app, now) = (&apps[0], time(&apps[0]));
    let good = |pairs, nonce| Account::new(1).put_with_nonce(now, "k", pairs, nonce);
    assert!(!checks(app, &bundle(&[good(1, 1), unpaid(now, 10, 1)]), false), "half by number, less by length");
    assert!(!checks(app, &bundle(&[good(10, 1), unpaid(now, 1, 1), unpaid(now, 1, 2)]), false), "and the reverse");
    assert_eq!(waiting(app), 0);
    assert!(checks(app, &bundle(&[good(2, 1), unpaid(now, 2, 1)]), false), "half both ways");
    // What a block holds already, put into another one with little that is new.
    decide(app, &[bundle(&[good(10, 2)])]);
    assert!(!checks(app, &bundle(&[good(10, 2), good(1, 3)]), false));
    assert!(checks(app, &bundle(&[good(1, 3)]), false));
}

#[test]
fn a_bundle_with_a_false_signature_is_refused_and_the_rest_of_it_is_not_looked_at() {
    let (apps, _folders) = nodes(1);
    let (app, now) = (&apps[0], time(&apps[0]));
    let victim = Account::new(1);
    let forged: Vec<_> = (1..=500).map(|nonce| forged(&victim, now, nonce)).collect();
    let good: Vec<_> = (501..=600).map(|nonce| victim.put_with_nonce(now, "k", 1, nonce)).collect();
    let tx = bundle(&[&forged[..], &good].concat());
    assert!(!checks(app, &tx, false) && !checks(app, &tx, false));
    let is_seen = |envelope: &&Bytes| app.inner.verdicts.recall(&sha256(&[envelope])).is_some();
    let seen = good.iter().filter(is_seen).count();
    assert!(seen < 16, "of the first sixteen, one at least was false: {seen}");
    // One false signature is enough, wherever it stands.
    let many: Vec<_> = (1..=99).map(|nonce| victim.put_with_nonce(now, "k", 1, nonce)).collect();
    assert!(!checks(app, &bundle(&[&many[..], &forged[100..101]].concat()), false));
    assert_eq!(waiting(app), 0);
    assert!(checks(app, &bundle(&many), false), "what was good in it is good in another one");
}

#[test]
fn while_false_signatures_have_cost_too_much_only_what_was_verified_before_is_taken() {
    let (apps, _folders) = nodes(1);
    let (app, now) = (&apps[0], time(&apps[0]));
    let [seen, new] = [1, 2].map(|nonce| Account::new(1).put_with_nonce(now, "k", 1, nonce));
    admit(app, seen.clone());
    lock(&app.inner.false_bundles).spend(Duration::from_secs(3_600));
    let new = bundle(&[new]);
    assert!(!checks(app, &new, false));
    assert!(checks(app, &bundle(&[seen]), false));
    // It is not remembered for what others cost.
    *lock(&app.inner.false_bundles) = FalseBundles::default();
    assert!(checks(app, &new, false));
}
