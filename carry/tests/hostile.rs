//! A hostile relayer is the normal case: whatever it does to a delivery, the reader refuses it with a code, or takes exactly what
//! the true one brings.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod support;

use db3_carry::build::Source;
use db3_carry::{Channel, Delivery};
use db3_merkle_log::limits::{DELIVERY_BYTES_MAX, DELIVERY_ENTRIES_MAX, ENTRY_BYTES_MAX};
use db3_primitives::limits::DELIVERY_HEADERS_MAX;
use db3_primitives::{ChainId, Rejection};
use db3_state_tree::Side;
use support::{Reader, at, chain, entry, reader, seeds, shard, source_named, source_with};

fn judge(channel: &Channel, delivery: &Delivery) -> Result<(), Rejection> {
    channel.receive(&reader(), delivery, at(100)).map(|_| ())
}

fn code(channel: &Channel, delivery: &Delivery) -> u32 {
    judge(channel, delivery).unwrap_err().code()
}

/// Every way of changing one bit of a byte somewhere in the bytes.
fn each_byte(bytes: &mut [u8], mut check: impl FnMut(&[u8])) {
    for place in 0..bytes.len() {
        for bit in [0, 3, 7] {
            bytes[place] ^= 1 << bit;
            check(bytes);
            bytes[place] ^= 1 << bit;
        }
    }
}

/// A delivery with everything that one can have: validators that changed, an overlap, hashes to the right, a path.
fn rich() -> (Source, Reader, Delivery) {
    let mut source = source_with(5);
    let mut reader_state = Reader::new(&source);
    let first = source.delivery(&reader(), 0, usize::MAX, 0).unwrap();
    reader_state.take(&first, at(20)).unwrap();
    source.headers_mut().change_validators(&seeds(1, 5)).unwrap();
    source.block(at(20)).unwrap();
    reader_state
        .take(
            &{
                source.append(&reader(), &entry(5)).unwrap();
                source.block(at(25)).unwrap();
                source.delivery(&reader(), 5, usize::MAX, 1).unwrap()
            },
            at(30),
        )
        .unwrap();
    source.headers_mut().change_validators(&seeds(2, 6)).unwrap();
    source.append(&chain("test-shard-7"), b"for another").unwrap();
    for index in 6..13 {
        source.append(&reader(), &entry(index)).unwrap();
    }
    for height in 4..7 {
        source.block(at(10 * height)).unwrap();
    }
    let mut delivery = source.delivery(&reader(), 4, 6 * entry(0).len(), 3).unwrap();
    // One header between, so that there are two.
    let between = db3_carry::build::header_update(source.headers(), 5, 3).unwrap();
    delivery.headers.insert(0, between);
    assert!(delivery.headers[0].trusted_next_validators.is_some());
    assert!(!delivery.log.right.is_empty() && !delivery.proof.as_ref().unwrap().path.is_empty());
    (source, reader_state, delivery)
}

/// What a node that takes a delivery in makes of it.
fn without_applied(delivery: &Delivery, channel: &Channel) -> Delivery {
    let mut lighter = delivery.clone();
    lighter.log.skip_to(channel.cursor());
    lighter
}

