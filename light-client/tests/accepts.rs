//! Headers that must be trusted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use db3_light_client::build::{HeaderChain, light_block_bytes};
use db3_light_client::limits::TRUSTED_HEADERS_MAX;
use db3_light_client::{ClaimedHeader, LightClient, LightClientError, Options, TrustRoot, ValidatorSet};
use support::*;

#[test]
fn every_height_is_accepted_one_after_the_other() {
    for validators in [1, 4] {
        let set = members(0, validators);
        let blocks = chain(120, |_| set.clone());
        let mut client = client(&set);
        for (block, height) in blocks.iter().zip(1..) {
            let header = client.verify(&block.light, None, now()).unwrap();
            assert_eq!((header.height, header.header_hash, header.time), (height, block.hash(), time_at(height)));
            assert_eq!(header.app_hash, Some([0xaa; 32]));
            assert_eq!(header.next_validators_hash, block.next_validators.hash());
            assert_eq!(client.newest(), Some(&header));
        }
        assert_eq!(client.headers().len(), TRUSTED_HEADERS_MAX);
        assert_eq!(client.headers()[0].height, 120 - TRUSTED_HEADERS_MAX as u64 + 1);
    }
}

#[test]
fn a_hundred_validators_are_accepted_and_may_change_completely_step_by_step() {
    let set_at = |height: u64| {
        let from = u16::try_from(height - 1).unwrap() * 30;
        members(from, from + 100)
    };
    let blocks = chain(5, set_at);
    let mut client = client(&set_at(1));
    for block in &blocks {
        assert_eq!(client.verify(&block.light, None, now()).unwrap().header_hash, block.hash());
    }
}

#[test]
fn any_height_is_reached_from_the_root_while_a_third_of_its_validators_sign() {
    let set = members(0, 4);
    let blocks = chain(40, |_| set.clone());
    for block in &blocks {
        let mut client = client(&set);
        assert_eq!(client.basis(block.header.height.value()), Some((0, set_of(&set).hash())));
        client.verify(&block.light, None, now()).unwrap();
    }
    // Two of the four of the root are among the five of the tenth height.
    let set_at = |height| if height < 5 { members(0, 4) } else { members(2, 7) };
    let blocks = chain(10, set_at);
    let mut client = client(&set);
    client.verify(&blocks[9].light, None, now()).unwrap();
    // One of four is not more than a third.
    let blocks = chain(10, |height| if height < 5 { members(0, 4) } else { members(3, 7) });
    let mut client = support::client(&set);
    let error = client.verify(&blocks[9].light, None, now()).unwrap_err();
    assert!(matches!(error, LightClientError::NotEnoughPower { tallied: 10, total: 40, .. }), "{error}");
}

#[test]
fn a_changed_set_is_followed_with_the_set_that_comes_along() {
    // 0-3, then 1-4, then 2-5, ...: from one height to the next but one, two of four remain.
    let set_at = |height: u64| {
        let from = u16::try_from(height).unwrap();
        members(from, from + 4)
    };
    let blocks = chain(9, set_at);
    let mut client = client(&set_at(1));
    client.verify(&blocks[0].light, None, now()).unwrap();
    for (before, after) in [(1, 3), (3, 5), (5, 7), (7, 9)] {
        let block = &blocks[after - 1].light;
        let expected_hash = set_of(&set_at(before as u64 + 1)).hash();
        assert_eq!(client.basis(after as u64), Some((before as u64, expected_hash)));
        let unknown = LightClientError::UnknownValidators { trusted_height: before as u64, expected_hash };
        assert_eq!(client.verify(block, None, now()), Err(unknown.clone()));
        let wrong = set_of(&set_at(before as u64 + 2)).to_proto_bytes();
        assert_eq!(client.verify(block, Some(&wrong), now()), Err(unknown));
        client.verify(block, Some(&blocks[before - 1].next()), now()).unwrap();
    }
    // Adjacent headers need none, and one that is not needed does no harm.
    let mut client = support::client(&set_at(1));
    for block in &blocks {
        client.verify(&block.light, Some(&block.next()), now()).unwrap();
    }
}

