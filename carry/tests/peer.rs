//! The leaf that names a peer, and a channel from its leaves.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

mod support;

use db3_carry::{Channel, ChannelError, ClaimedPeer, Peer, PeerError};
use db3_light_client::build::ValidatorKey;
use db3_light_client::{Options, TrustRoot, UnixTime, ValidatorSet};
use db3_primitives::key;
use proptest::prelude::*;
use support::{Reader, at, chain, seeds, shard, source, source_named};

fn peer(validators: u8, height: u64, secs: i64, nanos: u32, period: u64, drift: u64) -> Peer {
    let pairs: Vec<_> = seeds(0, validators)
        .iter()
        .zip(1..)
        .map(|((seed, power), factor)| (ValidatorKey::from_seed(*seed).public_key(), power * factor))
        .collect();
    let root = TrustRoot::new("test-shard-3", height, UnixTime::new(secs, nanos).unwrap(), &pairs).unwrap();
    Peer { root, options: Options::new(period, drift).unwrap() }
}

proptest! {
    #[test]
    fn a_peer_is_read_back_and_nothing_else_is(
        validators in 1_u8..12, height in 0_u64..1 << 62, secs in -62_135_596_800_i64..253_402_300_799,
        nanos in 0_u32..1_000_000_000, period in 1_u64.., drift in 30_u64.., place in any::<usize>(), bit in 0_u8..8,
    ) {
        let peer = peer(validators, height, secs, nanos, period, drift);
        let bytes = peer.to_bytes();
        prop_assert_eq!(Peer::from_bytes(&bytes), Ok(peer.clone()));
        let mut changed = bytes.clone();
        let place = place % changed.len();
        changed[place] ^= 1 << bit;
        if let Ok(other) = Peer::from_bytes(&changed) {
            prop_assert_ne!(&other, &peer);
            prop_assert_eq!(other.to_bytes(), changed);
        }
        prop_assert_eq!(Peer::from_bytes(&bytes[..place]), Err(PeerError::Malformed));
        prop_assert_eq!(Peer::from_bytes(&[&bytes[..], &[0]].concat()), Err(PeerError::Malformed));
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Peer::from_bytes(&bytes);
        let _ = Peer::from_bytes(&[&[1, 12], b"test-shard-3".as_slice(), &bytes].concat());
    }
}

#[test]
fn the_layout_of_a_peer_is_pinned() {
    let peer = peer(1, 4, 1_700_000_000, 7, 1_209_600, 30);
    let expected = [
        &[1, 12][..],
        b"test-shard-3",
        &4_u64.to_be_bytes(),
        &1_700_000_000_i64.to_be_bytes(),
        &7_u32.to_be_bytes(),
        &1_209_600_u64.to_be_bytes(),
        &30_u64.to_be_bytes(),
        &1_u16.to_be_bytes(),
        &ValidatorKey::from_seed([1; 32]).public_key(),
        &10_u64.to_be_bytes(),
    ];
    assert_eq!(peer.to_bytes(), expected.concat());
}

#[test]
fn validators_out_of_order_are_no_peer() {
    let bytes = peer(2, 4, 0, 0, 1, 30).to_bytes();
    let (head, validators) = bytes.split_at(bytes.len() - 80);
    let swapped = [head, &validators[40..], &validators[..40]].concat();
    assert_eq!(Peer::from_bytes(&swapped), Err(PeerError::Malformed));
    let powerless = [head, &validators[..72], &[0; 8]].concat();
    assert!(matches!(Peer::from_bytes(&powerless), Err(PeerError::Invalid { .. })));
}

#[test]
fn a_claim_is_read_without_a_look_at_its_keys_and_is_a_peer_only_with_good_ones() {
    let known = peer(2, 4, 0, 0, 1, 30);
    assert_eq!(ClaimedPeer::from_bytes(&known.to_bytes()), Ok(known.claim()));
    assert_eq!(known.claim().check(), Ok(known.clone()));
    let is_none = |key: &[u8; 32]| ValidatorSet::new(&[(*key, 1)]).is_err();
    let none = (0..=u8::MAX).map(|byte| [byte; 32]).find(is_none).unwrap();
    let bytes = known.to_bytes();
    let head = &bytes[..bytes.len() - 40];
    let claim = ClaimedPeer::from_bytes(&[head, &none, &5_u64.to_be_bytes()].concat()).unwrap();
    assert_eq!(claim.validators()[1], (none, 5));
    assert!(matches!(claim.check(), Err(PeerError::Invalid { .. })));
    assert!(matches!(Peer::from_bytes(&claim.to_bytes()), Err(PeerError::Invalid { .. })));
    // There are never more than a set can have, and the name is one that a chain can have.
    let head = &bytes[..bytes.len() - 82];
    let many = [head, &1_001_u16.to_be_bytes(), &[1; 40].repeat(1_001)].concat();
    assert!(matches!(ClaimedPeer::from_bytes(&many), Err(PeerError::Invalid { .. })));
    let mut named = bytes;
    named[2] = b' ';
    assert!(matches!(ClaimedPeer::from_bytes(&named), Err(PeerError::Invalid { .. })));
}

#[test]
fn a_channel_is_read_back_from_its_leaves() {
    let mut source = source();
    let mut reader = Reader::new(&source);
    assert_eq!(reader.channel(), Channel::new(source.peer(Options::never_expires())).unwrap());
    assert_eq!(reader.channel_of(&chain("test-shard-1")), None);
    source.append(&support::reader(), b"one").unwrap();
    source.block(at(10)).unwrap();
    let delivery = source.delivery(&support::reader(), 0, usize::MAX, 0).unwrap();
    let advanced = reader.take(&delivery, at(20)).unwrap();
    let channel = reader.channel();
    assert_eq!(advanced.channel, channel);
    assert_eq!((channel.source(), channel.cursor(), channel.trusted_height()), (&shard(), 1, 1));
    assert_eq!(channel.trusted_time(), at(10));
    assert_eq!(channel.peer().root.chain_id(), "test-shard-0");
}

#[test]
fn leaves_that_do_not_belong_together_are_no_channel() {
    let source = source();
    let reader = Reader::new(&source);
    let load = |reader: &Reader| Channel::load(|key| reader.leaves.get(key).map(Vec::as_slice), &shard()).unwrap_err();
    for (key, leaf) in [(key::client(&shard()), "client/"), (key::inbox(&shard()), "inbox/")] {
        let mut without = reader.clone();
        without.leaves.remove(&key);
        assert_eq!(load(&without), ChannelError::Missing { source_id: shard(), leaf });
        let mut cut = reader.clone();
        cut.leaves.get_mut(&key).unwrap().pop();
        assert!(matches!(load(&cut), ChannelError::Client { .. } | ChannelError::Inbox { .. }));
    }
    let mut other = reader.clone();
    let peer = source_named("test-shard-1").peer(Options::never_expires());
    other.leaves.insert(key::peer(&shard()), peer.to_bytes());
    assert!(matches!(load(&other), ChannelError::OtherChain { .. }));
    // A peer of the same name with another root does not take over what was trusted before.
    let peer = db3_carry::build::Source::new(shard(), &seeds(1, 5), at(0)).unwrap().peer(Options::never_expires());
    other.leaves.insert(key::peer(&shard()), peer.to_bytes());
    assert!(matches!(load(&other), ChannelError::Client { .. }));
}
