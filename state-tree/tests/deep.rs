//! The deepest trees that keys allow, on small stacks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod naive;

use std::thread;

use db3_state_tree::{KEY_BYTES_MAX, LeafValue, Proof, Tree, verify_absence, verify_existence, verify_range};
use naive::Map;

const STACK_BYTES: usize = 128 * 1024;

/// Keys that are each a prefix of the next.
fn nested_by_byte() -> Map {
    (1..=KEY_BYTES_MAX).map(|len| (vec![b'a'; len], vec![1])).collect()
}

/// The longest key, everything it begins with, and what differs from those in their last bits: an inner node at nearly
/// every bit.
fn nested_by_bit() -> Map {
    let mut map = Map::new();
    for len in 1..=KEY_BYTES_MAX {
        let key = vec![0xaa; len];
        for bit in 0..8 {
            let mut other = key.clone();
            other[len - 1] ^= 1 << bit;
            map.insert(other, vec![2]);
        }
        map.insert(key, vec![1]);
    }
    map
}

fn exercise(map: &Map, steps_min: usize) {
    let full = naive::tree(map);
    assert_eq!(full.len(), map.len() as u64);
    let deepest = map.keys().max_by_key(|key| (key.len(), key.iter().all(|byte| *byte == key[0]))).unwrap();
    let Proof::Exists(proof) = full.prove(deepest) else { panic!("the deepest key is there") };
    assert!(proof.path.len() >= steps_min, "{} steps", proof.path.len());
    assert_eq!(verify_existence(&full.root(), deepest, &map[deepest], &proof), Ok(()));

    let mut absent = deepest.clone();
    *absent.last_mut().unwrap() ^= 3;
    let Proof::Absent(proof) = full.prove(&absent) else { panic!("the key is absent") };
    assert_eq!(verify_absence(&full.root(), &absent, &proof), Ok(()));

    let proven = full.prove_range(&[], None, usize::MAX);
    let records: Vec<_> = full.range(&[], None).map(|(key, value)| (key, LeafValue::Bytes(value))).collect();
    assert_eq!(verify_range(&full.root(), &[], None, &records, &proven.proof.to_bytes()), Ok(()));
    let page = full.prove_range(deepest, None, 1);
    let records = [(deepest.as_slice(), LeafValue::Bytes(&map[deepest]))];
    assert_eq!(verify_range(&full.root(), deepest, page.end.as_deref(), &records, &page.proof.to_bytes()), Ok(()));

    assert_eq!(full.range(&[], None).rev().count(), map.len());
    assert_eq!(Tree::new().diff(&full).count(), map.len());
    assert_eq!(full.diff(&Tree::new()).count(), map.len());
    let changed = full.apply(vec![(deepest.clone(), Some(vec![9]))]).unwrap();
    assert_eq!(full.diff(&changed).collect::<Vec<_>>(), [(deepest.as_slice(), Some(&[9][..]))]);
    let emptied = changed.apply(map.keys().map(|key| (key.clone(), None)).collect()).unwrap();
    assert_eq!(emptied.root(), Tree::new().root());
}

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(STACK_BYTES).spawn(work).unwrap().join().unwrap();
}

#[test]
fn keys_nested_as_prefixes_overflow_no_stack() {
    on_a_small_stack(|| exercise(&nested_by_byte(), KEY_BYTES_MAX - 1));
}

#[test]
fn keys_nested_bit_by_bit_overflow_no_stack() {
    on_a_small_stack(|| exercise(&nested_by_bit(), 9 * KEY_BYTES_MAX - 9));
}

#[test]
fn the_deepest_tree_has_the_root_of_the_naive_one() {
    let map = nested_by_byte();
    assert_eq!(naive::tree(&map).root(), naive::root(&map));
}
