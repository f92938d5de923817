use std::collections::BTreeSet;

use db3_primitives::limits::NONCE_WINDOW;
use db3_primitives::{Nonce, NonceWindow, Rejection};
use proptest::prelude::*;

fn nonce(number: u64) -> Nonce {
    Nonce::new(number)
}

#[test]
fn a_well_behaved_window_stays_eight_bytes() {
    let mut window = NonceWindow::new();
    for number in 1..=10_000 {
        window.use_nonce(nonce(number)).unwrap();
        assert_eq!(window.to_bytes().len(), 8);
    }
    assert_eq!((window.base(), window.highest(), window.next()), (10_000, nonce(10_000), nonce(10_001)));
}

#[test]
fn nonces_may_come_in_any_order_and_each_once() {
    let mut window = NonceWindow::new();
    for number in [3, 1, 4_096, 9, 2] {
        window.use_nonce(nonce(number)).unwrap();
        let next = window.next();
        assert_eq!(window.use_nonce(nonce(number)), Err(Rejection::NonceUsed { nonce: nonce(number), next }));
    }
    assert_eq!((window.base(), window.highest(), window.next()), (3, nonce(4_096), nonce(4)));
}

#[test]
fn what_is_beyond_the_window_is_refused_with_the_highest_allowed() {
    let mut window = NonceWindow::new();
    let far = |number, highest| Err(Rejection::NonceTooFar { nonce: nonce(number), highest: nonce(highest) });
    assert_eq!(window.use_nonce(nonce(4_097)), far(4_097, 4_096));
    assert_eq!(window.use_nonce(nonce(u64::MAX)), far(u64::MAX, 4_096));
    window.use_nonce(nonce(1)).unwrap();
    window.use_nonce(nonce(4_097)).unwrap();
    assert_eq!(window.check(nonce(4_098)), far(4_098, 4_097));
    assert_eq!(window.check(nonce(0)), Err(Rejection::NonceZero));
}

#[test]
fn a_slip_does_not_lock_the_namespace() {
    let mut window = NonceWindow::new();
    assert!(window.use_nonce(nonce(u64::MAX)).is_err());
    assert_eq!(window, NonceWindow::new());
    window.use_nonce(nonce(4_096)).unwrap();
    for number in 1..4_096 {
        window.use_nonce(nonce(number)).unwrap();
    }
    assert_eq!((window.base(), window.to_bytes().len()), (4_096, 8));
}

#[test]
fn the_largest_window_has_520_bytes() {
    let mut window = NonceWindow::new();
    for number in 2..=4_096 {
        window.use_nonce(nonce(number)).unwrap();
    }
    assert_eq!(window.to_bytes().len(), 520);
    assert_eq!(NonceWindow::from_bytes(&window.to_bytes()), Ok(window));
}

#[test]
fn the_encoding_is_pinned() {
    let mut window = NonceWindow::new();
    for number in [1, 2, 4, 11, 20] {
        window.use_nonce(nonce(number)).unwrap();
    }
    // base 2; bit 0 is nonce 3: 4 → bit 1, 11 → bit 8, 20 → bit 17.
    assert_eq!(hex::encode(window.to_bytes()), "0000000000000002020102");
}

#[test]
fn what_is_no_window_is_refused() {
    for text in
        ["", "00000000000000", "000000000000000200", "000000000000000201", "00000000000000020200", "ffffffffffffffff02"]
    {
        assert!(NonceWindow::from_bytes(&hex::decode(text).unwrap()).is_err(), "{text}");
    }
    assert!(NonceWindow::from_bytes(&[&[0; 8][..], &[2; 513]].concat()).is_err());
    assert!(NonceWindow::from_bytes(&[0xff; 8]).is_ok());
}

#[test]
fn a_window_at_the_end_of_all_numbers_does_not_overflow() {
    let mut window = NonceWindow::from_bytes(&(u64::MAX - 2).to_be_bytes()).unwrap();
    window.use_nonce(nonce(u64::MAX)).unwrap();
    window.use_nonce(nonce(u64::MAX - 1)).unwrap();
    assert_eq!(window.base(), u64::MAX);
    assert!(window.use_nonce(nonce(u64::MAX)).is_err());
    assert!(window.use_nonce(nonce(1)).is_err());
}

/// What a window means, as a set.
#[derive(Default)]
struct Model {
    used: BTreeSet<u64>,
}

impl Model {
    fn base(&self) -> u64 {
        (1..u64::MAX).take_while(|number| self.used.contains(number)).last().unwrap_or(0)
    }

    fn use_nonce(&mut self, number: u64) -> bool {
        number != 0 && number <= self.base() + NONCE_WINDOW && self.used.insert(number)
    }
}

fn numbers() -> impl Strategy<Value = Vec<u64>> {
    let number = prop_oneof![6 => 0..40u64, 2 => 0..200u64, 2 => 4_080..4_140u64, 1 => 0..10_000u64, 1 => any::<u64>()];
    prop::collection::vec(number, 0..200)
}

proptest! {
    #[test]
    fn a_window_agrees_with_a_set_of_nonces(numbers in numbers()) {
        let (mut window, mut model) = (NonceWindow::new(), Model::default());
        for number in numbers {
            let before = window.clone();
            let allowed = model.use_nonce(number);
            prop_assert_eq!(window.check(nonce(number)).is_ok(), allowed);
            prop_assert_eq!(window.use_nonce(nonce(number)).is_ok(), allowed);
            prop_assert!(allowed || window == before);
            prop_assert_eq!(window.base(), model.base());
            prop_assert_eq!(window.highest().get(), model.used.last().copied().unwrap_or(0));
            prop_assert_eq!(NonceWindow::from_bytes(&window.to_bytes()).unwrap(), window.clone());
            for probe in 1..60 {
                prop_assert_eq!(window.is_used(nonce(probe)), model.used.contains(&probe));
            }
        }
    }

    #[test]
    fn decoding_a_window_never_panics_and_is_exact(bytes in prop::collection::vec(any::<u8>(), 0..540)) {
        if let Ok(window) = NonceWindow::from_bytes(&bytes) {
            prop_assert_eq!(window.to_bytes(), bytes);
        }
    }
}
