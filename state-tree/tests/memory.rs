//! What a tree keeps in memory, counted by the allocator of this test's process. One test, because it counts all.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, clippy::disallowed_types, reason = "tests")]

use std::alloc::System;
use std::thread;
use std::time::{Duration, Instant};

use cap::Cap;
use db3_state_tree::Tree;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const KEYS: u32 = 100_000;
/// The goal, allocator's overhead included.
const BYTES_PER_KEY_MAX: usize = 400;
/// What the reaper's queue and thread, and the test itself, may keep.
const SLACK_BYTES: usize = 200_000;

fn batch(keys: impl Iterator<Item = u32>, value: u8) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    keys.map(|n| ([&n.to_be_bytes()[..], &[0; 28]].concat(), Some(vec![value; 100]))).collect()
}

fn wait_until_allocated_is_below(bytes: usize) {
    let begin = Instant::now();
    while ALLOCATOR.allocated() > bytes {
        let patience = Duration::from_secs(60);
        assert!(begin.elapsed() < patience, "{} bytes still allocated", ALLOCATOR.allocated());
        thread::yield_now();
    }
}

#[test]
fn a_tree_keeps_no_more_than_it_must_and_a_dropped_version_is_freed() {
    let before = ALLOCATOR.allocated();
    let tree = Tree::new().apply(batch(0..KEYS, 1)).unwrap();
    let full = ALLOCATOR.allocated() - before;
    assert!(full / KEYS as usize <= BYTES_PER_KEY_MAX, "{} bytes a key", full / KEYS as usize);

    let mut newer = tree.clone();
    for round in 0..20 {
        newer = newer.apply(batch((0..KEYS).step_by(500), round + 2)).unwrap();
    }
    let (few_changes, newest) = (newer.root(), newer.clone());
    drop(newer);
    // Only two versions are held: the first, and what the last has of its own.
    wait_until_allocated_is_below(before + full + full / 50 + SLACK_BYTES);

    drop(tree);
    wait_until_allocated_is_below(before + full + SLACK_BYTES);
    assert_eq!(newest.root(), few_changes);
    assert_eq!(newest.range(&[], None).count(), KEYS as usize);
    drop(newest);
    wait_until_allocated_is_below(before + SLACK_BYTES);
}
