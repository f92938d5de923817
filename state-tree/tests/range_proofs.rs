//! Complete-range proofs: what holds, what is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

mod naive;

use db3_state_tree::{LeafValue, ProofError, RangeProof, Tree, value_hash, verify_range};
use naive::{Map, key, map, range, tree};
use proptest::collection::vec;
use proptest::prelude::*;

type Owned = Vec<(Vec<u8>, Vec<u8>)>;

fn verify(tree: &Tree, from: &[u8], to: Option<&[u8]>, records: &Owned, proof: &[u8]) -> Result<(), ProofError> {
    let values: Vec<_> = records.iter().map(|(key, value)| (key.as_slice(), LeafValue::Bytes(value))).collect();
    let hashes: Vec<_> =
        records.iter().map(|(key, value)| (key.as_slice(), LeafValue::Hash(value_hash(value)))).collect();
    let result = verify_range(&tree.root(), from, to, &values, proof);
    if records.iter().all(|(_, value)| !value.is_empty()) {
        assert_eq!(verify_range(&tree.root(), from, to, &hashes, proof), result, "keys only");
    }
    result
}

fn bound() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![]), key(), key().prop_map(|key| [key, vec![0]].concat())]
}

/// A tree, and bounds that often are among its keys.
fn bounded() -> impl Strategy<Value = (Map, Vec<u8>, Option<Vec<u8>>)> {
    map(40).prop_flat_map(|map| {
        let keys: Vec<_> = map.keys().cloned().chain([vec![7]]).collect();
        let among = prop::sample::select(keys);
        let from = prop_oneof![bound(), among.clone()];
        let to = prop_oneof![bound(), among.clone(), among.prop_map(|key| [key, vec![0]].concat())];
        (Just(map), from, prop::option::of(to))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_range_is_proved_complete((map, from, to) in bounded()) {
        let tree = tree(&map);
        let records = range(&map, &from, to.as_deref());
        let proven = tree.prove_range(&from, to.as_deref(), usize::MAX);
        prop_assert_eq!(proven.records, records.len());
        prop_assert_eq!(proven.end.as_ref(), to.as_ref().map(|to| to.max(&from)));
        let bytes = proven.proof.to_bytes();
        prop_assert_eq!(verify(&tree, &from, to.as_deref(), &records, &bytes), Ok(()));
        prop_assert_eq!(RangeProof::from_bytes(&bytes), Ok(proven.proof));
    }

    #[test]
    fn pages_cut_by_a_limit_prove_the_whole((map, from, to) in bounded(), limit in 0_usize..6) {
        let tree = tree(&map);
        let (mut start, mut pages) = (from.clone(), Vec::new());
        loop {
            let proven = tree.prove_range(&start, to.as_deref(), limit);
            let page: Owned = tree
                .range(&start, to.as_deref())
                .take(proven.records)
                .map(|(key, value)| (key.to_vec(), value.to_vec()))
                .collect();
            prop_assert!(page.len() <= limit.max(1));
            prop_assert_eq!(verify(&tree, &start, proven.end.as_deref(), &page, &proven.proof.to_bytes()), Ok(()));
            pages.extend(page);
            let whole = to.as_ref().map(|to| to.max(&start).clone());
            if proven.end == whole {
                break;
            }
            start = proven.end.unwrap();
        }
        prop_assert_eq!(pages, range(&map, &from, to.as_deref()));
    }

    #[test]
    fn a_missing_added_or_changed_record_is_refused((map, from, to) in bounded(), pick in any::<prop::sample::Index>(), other in key()) {
        let tree = tree(&map);
        let records = range(&map, &from, to.as_deref());
        let bytes = tree.prove_range(&from, to.as_deref(), usize::MAX).proof.to_bytes();
        let mut added = records.clone();
        added.push((other, b"v".to_vec()));
        added.sort();
        prop_assert!(verify(&tree, &from, to.as_deref(), &added, &bytes).is_err());
        if !records.is_empty() {
            let at = pick.index(records.len());
            let mut missing = records.clone();
            missing.remove(at);
            prop_assert!(verify(&tree, &from, to.as_deref(), &missing, &bytes).is_err());
            let mut changed = records.clone();
            changed[at].1.push(0);
            prop_assert!(verify(&tree, &from, to.as_deref(), &changed, &bytes).is_err());
            let mut emptied = records;
            emptied[at].1.clear();
            prop_assert!(verify(&tree, &from, to.as_deref(), &emptied, &bytes).is_err());
        }
    }

    #[test]
    fn a_proof_for_other_bounds_passes_only_where_it_is_true((map, from, to) in bounded(), other_from in bound(), other_to in prop::option::of(bound())) {
        let tree = tree(&map);
        let records = range(&map, &from, to.as_deref());
        let bytes = tree.prove_range(&from, to.as_deref(), usize::MAX).proof.to_bytes();
        for (from, to) in [(&from, &other_to), (&other_from, &to), (&other_from, &other_to)] {
            if verify(&tree, from, to.as_deref(), &records, &bytes).is_ok() {
                prop_assert_eq!(&range(&map, from, to.as_deref()), &records);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_without_harm(bytes in vec(any::<u8>(), 0..300), map in map(6)) {
        let tree = tree(&map);
        let records = range(&map, b"", None);
        prop_assert!(verify(&tree, b"", None, &records, &bytes).is_err());
        let from_header: Vec<u8> = [&[1, 3, 0, 1, 0, 1][..], &bytes].concat();
        prop_assert!(verify(&tree, b"", None, &records, &from_header).is_err());
    }

    #[test]
    fn a_proof_cut_short_or_prolonged_is_refused((map, from, to) in bounded(), more in vec(any::<u8>(), 1..40)) {
        let tree = tree(&map);
        let records = range(&map, &from, to.as_deref());
        let bytes = tree.prove_range(&from, to.as_deref(), usize::MAX).proof.to_bytes();
        for len in 0..bytes.len() {
            prop_assert!(verify(&tree, &from, to.as_deref(), &records, &bytes[..len]).is_err());
        }
        prop_assert!(verify(&tree, &from, to.as_deref(), &records, &[bytes, more].concat()).is_err());
    }
}

#[test]
fn the_empty_tree_has_nothing_in_any_range() {
    let tree = Tree::new();
    let proven = tree.prove_range(b"a", Some(b"b"), 10);
    assert_eq!((proven.records, proven.end.as_deref()), (0, Some(&b"b"[..])));
    let bytes = proven.proof.to_bytes();
    assert_eq!(bytes, [1, 0, 0, 0, 0, 0]);
    assert_eq!(verify(&tree, b"a", Some(b"b"), &vec![], &bytes), Ok(()));
    assert_eq!(verify(&tree, b"", None, &vec![], &bytes), Ok(()));
    let full = naive::tree(&[(b"a".to_vec(), b"1".to_vec())].into());
    assert_eq!(verify(&full, b"a", Some(b"b"), &vec![], &bytes), Err(ProofError::OtherRoot));
}

#[test]
fn hiding_a_record_behind_a_hash_is_refused_as_incomplete() {
    let map: Map = [b"a", b"b", b"c", b"d"].map(|key| (key.to_vec(), b"1".to_vec())).into();
    let tree = tree(&map);
    // A true proof for [c, ∞) begins with the record c itself; it says nothing about [b, ∞).
    let from_c = tree.prove_range(b"c", None, 10).proof.to_bytes();
    let records = range(&map, b"c", None);
    assert_eq!(verify(&tree, b"c", None, &records, &from_c), Ok(()));
    assert_eq!(verify(&tree, b"b", None, &records, &from_c), Err(ProofError::NotComplete));
    // One that was cut by a limit does not pass for the range that was asked for.
    let cut = tree.prove_range(b"a", Some(b"x"), 2);
    assert_eq!(cut.end, Some(b"b\0".to_vec()));
    let records = range(&map, b"a", Some(b"c"));
    assert_eq!(verify(&tree, b"a", Some(b"b\0"), &records, &cut.proof.to_bytes()), Ok(()));
    assert_eq!(verify(&tree, b"a", Some(b"x"), &records, &cut.proof.to_bytes()), Err(ProofError::NotComplete));
}

#[test]
fn an_unknown_format_is_said_to_be_unknown_rather_than_false() {
    let tree = Tree::new();
    let error = verify(&tree, b"", None, &vec![], &[2, 0, 0]).unwrap_err();
    assert_eq!(error, ProofError::FormatUnknown { format: 2 });
}

#[test]
fn a_shape_deeper_than_any_tree_is_refused() {
    // 60 000 inner nodes in a row, then as many ends.
    let records: Owned = (0..60_001_u32).map(|n| (n.to_be_bytes().to_vec(), b"v".to_vec())).collect();
    let mut bytes = vec![1, 0, 0, 0, 0, 0];
    bytes.extend(vec![0xff; 7_500]);
    bytes.extend(vec![0; 7_501]);
    let error = verify(&Tree::new(), b"", None, &records, &bytes).unwrap_err();
    assert!(matches!(error, ProofError::PathTooLong { .. }), "{error}");
}