#[test]
fn a_set_that_came_for_a_lower_header_still_serves_after_another_update() {
    // The last set shares two of four with the one of heights 5 to 8.
    let blocks = chain(14, |height| match height {
        0..5 => members(0, 4),
        5..9 => members(2, 6),
        9..13 => members(3, 7),
        _ => members(4, 8),
    });
    let (target, supplied) = (&blocks[13].light, blocks[4].next());
    let mut alone = client(&members(0, 4));
    alone.verify(&blocks[4].light, None, now()).unwrap();
    let mut overtaken = alone.clone();
    alone.verify(target, Some(&supplied), now()).unwrap();
    // Another relayer's header at 8 comes first, and nobody brings along the set that it names.
    overtaken.verify(&blocks[7].light, None, now()).unwrap();
    let unknown =
        LightClientError::UnknownValidators { trusted_height: 8, expected_hash: set_of(&members(3, 7)).hash() };
    assert_eq!(overtaken.verify(target, None, now()), Err(unknown));
    overtaken.verify(target, Some(&supplied), now()).unwrap();
    assert_eq!(overtaken.newest(), alone.newest());
}

#[test]
fn power_counts_and_not_heads() {
    let set = vec![(0, 68), (1, 10), (2, 10), (3, 12)];
    let twist = Twist { signers: 1, ..Twist::default() };
    let made = block(1, None, &set, &set, twist);
    client(&set).verify(&made.light, None, now()).unwrap();
    let set = vec![(0, 66), (1, 11), (2, 11), (3, 12)];
    let made = block(1, None, &set, &set, twist);
    let error = client(&set).verify(&made.light, None, now()).unwrap_err();
    assert!(matches!(error, LightClientError::NotEnoughPower { tallied: 66, total: 100, .. }), "{error}");
}

#[test]
fn a_trusted_header_is_returned_again_without_its_signatures() {
    let set = members(0, 4);
    let blocks = chain(3, |_| set.clone());
    let mut client = client(&set);
    let first = client.verify(&blocks[2].light, None, now()).unwrap();
    let before = client.clone();
    let unsigned = block(3, Some(&blocks[1]), &set, &set, Twist { signers: 0, ..Twist::default() });
    assert_eq!(client.verify(&unsigned.light, None, now()).unwrap(), first);
    // Long after its trusting period too: it was verified in time.
    assert_eq!(client.verify(&blocks[2].light, None, time(NOW * 2)).unwrap(), first);
    assert_eq!(client, before);
}

#[test]
fn headers_between_trusted_ones_are_verified_from_the_one_below() {
    let set = members(0, 4);
    let blocks = chain(30, |_| set.clone());
    let mut client = client(&set);
    for height in [20, 10, 15, 30, 1, 12] {
        client.verify(&blocks[height - 1].light, None, now()).unwrap();
    }
    let heights: Vec<u64> = client.headers().iter().map(|header| header.height).collect();
    assert_eq!(heights, [1, 10, 12, 15, 20, 30]);
    assert_eq!(client.trusted(15).unwrap().header_hash, blocks[14].hash());
    assert_eq!(client.trusted(16), None);
    assert_eq!(client.newest_height(), 30);
}

#[test]
fn a_header_below_all_that_are_kept_is_verified_though_not_kept() {
    let set = members(0, 1);
    let blocks = chain(70, |_| set.clone());
    let mut client = client(&set);
    for block in &blocks[5..] {
        client.verify(&block.light, None, now()).unwrap();
    }
    let before = client.clone();
    assert_eq!(client.verify(&blocks[1].light, None, now()).unwrap().header_hash, blocks[1].hash());
    assert_eq!(client, before);
}

