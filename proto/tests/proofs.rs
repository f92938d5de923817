//! Proofs of the state tree as ICS-23 bytes, held against the `ics23` crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use db3_proto::ics23::{Ics23Error, PROOF_BYTES_MAX, from_bytes, to_bytes};
use db3_state_tree::{AbsenceProof, PATH_STEPS_MAX, PathStep, Proof, Side, Tree, verify_absence, verify_existence};
use ics23::commitment_proof::Proof as Commitment;
use ics23::{
    CommitmentProof, ExistenceProof, HashOp, HostFunctionsManager, InnerOp, LeafOp, LengthOp, NonExistenceProof,
};
use proptest::prelude::*;
use prost_013::Message as _;

fn tree(keys: impl IntoIterator<Item = Vec<u8>>) -> Tree {
    let mut batch: Vec<_> = keys
        .into_iter()
        .map(|key| {
            let value = [b"value of ".as_slice(), &key].concat();
            (key, Some(value))
        })
        .collect();
    batch.sort();
    batch.dedup();
    Tree::new().apply(batch).unwrap()
}

/// The same proof as objects of the `ics23` crate.
fn reference(proof: &Proof) -> CommitmentProof {
    let existence = |proof: &db3_state_tree::ExistenceProof| ExistenceProof {
        key: proof.key.clone(),
        value: proof.value.clone(),
        leaf: Some(LeafOp {
            hash: HashOp::Sha256.into(),
            prehash_key: HashOp::NoHash.into(),
            prehash_value: HashOp::Sha256.into(),
            length: LengthOp::VarProto.into(),
            prefix: vec![0],
        }),
        path: proof
            .path
            .iter()
            .map(|step| {
                let (prefix, suffix) = match step.side {
                    Side::Left => ([&[1], step.sibling.as_slice()].concat(), Vec::new()),
                    Side::Right => (vec![1], step.sibling.to_vec()),
                };
                InnerOp { hash: HashOp::Sha256.into(), prefix, suffix }
            })
            .collect(),
    };
    let proof = match proof {
        Proof::Exists(proof) => Commitment::Exist(existence(proof)),
        Proof::Absent(absence) => Commitment::Nonexist(NonExistenceProof {
            key: absence.key.clone(),
            left: absence.left.as_ref().map(existence),
            right: absence.right.as_ref().map(existence),
        }),
    };
    CommitmentProof { proof: Some(proof) }
}

fn keys() -> impl Strategy<Value = std::collections::BTreeSet<Vec<u8>>> {
    let key = prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..40),
        proptest::collection::vec(0_u8..2, 1..6),
        proptest::collection::vec(any::<u8>(), 130..300),
    ];
    proptest::collection::btree_set(key, 1..40)
}