#[test]
fn every_changed_byte_of_a_delivery_is_refused_or_changes_nothing() {
    let (_, before, good) = rich();
    let channel = before.channel();
    let expected = channel.receive(&reader(), &good, at(100)).unwrap().advance(usize::MAX);
    assert_eq!(expected.channel.cursor(), 10);
    let (mut refused, mut harmless) = (0, 0);
    let mut check = |delivery: &Delivery, may_be_harmless: bool| match channel.receive(&reader(), delivery, at(100)) {
        Ok(received) => {
            assert!(may_be_harmless, "{delivery:?}");
            assert_eq!(received.advance(usize::MAX), expected);
            harmless += 1;
        }
        Err(_) => refused += 1,
    };
    let mut bad = good.clone();
    for index in 0..good.log.entries.len() {
        // Entry 4 and 5 were applied before; they are skipped without a look, and a node that is there leaves them out.
        let applied = good.log.start + index as u64 <= 5;
        let mut bytes = good.log.entries[index].clone();
        each_byte(&mut bytes, |bytes| {
            bad.log.entries[index] = bytes.to_vec();
            check(&bad, applied);
            if applied {
                assert_eq!(without_applied(&bad, &channel), without_applied(&good, &channel));
            }
        });
        bad = good.clone();
    }
    for index in 0..good.log.right.len() {
        let mut bytes = good.log.right[index].to_vec();
        each_byte(&mut bytes, |bytes| {
            bad.log.right[index] = bytes.try_into().unwrap();
            check(&bad, false);
        });
        bad = good.clone();
    }
    let mut bytes = good.outbox_leaf.clone();
    each_byte(&mut bytes, |bytes| check(&Delivery { outbox_leaf: bytes.to_vec(), ..good.clone() }, false));
    for bit in 0..64 {
        check(&Delivery { proof_height: good.proof_height ^ 1 << bit, ..good.clone() }, false);
        bad.log.start ^= 1 << bit;
        check(&bad, false);
        bad.log.start = good.log.start;
        bad.log.size ^= 1 << bit;
        check(&bad, false);
        bad.log.size = good.log.size;
    }
    for value in [false, true] {
        fn field(delivery: &mut Delivery, value: bool) -> &mut Vec<u8> {
            let proof = delivery.proof.as_mut().unwrap();
            if value { &mut proof.value } else { &mut proof.key }
        }
        let mut bytes = field(&mut bad, value).clone();
        each_byte(&mut bytes, |bytes| {
            *field(&mut bad, value) = bytes.to_vec();
            check(&bad, false);
        });
        bad = good.clone();
    }
    for step in 0..good.proof.as_ref().unwrap().path.len() {
        let mut bytes = good.proof.as_ref().unwrap().path[step].sibling.to_vec();
        each_byte(&mut bytes, |bytes| {
            bad.proof.as_mut().unwrap().path[step].sibling = bytes.try_into().unwrap();
            check(&bad, false);
        });
        bad = good.clone();
        let side = &mut bad.proof.as_mut().unwrap().path[step].side;
        *side = if *side == Side::Left { Side::Right } else { Side::Left };
        check(&bad, false);
        bad = good.clone();
    }
    // A light block has bytes that nobody signs (the order of proposers), and signatures beyond two thirds.
    for header in 0..good.headers.len() {
        let mut bytes = good.headers[header].light_block.clone();
        each_byte(&mut bytes, |bytes| {
            bad.headers[header].light_block = bytes.to_vec();
            check(&bad, true);
        });
        bad = good.clone();
        let Some(mut bytes) = good.headers[header].trusted_next_validators.clone() else { continue };
        each_byte(&mut bytes, |bytes| {
            bad.headers[header].trusted_next_validators = Some(bytes.to_vec());
            check(&bad, true);
        });
        bad = good.clone();
    }
    for name in ["test-shard-1", "test-settlement", "tesu-shard-0"] {
        check(&Delivery { source: chain(name), ..good.clone() }, false);
    }
    assert!(refused > 2 * harmless, "{refused} refused, {harmless} harmless");
}

#[test]
fn entries_that_are_cut_reordered_repeated_or_foreign_are_refused() {
    let (source, before, good) = rich();
    let channel = before.channel();
    let changed = |change: &dyn Fn(&mut Delivery)| {
        let mut bad = good.clone();
        change(&mut bad);
        code(&channel, &bad)
    };
    assert_eq!(changed(&|bad| drop(bad.log.entries.remove(3))), 218);
    assert_eq!(changed(&|bad| drop(bad.log.entries.pop())), 218);
    assert_eq!(changed(&|bad| bad.log.entries.swap(3, 4)), 218);
    assert_eq!(changed(&|bad| bad.log.entries.insert(3, bad.log.entries[3].clone())), 218);
    assert_eq!(changed(&|bad| bad.log.entries.push(entry(11))), 218);
    assert_eq!(changed(&|bad| bad.log.entries[4] = b"for another".to_vec()), 218);
    assert_eq!(changed(&|bad| bad.log.right.clear()), 218);
    assert_eq!(changed(&|bad| bad.log.size += 1), 218);
    assert_eq!(changed(&|bad| bad.log.start = 7), 216);
    assert_eq!(changed(&|bad| bad.outbox_leaf.truncate(40)), 123);
    assert_eq!(changed(&|bad| bad.proof = None), 123);
    assert_eq!(changed(&|bad| bad.proof_height = 0), 123);
    assert_eq!(changed(&|bad| bad.proof_height -= 1), 123);
    assert_eq!(changed(&|bad| bad.headers.clear()), 218);
    assert_eq!(changed(&|bad| bad.headers.swap(0, 1)), 123);
    assert_eq!(changed(&|bad| bad.headers[0].trusted_next_validators = None), 219);
    assert_eq!(changed(&|bad| bad.headers[1].light_block.clear()), 219);
    // The same log at an older size: true, but its proof is of another header.
    let older = source.delivery_at(3, &reader(), 5, usize::MAX, 1).unwrap();
    let mixed = Delivery { outbox_leaf: older.outbox_leaf, proof: older.proof, ..good.clone() };
    assert_eq!(code(&channel, &mixed), 218);
}