#[test]
fn the_first_header_may_carry_the_time_of_the_genesis_and_any_initial_height() {
    let set = members(0, 4);
    let made = block(500, None, &set, &set, Twist { time: Some(time(GENESIS_SECS)), ..Twist::default() });
    let root = TrustRoot::of_genesis(CHAIN, 500, time(GENESIS_SECS), &pairs(&set)).unwrap();
    assert_eq!((root.height(), root.time()), (499, time(GENESIS_SECS - 1)));
    let mut client = LightClient::from_root(root, Options::never_expires());
    client.verify(&made.light, None, time(GENESIS_SECS)).unwrap();
}

#[test]
fn an_empty_app_hash_is_none() {
    let set = members(0, 1);
    let made = block(1, None, &set, &set, Twist { app_hash: &[], ..Twist::default() });
    assert_eq!(client(&set).verify(&made.light, None, now()).unwrap().app_hash, None);
}

#[test]
fn what_a_light_block_claims_is_what_is_kept_once_it_is_verified() {
    let set = members(0, 4);
    let blocks = chain(2, |_| set.clone());
    let claim = ClaimedHeader::read(&blocks[1].light).unwrap();
    let kept = client(&set).verify(&blocks[1].light, None, now()).unwrap();
    assert_eq!((claim.height, claim.header_hash, claim.app_hash), (kept.height, kept.header_hash, kept.app_hash));
    assert_eq!(claim.chain_id, support::CHAIN);
    assert_eq!(ValidatorSet::of_light_block(&blocks[1].light).unwrap(), set_of(&set));
    assert_eq!(ClaimedHeader::read_strictly(&blocks[1].light).unwrap(), claim);
    for freight in [vec![0x7a, 1, 9], blocks[1].light.clone(), vec![0x12, 0]] {
        // Unknown fields and repeated ones change nothing of what is said.
        let padded = [&blocks[1].light[..], &freight].concat();
        assert!(ClaimedHeader::read_strictly(&padded).is_err());
    }
    let fewer = light_block_bytes(&blocks[1].header, &blocks[1].commit, &set_of(&members(0, 3)));
    assert!(
        ClaimedHeader::read_strictly(&fewer).unwrap_err().to_string().contains("not the one that the header names")
    );
    let other = light_block_bytes(&blocks[1].header, &blocks[0].commit, &set_of(&set));
    assert!(ClaimedHeader::read_strictly(&other).is_err());
    for cut in 0..blocks[1].light.len() {
        // Total: any bytes are judged.
        let _ = ClaimedHeader::read(&blocks[1].light[..cut]);
        let _ = ValidatorSet::of_light_block(&blocks[1].light[..cut]);
    }
}

#[test]
fn a_made_chain_of_headers_is_followed_and_its_fraud_noticed() {
    let seeds = |from: u8| [([from; 32], 10), ([from + 1; 32], 10), ([from + 2; 32], 10)];
    let mut made = HeaderChain::new(support::CHAIN, &seeds(1), time(support::GENESIS_SECS)).unwrap();
    for height in 1..=6_u8 {
        made.change_validators(&seeds(1 + height)).unwrap();
        assert_eq!(made.make([height; 32], support::time_at(height.into())).unwrap(), u64::from(height));
    }
    let mut client = LightClient::from_root(made.root().clone(), Options::never_expires());
    for height in 1..=6 {
        client.verify(made.light_block(height).unwrap(), None, now()).unwrap();
    }
    assert_eq!(made.next_validators(3), made.validators(4));
    assert_eq!(
        (made.fork(7, [0; 32]).unwrap(), made.light_block(0), made.time(2)),
        (None, None, Some(support::time_at(2)))
    );
    let fork = made.fork(4, [99; 32]).unwrap().unwrap();
    assert!(matches!(client.verify(&fork, None, now()), Err(LightClientError::Conflict(_))));
}
