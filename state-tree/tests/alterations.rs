//! Every single-bit change of a proof, a key or a value is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod naive;

use db3_state_tree::{
    AbsenceProof, ExistenceProof, LeafValue, PATH_STEPS_MAX, PathStep, Proof, ProofError, Side, Tree, value_hash,
    verify_absence, verify_existence, verify_range,
};
use naive::{Map, tree};

fn sample() -> (Tree, Map) {
    let keys = ["a", "ab", "abc", "abd", "b", "rec/one", "rec/three", "rec/two", "z", "\u{7f}"];
    let mut map: Map =
        keys.iter().map(|key| (key.as_bytes().to_vec(), format!("value of {key}").into_bytes())).collect();
    map.insert(vec![0xff; 130], vec![1]);
    map.insert(vec![0], vec![0]);
    (tree(&map), map)
}

fn flip(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut altered = bytes.to_vec();
    altered[bit / 8] ^= 1 << (bit % 8);
    altered
}

/// Every altered form of an existence proof, single bits first.
fn altered(proof: &ExistenceProof) -> Vec<ExistenceProof> {
    let mut all = Vec::new();
    all.extend((0..proof.key.len() * 8).map(|bit| ExistenceProof { key: flip(&proof.key, bit), ..proof.clone() }));
    all.extend(
        (0..proof.value.len() * 8).map(|bit| ExistenceProof { value: flip(&proof.value, bit), ..proof.clone() }),
    );
    for step in 0..proof.path.len() {
        for bit in 0..256 {
            let mut other = proof.clone();
            other.path[step].sibling = flip(&proof.path[step].sibling, bit).try_into().unwrap();
            all.push(other);
        }
        let mut other = proof.clone();
        other.path[step].side = match proof.path[step].side {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        };
        all.push(other);
        let mut other = proof.clone();
        other.path.remove(step);
        all.push(other);
        let mut other = proof.clone();
        other.path.insert(step, proof.path[step]);
        all.push(other);
    }
    all
}

#[test]
fn every_altered_bit_of_an_existence_proof_is_refused() {
    let (tree, map) = sample();
    for (key, value) in &map {
        let Proof::Exists(proof) = tree.prove(key) else { panic!("{key:?}") };
        assert_eq!(verify_existence(&tree.root(), key, value, &proof), Ok(()));
        for other in altered(&proof) {
            // Both as an answer to the true question and to the one that the altered proof is about.
            assert!(verify_existence(&tree.root(), key, value, &other).is_err());
            assert!(verify_existence(&tree.root(), &other.key, &other.value, &other).is_err());
        }
        for bit in 0..256 {
            let root = flip(&tree.root(), bit).try_into().unwrap();
            assert_eq!(verify_existence(&root, key, value, &proof), Err(ProofError::OtherRoot));
        }
        for bit in 0..key.len() * 8 {
            assert_eq!(verify_existence(&tree.root(), &flip(key, bit), value, &proof), Err(ProofError::OtherKey));
        }
        for bit in 0..value.len() * 8 {
            assert_eq!(verify_existence(&tree.root(), key, &flip(value, bit), &proof), Err(ProofError::OtherValue));
        }
    }
}

#[test]
fn every_altered_bit_of_an_absence_proof_is_refused() {
    let (tree, _) = sample();
    for key in [&b"\0\0"[..], b"aa", b"abcd", b"rec/", b"rec/tw", b"c", b"\xff", &[0xff; 131], b""] {
        let Proof::Absent(proof) = tree.prove(key) else { panic!("{key:?}") };
        assert_eq!(verify_absence(&tree.root(), key, &proof), Ok(()), "{key:?}");
        for other in proof.left.iter().flat_map(altered) {
            let other = AbsenceProof { left: Some(other), ..proof.clone() };
            assert!(verify_absence(&tree.root(), key, &other).is_err());
        }
        for other in proof.right.iter().flat_map(altered) {
            let other = AbsenceProof { right: Some(other), ..proof.clone() };
            assert!(verify_absence(&tree.root(), key, &other).is_err());
        }
        for (left, right) in [
            (None, proof.right.clone()),
            (proof.left.clone(), None),
            (proof.right.clone(), proof.left.clone()),
            (None, None),
        ] {
            if (&left, &right) != (&proof.left, &proof.right) {
                let other = AbsenceProof { key: key.to_vec(), left, right };
                assert!(verify_absence(&tree.root(), key, &other).is_err());
            }
        }
        for bit in 0..key.len() * 8 {
            assert_eq!(verify_absence(&tree.root(), &flip(key, bit), &proof), Err(ProofError::OtherKey));
        }
    }
}