#[test]
fn another_source_and_another_destination_are_refused() {
    let source = source_with(3);
    let before = Reader::new(&source);
    let channel = before.channel();
    // Another shard's delivery, and the same under the name of this one.
    let mut other = source_named("test-shard-1");
    other.append(&reader(), b"lie").unwrap();
    other.block(at(10)).unwrap();
    let mut foreign = other.delivery(&reader(), 0, usize::MAX, 0).unwrap();
    assert_eq!(code(&channel, &foreign), 215);
    foreign.source = shard();
    assert_eq!(code(&channel, &foreign), 219);
    // What this shard wrote for another reader, as it stands and with the log of another.
    let mut both = source_with(3);
    both.append(&chain("test-shard-9"), b"for nine").unwrap();
    both.block(at(20)).unwrap();
    let nine = both.delivery(&chain("test-shard-9"), 0, usize::MAX, 0).unwrap();
    assert_eq!(code(&channel, &nine), 218);
    assert!(channel.receive(&chain("test-shard-9"), &nine, at(100)).is_ok());
    // The right log under a proof for the other.
    let mut mixed = both.delivery(&reader(), 0, usize::MAX, 0).unwrap();
    mixed.proof = nine.proof;
    assert_eq!(code(&channel, &mixed), 218);
}

#[test]
fn a_header_by_others_than_the_validators_is_refused() {
    let honest = source_with(3);
    let channel = Reader::new(&honest).channel();
    for validators in [seeds(4, 8), seeds(3, 7)] {
        let mut forger = Source::new(shard(), &validators, at(0)).unwrap();
        forger.append(&reader(), b"lie").unwrap();
        forger.block(at(10)).unwrap();
        forger.block(at(20)).unwrap();
        for height in [1, 2] {
            let lie = forger.delivery_at(height, &reader(), 0, usize::MAX, 0).unwrap();
            assert_eq!(code(&channel, &lie), 219, "{height}");
        }
    }
}

#[test]
fn what_is_overlong_is_refused() {
    let source = source_with(1);
    let channel = Reader::new(&source).channel();
    let good = source.delivery(&reader(), 0, usize::MAX, 0).unwrap();
    let with = |change: &dyn Fn(&mut Delivery)| {
        let mut bad = good.clone();
        change(&mut bad);
        code(&channel, &bad)
    };
    assert_eq!(with(&|bad| bad.log.entries = vec![vec![1]; DELIVERY_ENTRIES_MAX + 1]), 123);
    assert_eq!(with(&|bad| bad.log.entries = vec![vec![1; ENTRY_BYTES_MAX + 1]]), 123);
    let count = DELIVERY_BYTES_MAX / ENTRY_BYTES_MAX + 1;
    assert_eq!(with(&|bad| bad.log.entries = vec![vec![1; ENTRY_BYTES_MAX]; count]), 123);
    assert_eq!(with(&|bad| bad.log.right = vec![[1; 32]; 123]), 123);
    assert_eq!(with(&|bad| bad.outbox_leaf = vec![1; 3_000]), 123);
    assert_eq!(with(&|bad| bad.headers = vec![bad.headers[0].clone(); DELIVERY_HEADERS_MAX + 1]), 123);
    assert_eq!(with(&|bad| bad.headers[0].light_block = vec![0; 300_000]), 123);
    assert_eq!(with(&|bad| bad.headers[0].trusted_next_validators = Some(vec![0; 200_000])), 123);
    assert_eq!(
        with(&|bad| {
            let step = db3_state_tree::PathStep { side: Side::Left, sibling: [0; 32] };
            bad.proof.as_mut().unwrap().path = vec![step; 10_000];
        }),
        123
    );
    let nothing = Delivery::of_headers(shard(), Vec::new());
    assert_eq!(code(&channel, &nothing), 123);
    assert_eq!(
        code(&channel, &Delivery { proof_height: 1, ..Delivery::of_headers(shard(), good.headers.clone()) }),
        123
    );
}

