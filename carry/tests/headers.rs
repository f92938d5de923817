//! The light client inside a channel: headers alone, time, validators that change, fraud.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

mod support;

use db3_carry::build::{Source, header_update};
use db3_carry::{Delivery, HeaderUpdate, Received};
use db3_light_client::Options;
use db3_primitives::Rejection;
use proptest::prelude::*;
use prost::Message as _;
use support::{Reader, at, entry, reader, seeds, shard, source, source_with};
use tendermint_proto::v0_38::types::LightBlock;

const PERIOD: u64 = 3_000;

fn expiring() -> Options {
    Options::new(PERIOD, 30).unwrap()
}

fn alone(source: &Source, height: u64, trusted: u64) -> Delivery {
    Delivery::of_headers(shard(), vec![header_update(source.headers(), height, trusted).unwrap()])
}

/// A source with a block each hundred seconds.
fn ticking(blocks: i64) -> Source {
    let mut source = source();
    for block in 1..=blocks {
        source.block(at(100 * block)).unwrap();
    }
    source
}

#[test]
fn headers_alone_are_welcome_from_a_third_of_the_trusting_period_on() {
    let source = ticking(20);
    let mut state = Reader::of(&source, expiring());
    state.take(&alone(&source, 10, 0), at(1_000)).unwrap();
    let third = alone(&source, 20, 10);
    for now in [1_000, 1_500, 1_999] {
        let refused = state.take(&third, at(now)).unwrap_err();
        assert!(matches!(refused, Rejection::HeadersNotDue { height } if height.get() == 10), "{refused}");
    }
    let advanced = state.take(&third, at(2_000)).unwrap();
    assert_eq!(advanced.leaves.len(), 1);
    assert_eq!((state.channel().trusted_height(), state.channel().cursor()), (20, 0));
    // Once more, and an older one, bring nothing.
    for height in [5, 20] {
        assert_eq!(state.take(&alone(&source, height, 0), at(4_000)).unwrap_err().code(), 217);
    }
}

#[test]
fn headers_alone_are_never_due_where_trust_does_not_expire() {
    let source = ticking(3);
    let mut state = Reader::new(&source);
    assert_eq!(state.take(&alone(&source, 3, 0), at(1_000_000_000)).unwrap_err().code(), 222);
    assert!(!state.channel().headers_due(at(1_000_000_000)));
}

#[test]
fn a_trusted_header_expires_and_a_known_one_still_serves() {
    let mut source = source_with(4);
    let mut state = Reader::of(&source, expiring());
    state.take(&source.delivery(&reader(), 0, 1, 0).unwrap(), at(20)).unwrap();
    source.block(at(4_000)).unwrap();
    let late = source.delivery(&reader(), 1, 1, 1).unwrap();
    let refused = state.take(&late, at(4_000)).unwrap_err();
    assert!(refused.to_string().contains("trusted until"), "{refused}");
    assert_eq!(refused.code(), 219);
    // What the known header proves was verified in time.
    state.take(&source.delivery_at(1, &reader(), 1, usize::MAX, 1).unwrap(), at(4_000)).unwrap();
    assert_eq!(state.read.len(), 4);
}

#[test]
fn a_header_ahead_of_time_is_kept_for_later() {
    let source = source_with(1);
    let mut state = Reader::new(&source);
    let delivery = source.delivery(&reader(), 0, usize::MAX, 0).unwrap();
    let early = state.take(&delivery, at(-21)).unwrap_err();
    assert_eq!(early.code(), 220);
    state.take(&delivery, at(-19)).unwrap();
}

