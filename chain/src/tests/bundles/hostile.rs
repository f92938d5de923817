//! Bundles that no honest node makes.

use super::*;

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
