//! Bundles: cut apart exactly as they were put together, and nothing else is read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use db3_primitives::limits::{BUNDLE_BYTES_MAX, BUNDLE_MUTATIONS_MAX, MUTATION_BYTES_MAX};
use db3_proto::bundle::element_bytes;
use db3_proto::{decode_bundle, encode_bundle, v1};
use proptest::prelude::*;
use prost::Message as _;

proptest! {
    #[test]
    fn bundles_survive_the_round_trip_and_are_protobuf(
        envelopes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 1..20)
    ) {
        let bytes = encode_bundle(&envelopes);
        prop_assert_eq!(bytes.len(), envelopes.iter().map(|one| element_bytes(one.len())).sum::<usize>());
        prop_assert_eq!(decode_bundle(&bytes).unwrap(), envelopes.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let message = v1::Bundle { mutations: envelopes.into_iter().map(Into::into).collect(), delivery: None, governance: None };
        prop_assert_eq!(message.encode_to_vec(), bytes);
    }

    #[test]
    fn only_the_one_encoding_is_read(bytes in proptest::collection::vec(prop_oneof![Just(0x0a_u8), 0_u8..6, any::<u8>()], 0..40)) {
        if let Ok(envelopes) = decode_bundle(&bytes) {
            prop_assert_eq!(encode_bundle(envelopes), bytes);
        }
    }
}

#[test]
fn every_truncation_within_an_element_is_refused() {
    let bytes = encode_bundle([b"one".as_slice(), b"two"]);
    for length in (0..bytes.len()).filter(|length| *length != element_bytes(3)) {
        decode_bundle(&bytes[..length]).expect_err("a truncated bundle");
    }
}

#[test]
fn other_fields_longer_varints_and_emptiness_are_refused() {
    for bytes in
        [[].as_slice(), &[0x12, 1, 7], &[0x08, 1], &[0x0a, 0x81, 0, 7], &[0x8a, 0, 1, 7], &[0x0a, 1, 7, 0x78, 1]]
    {
        let refused = decode_bundle(bytes).expect_err("refused");
        assert_eq!(refused.name(), "ENVELOPE_MALFORMED", "{bytes:02x?}");
    }
}

#[test]
fn the_limits_of_size_and_number_hold() {
    let refusal = |bytes: &[u8]| decode_bundle(bytes).expect_err("refused").to_string();
    let many = encode_bundle(vec![b""; BUNDLE_MUTATIONS_MAX + 1]);
    assert!(refusal(&many).contains("more than"));
    assert!(decode_bundle(&encode_bundle(vec![b""; BUNDLE_MUTATIONS_MAX])).is_ok());
    let large = encode_bundle([vec![0; MUTATION_BYTES_MAX + 1]]);
    assert!(refusal(&large).contains("at most"));
    let half = vec![0; MUTATION_BYTES_MAX];
    assert!(encode_bundle([&half, &half]).len() > BUNDLE_BYTES_MAX);
    assert!(refusal(&encode_bundle([&half, &half])).contains("at most"));
}
