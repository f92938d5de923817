//! The client as bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use db3_light_client::limits::TRUSTED_HEADERS_MAX;
use db3_light_client::{HeaderError, LightClient, Options, ResumeError, TrustRoot, TrustedHeader, UnixTime};
use proptest::prelude::*;
use support::*;

fn resume(bytes: &[u8]) -> Result<LightClient, ResumeError> {
    LightClient::resume(root(&members(0, 4)), Options::never_expires(), bytes)
}

fn with_headers(count: u64) -> LightClient {
    let set = members(0, 4);
    let mut client = client(&set);
    for block in chain(count, |_| set.clone()) {
        client.verify(&block.light, None, now()).unwrap();
    }
    client
}

#[test]
fn a_client_goes_on_where_it_was_saved() {
    let set = members(0, 4);
    let blocks = chain(5, |_| set.clone());
    let mut client = client(&set);
    for block in &blocks {
        client = resume(&client.to_bytes()).unwrap();
        client.verify(&block.light, None, now()).unwrap();
    }
    assert_eq!(client.newest_height(), 5);
    let bytes = client.to_bytes();
    assert_eq!(bytes.len(), 1 + 32 + 1 + 1 + 5 * TrustedHeader::BYTES);
    assert_eq!(resume(&bytes), Ok(client));
}

#[test]
fn the_layout_of_a_header_is_pinned() {
    let header = TrustedHeader {
        height: 0x0102,
        header_hash: [0xaa; 32],
        time: UnixTime::new(-2, 5).unwrap(),
        next_validators_hash: [0xbb; 32],
        app_hash: Some([0xcc; 32]),
    };
    let expected =
        format!("0000000000000102{}fffffffffffffffe00000005{}01{}", "aa".repeat(32), "bb".repeat(32), "cc".repeat(32));
    assert_eq!(hex::encode(header.to_bytes()), expected);
    assert_eq!(TrustedHeader::from_bytes(&header.to_bytes()), Ok(header.clone()));
    let without = TrustedHeader { app_hash: None, ..header };
    assert_eq!(TrustedHeader::from_bytes(&without.to_bytes()), Ok(without));
}

#[test]
fn the_identifier_of_a_root_is_pinned_and_covers_every_part() {
    let pairs = pairs(&members(0, 4));
    let id = |chain: &str, height, secs, pairs: &[([u8; 32], u64)]| {
        TrustRoot::new(chain, height, time(secs), pairs).unwrap().id()
    };
    let one = id(CHAIN, 0, GENESIS_SECS - 1, &pairs);
    assert_eq!(hex::encode(one), ROOT_ID);
    assert_eq!(one, root(&members(0, 4)).id());
    let mut reversed = pairs.clone();
    reversed.reverse();
    assert_eq!(one, id(CHAIN, 0, GENESIS_SECS - 1, &reversed));
    let mut other = pairs.clone();
    other[0].1 += 1;
    for different in [
        id("test-shard-1", 0, GENESIS_SECS - 1, &pairs),
        id(CHAIN, 1, GENESIS_SECS - 1, &pairs),
        id(CHAIN, 0, GENESIS_SECS, &pairs),
        id(CHAIN, 0, GENESIS_SECS - 1, &pairs[1..]),
        id(CHAIN, 0, GENESIS_SECS - 1, &other),
    ] {
        assert_ne!(one, different);
    }
}

const ROOT_ID: &str = "9c15b5de46ccf270585d0a10e1c38988a43e9e3d36ac2ecdc953910e62c064b7";

#[test]
fn bytes_of_another_root_are_named() {
    let other = client(&members(0, 3));
    assert_eq!(resume(&other.to_bytes()), Err(ResumeError::OtherRoot { root_id: other.root().id() }));
}

#[test]
fn saved_bytes_have_one_form() {
    let bytes = with_headers(3).to_bytes();
    assert_eq!(resume(&[]), Err(ResumeError::UnknownVersion));
    for cut in 1..bytes.len() {
        assert_eq!(resume(&bytes[..cut]), Err(ResumeError::Malformed));
    }
    assert_eq!(resume(&[&bytes[..], &[0]].concat()), Err(ResumeError::Malformed));
    for (place, value) in [(0, 2), (33, 2), (34, 4)] {
        let mut bad = bytes.clone();
        bad[place] = value;
        resume(&bad).unwrap_err();
    }
    let header = |index: usize| 35 + index * TrustedHeader::BYTES;
    let mut swapped = bytes.clone();
    let (first, second) = swapped[header(0)..header(2)].split_at_mut(TrustedHeader::BYTES);
    first.swap_with_slice(second);
    assert_eq!(resume(&swapped), Err(ResumeError::OutOfOrder { index: 1 }));
    let mut bad = bytes.clone();
    bad[header(1) + 84] = 2;
    assert_eq!(resume(&bad), Err(ResumeError::Header { index: 1, error: HeaderError::InvalidAppHash { mark: 2 } }));
    bad[header(1)..header(1) + 8].fill(0);
    assert_eq!(resume(&bad), Err(ResumeError::Header { index: 1, error: HeaderError::InvalidHeight { height: 0 } }));
    let mut many = with_headers(1).to_bytes();
    many[34] = u8::try_from(TRUSTED_HEADERS_MAX).unwrap() + 1;
    many.extend(vec![0; TRUSTED_HEADERS_MAX * TrustedHeader::BYTES]);
    assert_eq!(resume(&many), Err(ResumeError::Malformed));
}

proptest! {
    #[test]
    fn any_bytes_are_resumed_without_a_panic_and_only_in_one_form(tail in prop::collection::vec(any::<u8>(), 0..400), own in any::<bool>()) {
        let head = client(&members(0, 4)).to_bytes();
        let bytes = if own { [&head[..33], &tail[..]].concat() } else { tail };
        if let Ok(client) = resume(&bytes) {
            prop_assert_eq!(client.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_header_bytes_are_decoded_without_a_panic_and_only_in_one_form(bytes in prop::collection::vec(any::<u8>(), 117..=117), low in any::<bool>()) {
        let mut bytes = bytes;
        if low {
            bytes[0] = 0;
            bytes[40..44].fill(0);
            bytes[48] = 0;
            bytes[84] = 1;
        }
        if let Ok(header) = TrustedHeader::from_bytes(&bytes) {
            prop_assert_eq!(header.to_bytes().to_vec(), bytes);
        }
    }
}