#[test]
fn validators_may_change_all_the_time() {
    // 0-3, then 1-4, then 2-5, …: two of four remain from one height to the next but one.
    let mut source = source();
    let mut state = Reader::of(&source, expiring());
    let mut trusted = 0;
    for height in 1..30_u8 {
        source.headers_mut().change_validators(&seeds(height, height + 4)).unwrap();
        source.append(&reader(), &entry(usize::from(height))).unwrap();
        source.block(at(i64::from(height) * 10)).unwrap();
        if height % 2 == 0 {
            let delivery = source.delivery(&reader(), state.channel().cursor(), usize::MAX, trusted).unwrap();
            state.take(&delivery, at(i64::from(height) * 10)).unwrap();
            trusted = u64::from(height);
        }
    }
    assert_eq!(state.read.len(), 28);
    // From far behind it takes headers between, which come in one delivery; without them too few sign.
    let mut behind = Reader::of(&source, expiring());
    let mut delivery = source.delivery(&reader(), 0, usize::MAX, 0).unwrap();
    assert_eq!(behind.take(&delivery, at(300)).unwrap_err().code(), 219);
    let heights: Vec<u64> = (1..=29).step_by(2).collect();
    let steps = heights.iter().scan(0, |trusted, height| {
        Some(header_update(source.headers(), *height, std::mem::replace(trusted, *height)).unwrap())
    });
    delivery.headers = steps.collect();
    assert_eq!(delivery.headers.len(), 15);
    behind.take(&delivery, at(300)).unwrap();
    assert_eq!(behind.read.len(), 29);
}

/// A source all of whose validators change every other height.
fn restless(heights: u8) -> Source {
    let mut source = source();
    for height in 1..=heights {
        let first = 4 * height.div_ceil(2);
        source.headers_mut().change_validators(&seeds(first, first + 4)).unwrap();
        source.append(&reader(), &entry(usize::from(height) - 1)).unwrap();
        source.block(at(i64::from(height) * 10)).unwrap();
    }
    source
}

/// Headers alone at these heights, for who trusts that of another.
fn steps(source: &Source, trusted: u64, heights: &[u64]) -> Delivery {
    let headers = heights.iter().scan(trusted, |trusted, height| {
        Some(header_update(source.headers(), *height, std::mem::replace(trusted, *height)).unwrap())
    });
    Delivery::of_headers(shard(), headers.collect())
}

#[test]
fn headers_alone_that_lead_where_no_single_one_does_are_welcome_before_they_are_due() {
    let source = restless(40);
    let mut state = Reader::of(&source, expiring());
    let now = at(400);
    let mut trusted = 0;
    // Two heights share a set, and the first of each pair names it: one step a height is always possible.
    let far: Vec<u64> = (1..=16).collect();
    state.take(&steps(&source, trusted, &far), now).unwrap();
    trusted = 16;
    assert_eq!(state.channel().trusted_height(), trusted);
    // One that can be trusted at once is not needed, nor are several that end there, wherever they begin.
    for heights in [&[17][..], &[18], &[17, 18]] {
        let reachable = source.headers().next_validators(trusted).unwrap().hash()
            == source.headers().validators(*heights.last().unwrap()).unwrap().hash();
        let result = state.clone().take(&steps(&source, trusted, heights), now);
        assert_eq!(result.is_err_and(|refused| refused.code() == 222), heights.len() == 1 || reachable, "{heights:?}");
    }
    // The last one must be signed like any other, and what is not at hand decides nothing.
    let mut forged = steps(&source, trusted, &[17, 18, 19, 20]);
    let middle = forged.headers[3].light_block.len() / 2;
    forged.headers[3].light_block[middle] ^= 1;
    assert!(state.clone().take(&forged, now).is_err());
    let late = steps(&source, 18, &[19, 20, 21, 22]);
    assert!(matches!(state.clone().take(&late, now).unwrap_err().code(), 219 | 222));
    // In parts, to the end; and then entries, with the headers that are left.
    while trusted < 32 {
        let heights: Vec<u64> = (trusted + 1..=trusted + 4).collect();
        state.take(&steps(&source, trusted, &heights), now).unwrap();
        trusted += 4;
    }
    let mut delivery = source.delivery(&reader(), 0, usize::MAX, trusted).unwrap();
    delivery.headers = steps(&source, trusted, &(33..=40).collect::<Vec<_>>()).headers;
    state.take(&delivery, now).unwrap();
    assert_eq!(state.read.len(), 40);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever anybody brings: headers alone before they are due lead beyond what is trusted at once, or are refused. And a
    /// reader is led to any height, through any changes of validators, in deliveries of as few headers as one likes.
    #[test]
    fn nobody_fills_blocks_with_headers_that_are_not_needed(
        changes in prop::collection::vec(0..5_u8, 8..40),
        tried in prop::collection::vec(prop::collection::btree_set(1..40_u64, 1..6), 1..30),
        most in 2..16_usize,
    ) {
        let mut source = source();
        let (mut first, mut firsts) = (0_u8, vec![0_u8, 0]);
        for (height, change) in (1..).zip(&changes) {
            first += change;
            source.headers_mut().change_validators(&seeds(first, first + 4)).unwrap();
            firsts.push(first);
            source.block(at(height * 10)).unwrap();
        }
        let newest = changes.len() as u64;
        let now = at(10 * i64::try_from(newest).unwrap() + 5);
        let set_of = |height: u64| firsts[usize::try_from(height).unwrap()];
        // Of four validators with equal power two are more than a third.
        let vouches = |from: u64, to: u64| to == from + 1 || set_of(to) - set_of(from + 1) <= 2;
        let mut state = Reader::of(&source, expiring());
        for heights in tried {
            let trusted = state.channel().trusted_height();
            let heights: Vec<u64> = heights.into_iter().filter(|height| (trusted + 1..=newest).contains(height)).collect();
            let Some(last) = heights.last() else { continue };
            if state.take(&steps(&source, trusted, &heights), now).is_ok() {
                prop_assert!(!vouches(trusted, *last), "{heights:?} from {trusted}");
                prop_assert_eq!(state.channel().trusted_height(), *last);
            }
        }
        loop {
            let trusted = state.channel().trusted_height();
            let mut heights: Vec<u64> = Vec::new();
            while heights.len() < most {
                let from = heights.last().copied().unwrap_or(trusted);
                let Some(next) = (from + 1..=newest).rev().find(|to| vouches(from, *to)) else { break };
                heights.push(next);
            }
            if heights.len() < 2 {
                // What is left can be trusted at once: it comes beside entries.
                prop_assert!(trusted == newest || vouches(trusted, newest));
                break;
            }
            state.take(&steps(&source, trusted, &heights), now).unwrap();
        }
    }
}

