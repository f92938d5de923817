//! Rule I4 with real headers: any number of relayers, with losses, repeats, crashes, falsified deliveries, partial deliveries,
//! validators that change and readers that take only a part, delivers exactly the log; and two honest relayers never make each
//! other fail.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "tests"
)]

mod support;

use db3_carry::Delivery;
use db3_carry::build::{Source, header_update};
use db3_light_client::Options;
use proptest::prelude::*;
use support::{Reader, at, entry, reader, seeds, source};

#[derive(Clone, Debug)]
enum Step {
    /// The source writes some entries and makes a block; perhaps its validators change by one.
    Block { entries: usize, change: bool },
    /// A relayer looks where the reader is.
    Look { relayer: usize },
    /// It makes a delivery from what it saw, whenever that was.
    Make { relayer: usize, limit: usize },
    /// One on its way arrives, and the reader may take only some of it; perhaps it stays on the way, to arrive again.
    Arrive { pick: usize, most: usize, stays: bool },
    /// One on its way arrives with a byte changed.
    Falsify { pick: usize, how: usize, place: usize },
    /// One on its way is lost.
    Lose { pick: usize },
    /// A relayer forgets what it knew.
    Crash { relayer: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (relayer, pick) = (0..4_usize, any::<usize>());
    let step = prop_oneof![
        3 => (0..5_usize, prop::bool::weighted(0.2)).prop_map(|(entries, change)| Step::Block { entries, change }),
        2 => relayer.clone().prop_map(|relayer| Step::Look { relayer }),
        3 => (relayer.clone(), 0..80_usize).prop_map(|(relayer, limit)| Step::Make { relayer, limit }),
        4 => (pick, prop_oneof![Just(usize::MAX), 0..4_usize], any::<bool>())
            .prop_map(|(pick, most, stays)| Step::Arrive { pick, most, stays }),
        2 => (pick, 0..7_usize, any::<usize>()).prop_map(|(pick, how, place)| Step::Falsify { pick, how, place }),
        1 => pick.prop_map(|pick| Step::Lose { pick }),
        1 => relayer.prop_map(|relayer| Step::Crash { relayer }),
    ];
    prop::collection::vec(step, 0..60)
}

fn falsify(delivery: &mut Delivery, how: usize, place: usize) {
    fn flip(bytes: &mut [u8], place: usize) {
        if !bytes.is_empty() {
            bytes[place % bytes.len()] ^= 1 << (place % 8);
        }
    }
    let entries = delivery.log.entries.len();
    match how {
        0 => flip(&mut delivery.log.entries[place % entries], place),
        1 => drop(delivery.log.entries.remove(place % entries)),
        2 => delivery.log.entries.swap(place % entries, entries - 1),
        3 => delivery.log.start = delivery.log.start.wrapping_add(1),
        4 => flip(&mut delivery.outbox_leaf, place),
        5 => delivery.headers.iter_mut().for_each(|header| flip(&mut header.light_block, place)),
        _ => delivery.log.right.iter_mut().for_each(|hash| flip(hash, place)),
    }
}

/// What a relayer knows of the reader: cursor and trusted height.
type Seen = Option<(u64, u64)>;

fn seen(state: &Reader) -> (u64, u64) {
    (state.channel().cursor(), state.channel().trusted_height())
}

/// What a relayer sends: a header every other height from the one it saw, because validators change by one of four, up to
/// sixteen of them.
fn make(source: &Source, seen: Seen, limit: usize) -> Option<Delivery> {
    let (cursor, trusted) = seen?;
    let mut heights: Vec<u64> = (trusted + 1..=source.headers().height()).step_by(2).take(15).collect();
    let next = heights.last().map_or(trusted, |last| (last + 1).min(source.headers().height()));
    if heights.last().is_none_or(|last| *last < next) && next > trusted {
        heights.push(next);
    }
    let mut delivery = source.delivery_at(next.max(1), &reader(), cursor, limit, trusted).ok()?;
    let steps = heights
        .iter()
        .scan(trusted, |trusted, height| header_update(source.headers(), *height, std::mem::replace(trusted, *height)));
    delivery.headers = steps.collect();
    Some(delivery).filter(|delivery| !delivery.is_headers_alone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_interleaving_of_relayers_delivers_exactly_the_log(steps in steps(), forever in any::<bool>()) {
        let options = if forever { Options::never_expires() } else { Options::new(1_000_000, 30).unwrap() };
        let mut source = source();
        let mut state = Reader::of(&source, options);
        let (mut height, mut written, mut first_validator) = (0_i64, 0_usize, 0_u8);
        let mut relayers: [Seen; 4] = [None; 4];
        let mut on_the_way: Vec<Delivery> = Vec::new();
        for step in steps {
            let now = at(10 * height + 5);
            match step {
                Step::Block { entries, change } => {
                    for _ in 0..entries {
                        source.append(&reader(), &entry(written)).unwrap();
                        written += 1;
                    }
                    if change {
                        first_validator += 1;
                        source.headers_mut().change_validators(&seeds(first_validator, first_validator + 4)).unwrap();
                    }
                    height += 1;
                    source.block(at(10 * height)).unwrap();
                }
                Step::Look { relayer } => relayers[relayer] = Some(seen(&state)),
                Step::Make { relayer, limit } => on_the_way.extend(make(&source, relayers[relayer], limit)),
                Step::Arrive { pick, most, stays } if !on_the_way.is_empty() => {
                    let pick = pick % on_the_way.len();
                    let delivery = if stays { on_the_way[pick].clone() } else { on_the_way.remove(pick) };
                    let channel = state.channel();
                    let before = state.clone();
                    match state.take_part(&delivery, now, most) {
                        Ok(_) => {}
                        Err(refused) => {
                            // An honest delivery is refused only where nothing of it is new.
                            let end = delivery.log.start + delivery.log.entries.len() as u64;
                            prop_assert!(refused.code() == 217 && end <= channel.cursor(), "{refused}");
                            prop_assert_eq!(&state, &before);
                        }
                    }
                }
                Step::Falsify { pick, how, place } if !on_the_way.is_empty() => {
                    let mut delivery = on_the_way[pick % on_the_way.len()].clone();
                    falsify(&mut delivery, how, place);
                    let before = state.clone();
                    if state.take(&delivery, now).is_err() {
                        prop_assert_eq!(&state, &before);
                    }
                }
                Step::Lose { pick } if !on_the_way.is_empty() => drop(on_the_way.remove(pick % on_the_way.len())),
                Step::Crash { relayer } => relayers[relayer] = None,
                Step::Arrive { .. } | Step::Falsify { .. } | Step::Lose { .. } => {}
            }
            // Whatever came was the log, each entry once, in order.
            prop_assert!(state.read.len() <= written);
            prop_assert_eq!(&state.read, &(0..state.read.len()).map(entry).collect::<Vec<_>>());
        }
        // In the end one relayer that does its work is enough.
        height += 1;
        source.block(at(10 * height)).unwrap();
        while let Some(delivery) = make(&source, Some(seen(&state)), 40) {
            state.take(&delivery, at(10 * height + 5)).unwrap();
        }
        let trusted = state.channel().trusted_height();
        prop_assert_eq!(state.read.len(), written, "trusted {} of {}", trusted, height);
        if let Some(log) = source.log(&reader()) {
            let channel = state.channel();
            prop_assert_eq!(channel.inbox().frontier(), log.frontier());
        }
    }
}
