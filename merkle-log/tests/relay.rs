//! Deliveries by relayers that nobody trusts: whatever they lose, repeat, cut, reorder or falsify, the reader gets the log,
//! each entry once, in order (rule I4).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod naive;

use db3_merkle_log::limits::{DELIVERY_BYTES_MAX, DELIVERY_ENTRIES_MAX, ENTRY_BYTES_MAX};
use db3_merkle_log::{
    DeliverError, Delivery, EntryTooLong, FoldError, Frontier, Inbox, InboxError, Outbox, ProofError, deliver,
};
use naive::Store;
use proptest::prelude::*;

/// The writing chain: its outbox, its stores, and the state that was proven at every size.
#[derive(Default)]
struct Writer {
    outbox: Outbox,
    store: Store,
}

impl Writer {
    fn with(entries: &[Vec<u8>]) -> Self {
        let mut writer = Self::default();
        for entry in entries {
            writer.write(entry);
        }
        writer
    }

    fn write(&mut self, entry: &[u8]) {
        let appended = self.outbox.append(entry).unwrap();
        assert_eq!(appended.index, self.store.entries.len() as u64);
        self.store.add(entry, &appended.nodes);
    }

    fn size(&self) -> u64 {
        self.outbox.frontier().size()
    }

    fn delivery(&self, start: u64, end: u64, size: u64) -> Delivery {
        let bytes: usize = self.store.entries[start as usize..end as usize].iter().map(Vec::len).sum();
        let mut delivery = deliver(&self.store, start, size, bytes).unwrap();
        delivery.entries.truncate((end - start) as usize);
        delivery.right = db3_merkle_log::right_range(&self.store, end, size).unwrap();
        delivery
    }
}

fn numbered(n: usize) -> Vec<Vec<u8>> {
    (0..n).map(|i| format!("entry {i}").into_bytes()).collect()
}

fn frontier_of(entries: &[Vec<u8>]) -> Frontier {
    Writer::with(entries).outbox.frontier().clone()
}

#[derive(Clone, Debug)]
enum Step {
    /// The writer goes on.
    Write(Vec<u8>),
    /// Relayer r, whose idea of the cursor may be old, makes a delivery of at most so many bytes for the newest size.
    Make { relayer: usize, back: u64, bytes: usize },
    /// The oldest (or newest) delivery on the way arrives and stays on the way, so that it arrives again.
    Repeat { newest: bool },
    /// One on the way arrives.
    Arrive { pick: usize },
    /// One on the way is lost.
    Lose { pick: usize },
    /// One on the way arrives, but falsified.
    Falsify { pick: usize, how: usize, place: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Step::Write),
        3 => (0..3_usize, 0..6_u64, 0..60_usize).prop_map(|(relayer, back, bytes)| Step::Make { relayer, back, bytes }),
        1 => any::<bool>().prop_map(|newest| Step::Repeat { newest }),
        3 => any::<usize>().prop_map(|pick| Step::Arrive { pick }),
        1 => any::<usize>().prop_map(|pick| Step::Lose { pick }),
        1 => (any::<usize>(), 0..6_usize, any::<usize>()).prop_map(|(pick, how, place)| Step::Falsify { pick, how, place }),
    ];
    prop::collection::vec(step, 0..120)
}

