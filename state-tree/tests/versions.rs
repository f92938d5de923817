//! Versions: shared, dropped, read while others are made.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::thread;

use db3_state_tree::Tree;

fn batch(keys: std::ops::Range<u32>, value: u8) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    keys.map(|n| (n.to_be_bytes().to_vec(), Some(vec![value; 40]))).collect()
}

#[test]
fn many_dropped_versions_leave_the_last_one_whole() {
    let mut tree = Tree::new().apply(batch(0..2_000, 0)).unwrap();
    let kept = tree.clone();
    for round in 0..5_000_u32 {
        let at = round * 7 % 1_990;
        tree = tree.apply(batch(at..at + 10, (round % 250) as u8 + 1)).unwrap();
    }
    assert!(kept.range(&[], None).all(|(_, value)| value == [0; 40]));
    assert_eq!(tree.range(&[], None).count(), 2_000);
    let again = Tree::new()
        .apply(tree.range(&[], None).map(|(key, value)| (key.to_vec(), Some(value.to_vec()))).collect())
        .unwrap();
    assert_eq!(again.root(), tree.root());
}

#[test]
fn versions_are_read_and_dropped_on_any_thread_while_others_are_made() {
    let mut tree = Tree::new().apply(batch(0..5_000, 0)).unwrap();
    let readers: Vec<_> = (1..40_u8)
        .map(|round| {
            let (version, root) = (tree.clone(), tree.root());
            tree = tree.apply(batch(0..5_000, round)).unwrap();
            thread::spawn(move || {
                assert!(version.range(&[], None).all(|(_, value)| value[0] == round - 1));
                assert_eq!(version.root(), root);
            })
        })
        .collect();
    for reader in readers {
        reader.join().unwrap();
    }
}