#[test]
fn neighbours_with_a_record_between_them_prove_nothing() {
    let (tree, map) = sample();
    let keys: Vec<_> = map.keys().collect();
    let existence = |key: &Vec<u8>| match tree.prove(key) {
        Proof::Exists(proof) => proof,
        Proof::Absent(_) => panic!("{key:?}"),
    };
    for left in 0..keys.len() {
        for right in left + 2..keys.len() {
            let hidden = keys[left + 1].clone();
            let forged = AbsenceProof {
                key: hidden.clone(),
                left: Some(existence(keys[left])),
                right: Some(existence(keys[right])),
            };
            assert_eq!(verify_absence(&tree.root(), &hidden, &forged), Err(ProofError::NotAdjacent));
        }
        if left > 0 {
            let key = keys[left - 1].clone();
            let forged = AbsenceProof { key: key.clone(), left: None, right: Some(existence(keys[left])) };
            assert_eq!(verify_absence(&tree.root(), &key, &forged), Err(ProofError::NotAdjacent));
            let key = keys[left].clone();
            let forged = AbsenceProof { key: key.clone(), left: Some(existence(keys[left - 1])), right: None };
            assert_eq!(verify_absence(&tree.root(), &key, &forged), Err(ProofError::NotAdjacent));
        }
    }
    let key = keys[3].clone();
    let forged = AbsenceProof { key: key.clone(), left: Some(existence(&key)), right: Some(existence(&key)) };
    assert_eq!(verify_absence(&tree.root(), &key, &forged), Err(ProofError::NeighbourMisplaced));
}

#[test]
fn proofs_beyond_every_bound_are_refused_before_they_are_hashed() {
    let step = PathStep { side: Side::Left, sibling: [0; 32] };
    let proof = |key: &[u8], value: &[u8], steps| ExistenceProof {
        key: key.to_vec(),
        value: value.to_vec(),
        path: vec![step; steps],
    };
    let refused = |proof: ExistenceProof| verify_existence(&[0; 32], &proof.key, &proof.value, &proof).unwrap_err();
    assert_eq!(refused(proof(b"", b"v", 1)), ProofError::KeyLength { bytes: 0 });
    assert_eq!(refused(proof(&[1; 513], b"v", 1)), ProofError::KeyLength { bytes: 513 });
    assert_eq!(refused(proof(b"k", b"", 1)), ProofError::ValueEmpty);
    let steps = PATH_STEPS_MAX + 1;
    assert_eq!(refused(proof(b"k", b"v", steps)), ProofError::PathTooLong { steps });
    assert_eq!(refused(proof(b"k", b"v", PATH_STEPS_MAX)), ProofError::OtherRoot);
}

/// From, to, limit.
type Bounds = (&'static [u8], Option<&'static [u8]>, usize);

#[test]
fn every_altered_bit_of_a_range_proof_or_its_records_is_refused() {
    let (tree, map) = sample();
    let ranges: [Bounds; 9] = [
        (b"", None, 100),
        (b"", Some(b"b"), 100),
        (b"ab", Some(b"rec/three"), 100),
        (b"aa", Some(b"c"), 2),
        (b"rec/", Some(b"rec0"), 100),
        (b"rec/", Some(b"rec0"), 1),
        (b"c", Some(b"d"), 100),
        (b"\xff\xff", None, 100),
        (b"abc", Some(b"abc\0"), 100),
    ];
    for (from, to, limit) in ranges {
        let proven = tree.prove_range(from, to, limit);
        let end = proven.end.as_deref();
        let records = naive::range(&map, from, end);
        let bytes = proven.proof.to_bytes();
        let verify = |records: &[(Vec<u8>, Vec<u8>)], bytes: &[u8]| {
            let values: Vec<_> = records.iter().map(|(key, value)| (key.as_slice(), LeafValue::Bytes(value))).collect();
            verify_range(&tree.root(), from, end, &values, bytes)
        };
        assert_eq!(verify(&records, &bytes), Ok(()));
        for bit in 0..bytes.len() * 8 {
            assert!(verify(&records, &flip(&bytes, bit)).is_err(), "bit {bit} of {from:?}..{to:?}");
        }
        for at in 0..records.len() {
            let (key, value) = &records[at];
            for bit in 0..key.len() * 8 {
                let mut other = records.clone();
                other[at].0 = flip(key, bit);
                assert!(verify(&other, &bytes).is_err());
            }
            for bit in 0..value.len() * 8 {
                let mut other = records.clone();
                other[at].1 = flip(value, bit);
                assert!(verify(&other, &bytes).is_err());
            }
            for bit in 0..256 {
                let hash = flip(&value_hash(value), bit).try_into().unwrap();
                let hashes: Vec<_> = records
                    .iter()
                    .enumerate()
                    .map(|(place, (key, value))| {
                        let hash = if place == at { hash } else { value_hash(value) };
                        (key.as_slice(), LeafValue::Hash(hash))
                    })
                    .collect();
                assert!(verify_range(&tree.root(), from, end, &hashes, &bytes).is_err());
            }
        }
    }
}