/// Changes a delivery so that it is no longer a piece of the log at its place; false if this one cannot be changed that way.
fn falsify(delivery: &mut Delivery, how: usize, place: usize, skip: usize) -> bool {
    let new = delivery.entries.len().saturating_sub(skip);
    if new == 0 {
        return false;
    }
    let at = skip + place % new;
    match how {
        0 => delivery.entries[at].push(0),
        1 => drop(delivery.entries.remove(at)),
        2 => delivery.entries.insert(at, b"false".to_vec()),
        3 if at + 1 < delivery.entries.len() && delivery.entries[at] != delivery.entries[at + 1] => {
            delivery.entries.swap(at, at + 1);
        }
        4 if !delivery.right.is_empty() => {
            let at = place % delivery.right.len();
            delivery.right[at][0] ^= 1;
        }
        5 if !delivery.right.is_empty() => drop(delivery.right.pop()),
        _ => return false,
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_interleaving_of_relayers_delivers_exactly_the_log(steps in steps()) {
        let mut writer = Writer::default();
        let mut proven = vec![Outbox::new().frontier().clone()];
        let mut inbox = Inbox::new();
        let mut read: Vec<Vec<u8>> = Vec::new();
        let mut cursors = [0_u64; 3];
        let mut on_the_way: Vec<Delivery> = Vec::new();

        let mut arrive = |inbox: &mut Inbox, proven: &[Frontier], delivery: &Delivery| {
            let root = proven[delivery.size as usize].root();
            match inbox.receive(delivery, delivery.size, &root) {
                Ok(received) => {
                    assert_eq!(received.first, read.len() as u64);
                    read.extend_from_slice(received.entries);
                    *inbox = received.inbox;
                }
                Err(InboxError::Gap { .. }) => assert!(delivery.start > inbox.cursor()),
                Err(other) => panic!("a true delivery was refused: {other}"),
            }
            assert_eq!(inbox.cursor(), read.len() as u64);
            read.clone()
        };
        for step in steps {
            match step {
                Step::Write(entry) => {
                    writer.write(&entry);
                    proven.push(writer.outbox.frontier().clone());
                }
                Step::Make { relayer, back, bytes } => {
                    let delivery = deliver(&writer.store, cursors[relayer].saturating_sub(back), writer.size(), bytes).unwrap();
                    cursors[relayer] = delivery.start + delivery.entries.len() as u64;
                    on_the_way.push(delivery);
                }
                Step::Repeat { newest } => {
                    if let Some(delivery) = if newest { on_the_way.last() } else { on_the_way.first() } {
                        arrive(&mut inbox, &proven, delivery);
                        let before = inbox.clone();
                        arrive(&mut inbox, &proven, delivery);
                        prop_assert_eq!(&inbox, &before);
                    }
                }
                Step::Arrive { pick } if !on_the_way.is_empty() => {
                    let delivery = on_the_way.remove(pick % on_the_way.len());
                    arrive(&mut inbox, &proven, &delivery);
                }
                Step::Lose { pick } if !on_the_way.is_empty() => {
                    on_the_way.remove(pick % on_the_way.len());
                    cursors = [inbox.cursor(); 3];
                }
                Step::Falsify { pick, how, place } if !on_the_way.is_empty() => {
                    let mut delivery = on_the_way[pick % on_the_way.len()].clone();
                    let Some(skip) = inbox.cursor().checked_sub(delivery.start) else { continue };
                    if falsify(&mut delivery, how, place, skip as usize) {
                        let root = proven[delivery.size as usize].root();
                        if let Ok(received) = inbox.receive(&delivery, delivery.size, &root) {
                            // Only one whose new entries are all gone is left alone, and it changes nothing.
                            prop_assert!(received.entries.is_empty());
                            prop_assert_eq!(received.inbox, inbox.clone());
                        }
                    }
                }
                Step::Arrive { .. } | Step::Lose { .. } | Step::Falsify { .. } => {}
            }
        }
        // In the end one relayer that does its work is enough.
        while inbox.cursor() < writer.size() {
            let delivery = deliver(&writer.store, inbox.cursor(), writer.size(), 7).unwrap();
            arrive(&mut inbox, &proven, &delivery);
        }
        let last = deliver(&writer.store, 0, writer.size(), usize::MAX).unwrap();
        prop_assert_eq!(arrive(&mut inbox, &proven, &last), writer.store.entries);
        prop_assert_eq!(inbox.frontier(), writer.outbox.frontier());
    }

    #[test]
    fn any_delivery_is_judged_without_a_panic(
        start in any::<u64>(), entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..20),
        size in any::<u64>(), right in prop::collection::vec(any::<[u8; 32]>(), 0..8), applied in 0..20_usize,
    ) {
        let inbox = Inbox::from_bytes(&frontier_of(&numbered(applied)).to_bytes()).unwrap();
        for start in [start, start % 20] {
            let delivery = Delivery { start, entries: entries.clone(), size, right: right.clone() };
            if let Ok(received) = inbox.receive(&delivery, size, &[3; 32]) {
                prop_assert!(received.entries.is_empty());
            }
        }
    }
}