#[test]
fn what_was_delivered_before_is_stale_and_an_overlap_is_skipped() {
    let mut source = source_with(4);
    let mut state = Reader::new(&source);
    let first = source.delivery(&reader(), 0, usize::MAX, 0).unwrap();
    state.take(&first, at(20)).unwrap();
    assert_eq!(code(&state.channel(), &first), 217);
    for index in 4..7 {
        source.append(&reader(), &entry(index)).unwrap();
    }
    source.block(at(20)).unwrap();
    // Made by a relayer that had not seen the first one arrive; its header of height 1 is long known.
    let mut overlapping = source.delivery(&reader(), 0, usize::MAX, 0).unwrap();
    overlapping.headers.insert(0, first.headers[0].clone());
    let lighter = without_applied(&overlapping, &state.channel());
    assert_eq!((lighter.log.start, lighter.log.entries.len()), (4, 3));
    assert_eq!(state.clone().take(&lighter, at(30)).unwrap(), state.clone().take(&overlapping, at(30)).unwrap());
    let advanced = state.take(&overlapping, at(30)).unwrap();
    assert_eq!(state.read, (0..7).map(entry).collect::<Vec<_>>());
    assert_eq!(advanced.channel.inbox().frontier(), source.log(&reader()).unwrap().frontier());
    let again = state.clone();
    let mut beyond = overlapping.clone();
    beyond.log.skip_to(7);
    assert_eq!(beyond, overlapping, "it brings nothing, and stays what it was");
    assert_eq!(state.take(&overlapping, at(30)).unwrap_err().code(), 217);
    assert_eq!(state, again);
}

#[test]
fn entries_under_a_known_header_need_no_header() {
    let source = source_with(6);
    let mut state = Reader::new(&source);
    state.take(&source.delivery(&reader(), 0, 1, 0).unwrap(), at(20)).unwrap();
    let rest = source.delivery(&reader(), 1, usize::MAX, 1).unwrap();
    assert!(rest.headers.is_empty());
    let advanced = state.take(&rest, at(20)).unwrap();
    assert_eq!(advanced.leaves.len(), 1, "the light client did not change");
    assert_eq!(state.read.len(), 6);
}

#[test]
fn a_part_of_a_delivery_can_be_taken_and_the_rest_delivered_later() {
    let source = source_with(9);
    let whole = source.delivery(&reader(), 0, usize::MAX, 0).unwrap();
    let mut at_once = Reader::new(&source);
    let all = at_once.take(&whole, at(20)).unwrap();
    for cut in 0..=9 {
        let mut state = Reader::new(&source);
        let mut nodes = state.take_part(&whole, at(20), cut).unwrap().nodes;
        if cut < 9 {
            nodes.extend(state.take(&whole, at(20)).unwrap().nodes);
        }
        assert_eq!(state, at_once, "{cut}");
        assert_eq!(nodes, all.nodes);
    }
}

#[test]
fn a_chain_without_a_channel_hears_nothing() {
    let source = source_with(1);
    let state = Reader::new(&source);
    let absent: ChainId = chain("test-shard-1");
    assert_eq!(state.channel_of(&absent), None);
}

#[test]
fn headers_carry_no_freight_whether_known_or_not() {
    let mut source = source_with(4);
    let mut state = Reader::new(&source);
    let first = source.delivery(&reader(), 0, 1, 0).unwrap();
    state.take(&first, at(20)).unwrap();
    source.block(at(20)).unwrap();
    let unknown = source.delivery(&reader(), 1, 1, 1).unwrap();
    let known = Delivery { headers: first.headers.clone(), ..source.delivery_at(1, &reader(), 1, 1, 1).unwrap() };
    for good in [unknown, known] {
        assert_eq!(judge(&state.channel(), &good), Ok(()));
        let with = |change: &dyn Fn(&mut db3_carry::HeaderUpdate)| {
            let mut bad = good.clone();
            change(&mut bad.headers[0]);
            code(&state.channel(), &bad)
        };
        // A field of number 15 that no light block has, and the same message twice.
        assert_eq!(with(&|header| header.light_block.extend([0x7a, 3, 1, 2, 3])), 219);
        assert_eq!(with(&|header| header.light_block.extend(header.light_block.clone())), 219);
        let named = source.headers().next_validators(0).unwrap().to_proto_bytes();
        let foreign = Source::new(shard(), &seeds(0, 5), at(0)).unwrap().headers().root().validators().to_proto_bytes();
        assert_eq!(with(&|header| header.trusted_next_validators = Some(foreign.clone())), 218);
        assert_eq!(with(&|header| header.trusted_next_validators = Some([&named[..], &[0x7a, 1, 1]].concat())), 123);
        assert_eq!(with(&|header| header.trusted_next_validators = Some(vec![0x7a, 1, 1])), 123);
    }
}