/// The delivery with false signatures in all its headers.
fn unsigned(delivery: &Delivery) -> Delivery {
    let mut unsigned = delivery.clone();
    for header in &mut unsigned.headers {
        let mut block = LightBlock::decode(header.light_block.as_slice()).unwrap();
        for vote in &mut block.signed_header.as_mut().unwrap().commit.as_mut().unwrap().signatures {
            vote.signature.iter_mut().for_each(|byte| *byte ^= 1);
        }
        header.light_block = block.encode_to_vec();
    }
    unsigned
}

#[test]
fn what_needs_no_signature_is_asked_of_all_headers_before_the_first_signature() {
    let mut source = source_with(1);
    for height in 2..=16 {
        source.block(at(height * 10)).unwrap();
    }
    let state = Reader::new(&source);
    let good = Delivery {
        headers: steps(&source, 0, &(1..=16).collect::<Vec<_>>()).headers,
        ..source.delivery(&reader(), 0, usize::MAX, 0).unwrap()
    };
    state.clone().take(&good, at(200)).unwrap();
    // The last header is of next year, of another chain, or not after the one before.
    let forged = |name: &str, last: i64| {
        let mut forger = Source::new(support::chain(name), &seeds(9, 13), at(0)).unwrap();
        forger.append(&reader(), &entry(0)).unwrap();
        for height in 1..=18 {
            forger.block(at(if height == 18 { last } else { height })).unwrap();
        }
        let mut delivery = forger.delivery(&reader(), 0, usize::MAX, 0).unwrap();
        delivery.headers.splice(0..0, good.headers[..15].iter().cloned());
        Delivery { source: shard(), ..delivery }
    };
    let foreign = Source::new(shard(), &seeds(9, 13), at(0)).unwrap().headers().root().validators().to_proto_bytes();
    let with_set = |set: Vec<u8>| {
        let mut delivery = good.clone();
        delivery.headers[15].trusted_next_validators = Some(set);
        delivery
    };
    for (delivery, code) in [
        (forged("test-shard-0", 31_000_000), 220),
        (forged("test-shard-1", 200), 219),
        (forged("test-shard-0", 149), 219),
        (with_set(foreign.clone()), 218),
        (with_set([foreign, vec![0x40, 0]].concat()), 123),
        (with_set(vec![7; 40]), 123),
        (steps(&source, 0, &[1, 2]), 222),
    ] {
        let refused = state.clone().take(&delivery, at(200)).unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert_eq!(state.clone().take(&unsigned(&delivery), at(200)).unwrap_err(), refused, "no signature was asked");
    }
    assert_eq!(state.clone().take(&unsigned(&good), at(200)).unwrap_err().code(), 219);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Who is refused after a look at a signature is told so by the code, on which it rests who has to wait.
    #[test]
    fn only_a_refused_header_is_refused_after_a_look_at_signatures(
        heights in prop::collection::btree_set(1..24_u64, 1..16),
        entries in any::<bool>(),
        twists in prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..3),
        now in 0..300_i64,
    ) {
        let source = restless(24);
        let state = Reader::of(&source, expiring());
        let heights: Vec<u64> = heights.into_iter().collect();
        let mut delivery = steps(&source, 0, &heights);
        if entries {
            let newest = *heights.last().unwrap();
            let whole = source.delivery_at(newest, &reader(), 0, usize::MAX, 0).unwrap();
            delivery = Delivery { headers: delivery.headers, ..whole };
        }
        for (twist, at, byte) in twists {
            let at = at.index(delivery.headers.len());
            let headers = &mut delivery.headers;
            match twist {
                0 => headers[at].trusted_next_validators = None,
                1 => headers[at].trusted_next_validators = Some(source.headers().root().validators().to_proto_bytes()),
                2 => headers.reverse(),
                _ => {
                    if let Some(set) = &mut headers[at].trusted_next_validators {
                        let byte = byte.index(set.len());
                        set[byte] ^= 1;
                    }
                }
            }
        }
        if let Err(refused) = state.clone().take(&delivery, at(now))
            && !matches!(refused, Rejection::HeaderRefused { .. })
        {
            prop_assert_eq!(state.clone().take(&unsigned(&delivery), at(now)).unwrap_err(), refused);
        }
    }
}