proptest! {
    #[test]
    fn the_bytes_are_those_of_the_ics23_crate_and_it_accepts_them(keys in keys(), absent in proptest::collection::vec(any::<u8>(), 1..40)) {
        let tree = tree(keys.clone());
        let root = tree.root().to_vec();
        let spec = ics23::tendermint_spec();
        for key in &keys {
            let proof = tree.prove(key);
            let bytes = to_bytes(&proof);
            prop_assert_eq!(&bytes, &reference(&proof).encode_to_vec());
            prop_assert_eq!(&from_bytes(&bytes).unwrap(), &proof);
            let decoded = CommitmentProof::decode(bytes.as_slice()).unwrap();
            let value = tree.get(key).unwrap();
            prop_assert!(ics23::verify_membership::<HostFunctionsManager>(&decoded, &spec, &root, key, value));
        }
        if !keys.contains(&absent) {
            let proof = tree.prove(&absent);
            let bytes = to_bytes(&proof);
            prop_assert_eq!(&bytes, &reference(&proof).encode_to_vec());
            prop_assert_eq!(&from_bytes(&bytes).unwrap(), &proof);
            let decoded = CommitmentProof::decode(bytes.as_slice()).unwrap();
            prop_assert!(ics23::verify_non_membership::<HostFunctionsManager>(&decoded, &spec, &root, &absent));
        }
    }

    #[test]
    fn any_bytes_are_answered_and_only_the_one_encoding_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(proof) = from_bytes(&bytes) {
            prop_assert_eq!(to_bytes(&proof), bytes);
        }
    }

    #[test]
    fn changed_bytes_are_refused_or_fail_to_verify(
        keys in keys(),
        which: prop::sample::Index,
        place: prop::sample::Index,
        bit in 0_u8..8,
    ) {
        let tree = tree(keys.clone());
        let key = which.get(&keys.into_iter().collect::<Vec<_>>()).clone();
        let mut bytes = to_bytes(&tree.prove(&key));
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(proof) = from_bytes(&bytes) {
            prop_assert_eq!(to_bytes(&proof), bytes);
            let holds = match &proof {
                Proof::Exists(proof) => verify_existence(&tree.root(), &key, tree.get(&key).unwrap(), proof).is_ok(),
                Proof::Absent(proof) => verify_absence(&tree.root(), &key, proof).is_ok(),
            };
            prop_assert!(!holds);
        }
    }
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let tree = tree([b"a".to_vec(), b"b".to_vec(), b"c".to_vec(), b"dd".to_vec()]);
    for key in [b"a".as_slice(), b"bb", b"0", b"z"] {
        let bytes = to_bytes(&tree.prove(key));
        for length in 0..bytes.len() {
            from_bytes(&bytes[..length]).expect_err("a truncated proof");
        }
        for more in [&[0_u8][..], &[0x1a, 0], &bytes] {
            from_bytes(&[&bytes, more].concat()).expect_err("an extended proof");
        }
    }
}

#[test]
fn absence_in_the_empty_tree_survives_the_round_trip() {
    let proof = Tree::new().prove(b"key");
    assert_eq!(proof, Proof::Absent(AbsenceProof { key: b"key".to_vec(), left: None, right: None }));
    assert_eq!(from_bytes(&to_bytes(&proof)).unwrap(), proof);
}

#[test]
fn a_path_longer_than_any_tree_is_refused() {
    let step = PathStep { side: Side::Left, sibling: [7; 32] };
    let with = |steps| {
        to_bytes(&Proof::Exists(db3_state_tree::ExistenceProof {
            key: b"key".to_vec(),
            value: b"value".to_vec(),
            path: vec![step; steps],
        }))
    };
    assert!(from_bytes(&with(PATH_STEPS_MAX)).is_ok());
    assert_eq!(from_bytes(&with(PATH_STEPS_MAX + 1)).unwrap_err(), Ics23Error::PathTooLong);
    assert!(matches!(from_bytes(&vec![0; PROOF_BYTES_MAX + 1]), Err(Ics23Error::TooLong { .. })));
}

#[test]
fn other_specs_and_other_kinds_of_proof_are_refused() {
    let tree = tree([b"a".to_vec(), b"b".to_vec()]);
    let good = reference(&tree.prove(b"a"));
    let edited = |edit: fn(&mut ExistenceProof)| {
        let mut proof = good.clone();
        if let Some(Commitment::Exist(existence)) = &mut proof.proof {
            edit(existence);
        }
        from_bytes(&proof.encode_to_vec()).map(|_| ()).unwrap_err()
    };
    edited(|proof| proof.leaf = None);
    edited(|proof| proof.leaf.as_mut().unwrap().hash = HashOp::Keccak256.into());
    edited(|proof| proof.leaf.as_mut().unwrap().prefix = vec![0, 0]);
    edited(|proof| proof.leaf.as_mut().unwrap().prehash_value = HashOp::NoHash.into());
    edited(|proof| proof.path[0].hash = HashOp::Sha512.into());
    edited(|proof| proof.path[0].prefix = vec![0]);
    edited(|proof| proof.path[0].suffix.push(0));
    let batch = CommitmentProof { proof: Some(Commitment::Batch(ics23::BatchProof::default())) };
    from_bytes(&batch.encode_to_vec()).unwrap_err();
    from_bytes(&[]).unwrap_err();
}
