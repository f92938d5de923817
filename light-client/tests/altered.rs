//! Every altered byte of a light block is refused, or stands outside what the header's hash covers: then the header that comes
//! out is the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use db3_light_client::{LightClient, ValidatorSet};
use proptest::prelude::*;
use support::*;

/// Verifies every variant of `light` with a fresh copy of `client`; returns how many were accepted with the same header.
fn check_all(client: &LightClient, light: &[u8], variants: impl Iterator<Item = Vec<u8>>) -> (usize, usize) {
    let expected = client.clone().verify(light, None, now()).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for variant in variants {
        let mut client = client.clone();
        match client.verify(&variant, None, now()) {
            Ok(header) => {
                assert_eq!(header, expected);
                accepted += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert_eq!(client.newest(), None);
                refused += 1;
            }
        }
    }
    (accepted, refused)
}

fn flipped(light: &[u8], byte: usize, mask: u8) -> Vec<u8> {
    let mut bad = light.to_vec();
    bad[byte] ^= mask;
    bad
}

#[test]
fn every_bit_of_a_light_block_of_one_validator_counts_or_changes_nothing() {
    let set = members(0, 1);
    let blocks = chain(2, |_| set.clone());
    let light = &blocks[1].light;
    let bits = (0..light.len()).flat_map(|byte| (0..8).map(move |bit| flipped(light, byte, 1 << bit)));
    let (accepted, refused) = check_all(&client(&set), light, bits);
    // What may differ: the set's own total (left out is as good) and the validator's proposer priority.
    assert!(accepted < 40, "{accepted} of {} were accepted", accepted + refused);
}

#[test]
fn every_byte_of_a_light_block_of_four_validators_counts_or_changes_nothing() {
    let set = members(0, 4);
    let blocks = chain(2, |_| set.clone());
    let light = &blocks[1].light;
    let bytes = (0..light.len()).flat_map(|byte| [0x01, 0x80, 0xff].map(|mask| flipped(light, byte, mask)));
    check_all(&client(&set), light, bytes);
}

#[test]
fn bytes_of_a_light_block_of_a_hundred_validators_count_or_change_nothing() {
    let set = members(0, 100);
    let made = block(2, None, &set, &set, Twist::default());
    let bytes = (0..made.light.len()).step_by(61).map(|byte| flipped(&made.light, byte, 0x10));
    let (_, refused) = check_all(&client(&set), &made.light, bytes);
    assert!(refused > 200);
}

#[test]
fn every_cut_of_a_light_block_is_refused() {
    let set = members(0, 4);
    let light = block(1, None, &set, &set, Twist::default()).light;
    for cut in 0..light.len() {
        assert!(client(&set).verify(&light[..cut], None, now()).is_err());
    }
}

#[test]
fn every_altered_byte_of_a_set_that_comes_along_is_refused_or_means_the_same_set() {
    // The set of each height is neither that of the root nor that of the next height.
    let blocks = chain(4, |height| {
        let from = u16::try_from(height).unwrap();
        members(from, from + 4)
    });
    let mut trusting = client(&members(1, 5));
    trusting.verify(&blocks[0].light, None, now()).unwrap();
    trusting.verify(&blocks[1].light, None, now()).unwrap();
    let next = blocks[1].next();
    trusting.clone().verify(&blocks[3].light, Some(&next), now()).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for byte in 0..next.len() {
        for mask in [1, 0x10, 0x80, 0xff] {
            let bad = flipped(&next, byte, mask);
            let same = ValidatorSet::from_proto_bytes(&bad).is_ok_and(|set| set.hash() == blocks[2].validators.hash());
            let verdict = trusting.clone().verify(&blocks[3].light, Some(&bad), now());
            assert_eq!(verdict.is_ok(), same);
            if same { accepted += 1 } else { refused += 1 }
        }
    }
    // What may differ: the set's own total, where it is left out or is no longer read.
    assert!(accepted < 40 && refused > 900, "{accepted} accepted, {refused} refused");
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(light in prop::collection::vec(any::<u8>(), 0..400), next in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(client(&members(0, 1)).verify(&light, Some(&next), now()).is_err());
        let _ = ValidatorSet::from_proto_bytes(&next);
    }

    #[test]
    fn any_splice_of_two_light_blocks_is_refused_or_is_one_of_them(cut in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let set = members(0, 4);
        let blocks = chain(2, |_| set.clone());
        let (a, b) = (&blocks[0].light, &blocks[1].light);
        let spliced = [&a[..cut.index(a.len())], &b[other.index(b.len())..]].concat();
        if let Ok(header) = client(&set).verify(&spliced, None, now()) {
            prop_assert!(header.header_hash == blocks[0].hash() || header.header_hash == blocks[1].hash());
        }
    }

    #[test]
    fn any_change_of_the_message_is_refused_or_changes_nothing(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), insert in any::<bool>(),
    ) {
        let set = members(0, 2);
        let made = block(1, None, &set, &set, Twist::default());
        let mut light = made.light.clone();
        for (place, byte) in places {
            let at = place.index(light.len());
            if insert { light.insert(at, byte) } else { light[at] = byte }
        }
        if let Ok(header) = client(&set).verify(&light, None, now()) {
            prop_assert_eq!(header.header_hash, made.hash());
        }
    }
}