#[test]
fn every_changed_bit_of_a_delivery_is_refused() {
    let writer = Writer::with(&numbered(13));
    let root = writer.outbox.frontier().root();
    let inbox = Inbox::from_bytes(&frontier_of(&numbered(5)).to_bytes()).unwrap();
    let delivery = writer.delivery(5, 9, 13);
    assert_eq!(inbox.receive(&delivery, 13, &root).unwrap().entries.len(), 4);
    for entry in 0..delivery.entries.len() {
        for bit in 0..delivery.entries[entry].len() * 8 {
            let mut bad = delivery.clone();
            bad.entries[entry][bit / 8] ^= 1 << (bit % 8);
            assert_eq!(inbox.receive(&bad, 13, &root), Err(InboxError::WrongRoot));
        }
    }
    for bit in 0..delivery.right.len() * 256 {
        let mut bad = delivery.clone();
        bad.right[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
        assert_eq!(inbox.receive(&bad, 13, &root), Err(InboxError::WrongRoot));
    }
    for bit in 0..64 {
        let bad = Delivery { size: delivery.size ^ (1 << bit), ..delivery.clone() };
        assert!(matches!(inbox.receive(&bad, 13, &root), Err(InboxError::SizeDiffers { .. })));
        let bad = Delivery { start: delivery.start ^ (1 << bit), ..delivery.clone() };
        // One that now ends before the cursor brings nothing; all others are refused.
        assert!(inbox.receive(&bad, 13, &root).is_ok_and(|received| received.entries.is_empty()) == (bad.start == 1));
    }
}

#[test]
fn missing_and_reordered_entries_are_refused() {
    let writer = Writer::with(&numbered(20));
    let root = writer.outbox.frontier().root();
    let whole = writer.delivery(0, 20, 20);
    for at in 0..19 {
        let mut bad = whole.clone();
        bad.entries.swap(at, at + 1);
        assert_eq!(Inbox::new().receive(&bad, 20, &root), Err(InboxError::WrongRoot));
        let mut bad = whole.clone();
        bad.entries.remove(at);
        assert!(matches!(Inbox::new().receive(&bad, 20, &root), Err(InboxError::Fold(FoldError::RightCount { .. }))));
        bad.right = writer.delivery(0, 19, 20).right;
        assert_eq!(Inbox::new().receive(&bad, 20, &root), Err(InboxError::WrongRoot));
    }
    let late = writer.delivery(3, 20, 20);
    assert_eq!(Inbox::new().receive(&late, 20, &root), Err(InboxError::Gap { cursor: 0, start: 3 }));
}

#[test]
fn what_was_applied_is_skipped_and_what_is_new_is_taken() {
    let writer = Writer::with(&numbered(20));
    let root = writer.outbox.frontier().root();
    let first = writer.delivery(0, 12, 20);
    let inbox = Inbox::new().receive(&first, 20, &root).unwrap().inbox;
    assert_eq!(inbox.receive(&first, 20, &root).unwrap().inbox, inbox);
    let second = writer.delivery(7, 20, 20);
    let received = inbox.receive(&second, 20, &root).unwrap();
    assert_eq!((received.first, received.entries), (12, &numbered(20)[12..]));
    assert_eq!(received.inbox.frontier(), writer.outbox.frontier());
    assert_eq!(inbox.after(received.entries), (received.inbox.clone(), received.nodes.clone()));
    let (partly, nodes) = inbox.after(&received.entries[..3]);
    assert_eq!((partly.cursor(), nodes.as_slice()), (15, &received.nodes[..nodes.len()]));
    assert_eq!(partly.receive(&second, 20, &root).unwrap().inbox, received.inbox);
    // Headers alone: a delivery without entries is allowed and changes nothing.
    let none = Delivery { start: 12, entries: Vec::new(), size: 20, right: Vec::new() };
    assert_eq!(inbox.receive(&none, 20, &root).unwrap().inbox, inbox);
}

#[test]
fn a_delivery_keeps_to_its_byte_limit_and_always_moves_on() {
    let writer = Writer::with(&numbered(20));
    assert_eq!(deliver(&writer.store, 0, 20, 0).unwrap().entries.len(), 1);
    assert_eq!(deliver(&writer.store, 0, 20, 14).unwrap().entries.len(), 2);
    assert_eq!(deliver(&writer.store, 0, 20, 13).unwrap().entries.len(), 1);
    assert_eq!(deliver(&writer.store, 20, 20, 100).unwrap().entries.len(), 0);
    assert_eq!(deliver(&writer.store, 0, 9, usize::MAX).unwrap().entries.len(), 9);
    assert_eq!(
        deliver(&writer.store, 21, 20, 100),
        Err(DeliverError::Proof(ProofError::OutOfRange { index: 21, size: 20 }))
    );
    assert_eq!(deliver(&writer.store, 19, 21, 100), Err(DeliverError::Missing { index: 20 }));
    let many = Writer::with(&vec![Vec::new(); DELIVERY_ENTRIES_MAX + 1]);
    assert_eq!(deliver(&many.store, 0, many.size(), 1).unwrap().entries.len(), DELIVERY_ENTRIES_MAX);
}

#[test]
fn what_is_too_large_is_refused_at_both_ends() {
    let mut outbox = Outbox::new();
    assert_eq!(outbox.append(&vec![0; ENTRY_BYTES_MAX + 1]), Err(EntryTooLong { bytes: ENTRY_BYTES_MAX + 1 }));
    assert_eq!(outbox, Outbox::new());

    let given = |entries: Vec<Vec<u8>>| Delivery { start: 0, size: entries.len() as u64, entries, right: Vec::new() };
    let receive =
        |delivery: &Delivery| Inbox::new().receive(delivery, delivery.size, &[0; 32]).map(|_| ()).unwrap_err();
    let bytes = ENTRY_BYTES_MAX + 1;
    assert_eq!(receive(&given(vec![vec![0; bytes]])), InboxError::EntryTooLong { index: 0, bytes });
    let entries = DELIVERY_ENTRIES_MAX + 1;
    assert_eq!(receive(&given(vec![Vec::new(); entries])), InboxError::TooManyEntries { entries });
    let bytes = DELIVERY_BYTES_MAX + ENTRY_BYTES_MAX;
    let entries = vec![vec![0; ENTRY_BYTES_MAX]; bytes / ENTRY_BYTES_MAX];
    assert_eq!(receive(&given(entries)), InboxError::TooManyBytes { bytes });
}

#[test]
fn the_state_values_of_outbox_and_inbox_are_frontiers() {
    let writer = Writer::with(&numbered(6));
    let bytes = writer.outbox.to_bytes();
    assert_eq!(Outbox::from_bytes(&bytes).unwrap(), writer.outbox);
    assert_eq!(Inbox::from_bytes(&bytes).unwrap().to_bytes(), bytes);
    assert_eq!(Frontier::from_bytes(&bytes).unwrap(), *writer.outbox.frontier());
    assert!(Outbox::from_bytes(&bytes[1..]).is_err());
    assert!(Inbox::from_bytes(&bytes[..7]).is_err());
}
