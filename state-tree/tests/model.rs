//! The tree against a `BTreeMap` and the naive tree, over random histories.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

mod naive;

use db3_state_tree::{BatchError, Proof, Tree, prefix_end, verify_absence, verify_existence};
use naive::{Map, change, changes, key, map, range, root, tree};
use proptest::collection::vec;
use proptest::prelude::*;

fn owned(records: impl Iterator<Item = (impl AsRef<[u8]>, impl AsRef<[u8]>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    records.map(|(key, value)| (key.as_ref().to_vec(), value.as_ref().to_vec())).collect()
}

fn assert_same(tree: &Tree, map: &Map) {
    assert_eq!(tree.root(), root(map));
    assert_eq!(tree.len(), map.len() as u64);
    assert_eq!(tree.is_empty(), map.is_empty());
    assert_eq!(owned(tree.range(b"", None)), owned(map.iter()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_version_of_a_history_is_the_map_of_that_time(history in vec(changes(24), 1..8), threads in 1_usize..3) {
        let mut versions = vec![(Tree::new(), Map::new())];
        for changes in history {
            let (tree, map) = versions.last().unwrap();
            let mut map = map.clone();
            change(&mut map, &changes);
            let tree = tree.apply_on(threads, changes.into_iter().collect()).unwrap();
            versions.push((tree, map));
        }
        for (tree, map) in &versions {
            assert_same(tree, map);
        }
    }

    #[test]
    fn a_large_batch_on_two_threads_makes_the_same_tree(old in map(300), new in changes(600)) {
        let mut expected = old.clone();
        change(&mut expected, &new);
        let old = tree(&old);
        let batch: Vec<_> = new.into_iter().collect();
        for threads in 1..=2 {
            assert_same(&old.apply_on(threads, batch.clone()).unwrap(), &expected);
        }
    }

    #[test]
    fn a_finger_finds_what_the_tree_finds_in_any_order(old in map(60), asked in vec((key(), 0..3_u8), 1..80), sorted in any::<bool>()) {
        let tree = tree(&old);
        let mut asked = asked;
        if sorted {
            asked.sort();
        }
        let mut finger = tree.finger();
        let mut place: Option<Vec<u8>> = None;
        for (key, how) in asked {
            let found = match how {
                0 => {
                    prop_assert_eq!(finger.get(&key), tree.get(&key));
                    // Where a get that finds nothing leaves the finger is its own affair.
                    place = tree.get(&key).map(|_| key);
                    continue;
                }
                1 => (finger.seek(&key), tree.range(&key, None).next()),
                _ => match &place {
                    Some(place) => (finger.advance(), tree.range(&[place.as_slice(), &[0]].concat(), None).next()),
                    None => continue,
                },
            };
            prop_assert_eq!(found.0, found.1);
            place = found.1.map(|(key, _)| key.to_vec());
        }
    }

    #[test]
    fn the_root_does_not_depend_on_the_history(old in map(40), new in map(40)) {
        let direct = tree(&new);
        let mut batch: naive::Changes = old.keys().map(|key| (key.clone(), None)).collect();
        batch.extend(new.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
        let turned = tree(&old).apply(batch.into_iter().collect()).unwrap();
        prop_assert_eq!(turned.root(), direct.root());

        let mut one_by_one = Tree::new();
        for (key, value) in new.iter().rev() {
            one_by_one = one_by_one.apply(vec![(key.clone(), Some(value.clone()))]).unwrap();
        }
        prop_assert_eq!(one_by_one.root(), direct.root());
        prop_assert_eq!(one_by_one.diff(&direct).count(), 0);
    }

    #[test]
    fn get_finds_what_the_map_has(map in map(40), keys in vec(key(), 40)) {
        let tree = tree(&map);
        for key in keys.iter().chain(map.keys()) {
            prop_assert_eq!(tree.get(key), map.get(key).map(Vec::as_slice));
        }
        prop_assert_eq!(tree.get(b""), None);
        prop_assert_eq!(tree.get(&[b'a'; 10_000]), None);
    }

    #[test]
    fn ranges_are_those_of_the_map(map in map(40), from in prop_oneof![Just(vec![]), key()], to in prop::option::of(key())) {
        let tree = tree(&map);
        let expected = range(&map, &from, to.as_deref());
        prop_assert_eq!(owned(tree.range(&from, to.as_deref())), expected.clone());
        let mut backwards = owned(tree.range(&from, to.as_deref()).rev());
        backwards.reverse();
        prop_assert_eq!(backwards, expected.clone());
        prop_assert_eq!(owned(tree.prefix(&from)), range(&map, &from, prefix_end(&from).as_deref()));
        prop_assert!(tree.prefix(&from).all(|(key, _)| key.starts_with(&from)));
    }

    #[test]
    fn a_range_taken_from_both_ends_gives_each_record_once(map in map(40), from in key(), ends in vec(any::<bool>(), 60)) {
        let tree = tree(&map);
        let (mut front, mut back) = (Vec::new(), Vec::new());
        let mut range = tree.range(&from, None);
        for from_front in ends {
            if from_front {
                front.extend(range.next());
            } else {
                back.extend(range.next_back());
            }
        }
        back.reverse();
        front.extend(back);
        prop_assert_eq!(owned(front.into_iter()), naive::range(&map, &from, None));
    }

    #[test]
    fn a_difference_turns_the_older_version_into_the_newer(old in map(40), steps in vec(changes(12), 0..4), other in map(40)) {
        let old_tree = tree(&old);
        let mut new_tree = old_tree.clone();
        for changes in &steps {
            new_tree = new_tree.apply(changes.clone().into_iter().collect()).unwrap();
        }
        for newer in [new_tree, tree(&other)] {
            let difference: Vec<_> = old_tree.diff(&newer).collect();
            prop_assert!(difference.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(difference.iter().all(|(key, value)| old_tree.get(key) != *value && newer.get(key) == *value));
            let batch = difference.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(old_tree.apply(batch).unwrap().root(), newer.root());
        }
    }

    #[test]
    fn every_key_is_proved_there_or_absent(map in map(40), keys in vec(key(), 20)) {
        let tree = tree(&map);
        for key in keys.iter().chain(map.keys()) {
            match (tree.prove(key), map.get(key)) {
                (Proof::Exists(proof), Some(value)) => {
                    prop_assert_eq!(verify_existence(&tree.root(), key, value, &proof), Ok(()));
                }
                (Proof::Absent(proof), None) => {
                    prop_assert_eq!(verify_absence(&tree.root(), key, &proof), Ok(()));
                    let left = map.range(..key.clone()).next_back().map(|(key, _)| key);
                    let right = map.range(key.clone()..).next().map(|(key, _)| key);
                    prop_assert_eq!(proof.left.as_ref().map(|left| &left.key), left);
                    prop_assert_eq!(proof.right.as_ref().map(|right| &right.key), right);
                }
                (proof, value) => prop_assert!(false, "{proof:?} for {value:?}"),
            }
        }
    }
}

#[test]
fn an_unchanged_version_is_the_same_version() {
    let tree = tree(&[(b"a".to_vec(), b"1".to_vec())].into());
    let same = tree.apply(vec![(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), None)]).unwrap();
    assert_eq!(same.root(), tree.root());
    assert_eq!(same.len(), 1);
    assert!(std::ptr::eq(same.get(b"a").unwrap(), tree.get(b"a").unwrap()));
}

#[test]
fn a_refused_batch_changes_nothing() {
    let tree = tree(&[(b"a".to_vec(), b"1".to_vec())].into());
    let batch = vec![(b"a".to_vec(), Some(b"2".to_vec())), (b"b".to_vec(), Some(Vec::new()))];
    assert_eq!(tree.apply(batch).unwrap_err(), BatchError::ValueEmpty { entry: 1, key: b"b".to_vec() });
    assert_eq!(tree.get(b"a"), Some(&b"1"[..]));
}