#[test]
fn two_headers_at_one_height_freeze_the_channel_for_good() {
    let mut source = source_with(3);
    let honest = Reader::new(&source);
    let good = source.delivery(&reader(), 0, 1, 0).unwrap();
    let fraud = HeaderUpdate {
        light_block: source.headers().fork(1, [9; 32]).unwrap().unwrap(),
        trusted_next_validators: None,
    };
    let accusation = Delivery::of_headers(shard(), vec![fraud.clone()]);
    // Before a header is known there is no conflict, and headers alone are not due.
    assert_eq!(honest.clone().take(&accusation, at(20)).unwrap_err().code(), 222);
    let mut state = honest;
    state.take(&good, at(20)).unwrap();
    let channel = state.channel();
    // Alone, whether due or not, and beside entries.
    source.block(at(20)).unwrap();
    let received = channel.receive(&reader(), &accusation, at(20)).unwrap();
    assert!(received.is_frozen() && received.entries().is_empty());
    let mut beside = source.delivery(&reader(), 1, usize::MAX, 1).unwrap();
    beside.headers.insert(0, fraud);
    assert!(matches!(channel.receive(&reader(), &beside, at(20)).unwrap(), Received::Frozen(_)));
    let advanced = state.take(&accusation, at(20)).unwrap();
    assert_eq!((state.read.len(), advanced.leaves.len()), (1, 1));
    let conflict = state.channel().frozen().unwrap();
    assert_eq!(conflict.height, 1);
    // Nothing is heard any more, and the refusal says why.
    for delivery in [&accusation, &good, &source.delivery(&reader(), 1, usize::MAX, 1).unwrap()] {
        let refused = state.take(delivery, at(30)).unwrap_err();
        assert_eq!(refused.code(), 221);
        assert!(refused.to_string().contains("height 1"), "{refused}");
    }
}

#[test]
fn a_false_accusation_freezes_nothing() {
    let source = source_with(3);
    let mut state = Reader::new(&source);
    state.take(&source.delivery(&reader(), 0, usize::MAX, 0).unwrap(), at(20)).unwrap();
    let before = state.clone();
    let mut forger = Source::new(shard(), &seeds(3, 7), at(0)).unwrap();
    forger.block(at(10)).unwrap();
    assert_eq!(state.take(&alone(&forger, 1, 0), at(20)).unwrap_err().code(), 219);
    // The known header again is no accusation.
    assert_eq!(state.take(&alone(&source, 1, 0), at(20)).unwrap_err().code(), 222);
    assert_eq!(state, before);
}
