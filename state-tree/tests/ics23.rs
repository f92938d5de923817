//! Our proofs in the eyes of the `ics23` crate, an independent verifier.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod naive;

use std::panic::catch_unwind;

use db3_state_tree::{ExistenceProof, Hash, Proof, Side};
use ics23::commitment_proof::Proof as Kind;
use ics23::{CommitmentProof, HostFunctionsManager, InnerOp, NonExistenceProof, tendermint_spec};
use naive::{Map, key, map, tree};
use proptest::collection::vec;
use proptest::prelude::*;

fn existence(proof: &ExistenceProof) -> ics23::ExistenceProof {
    let spec = tendermint_spec().leaf_spec.unwrap();
    let step = |side: Side, sibling: Hash| InnerOp {
        hash: ics23::HashOp::Sha256.into(),
        prefix: match side {
            Side::Left => [&[1][..], &sibling].concat(),
            Side::Right => vec![1],
        },
        suffix: match side {
            Side::Left => vec![],
            Side::Right => sibling.to_vec(),
        },
    };
    ics23::ExistenceProof {
        key: proof.key.clone(),
        value: proof.value.clone(),
        leaf: Some(spec),
        path: proof.path.iter().map(|path| step(path.side, path.sibling)).collect(),
    }
}

fn convert(proof: &Proof) -> CommitmentProof {
    let kind = match proof {
        Proof::Exists(proof) => Kind::Exist(existence(proof)),
        Proof::Absent(proof) => Kind::Nonexist(NonExistenceProof {
            key: proof.key.clone(),
            left: proof.left.as_ref().map(existence),
            right: proof.right.as_ref().map(existence),
        }),
    };
    CommitmentProof { proof: Some(kind) }
}

fn is_member(proof: &CommitmentProof, root: &Hash, key: &[u8], value: &[u8]) -> bool {
    ics23::verify_membership::<HostFunctionsManager>(proof, &tendermint_spec(), &root.to_vec(), key, value)
}

/// The crate panics on some proofs that do not hold; that counts as refused.
fn is_absent(proof: &CommitmentProof, root: &Hash, key: &[u8]) -> bool {
    catch_unwind(|| {
        ics23::verify_non_membership::<HostFunctionsManager>(proof, &tendermint_spec(), &root.to_vec(), key)
    })
    .unwrap_or(false)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn ics23_accepts_what_is_there_and_what_is_not(map in map(30), keys in vec(key(), 10)) {
        let tree = tree(&map);
        let root = tree.root();
        for key in keys.iter().chain(map.keys()).filter(|_| !map.is_empty()) {
            let proof = convert(&tree.prove(key));
            if let Some(value) = map.get(key) {
                prop_assert!(is_member(&proof, &root, key, value));
                prop_assert!(!is_member(&proof, &root, key, &[&value[..], &[0]].concat()));
                prop_assert!(!is_absent(&proof, &root, key));
            } else {
                prop_assert!(is_absent(&proof, &root, key));
                prop_assert!(!is_member(&proof, &root, key, b"v"));
            }
        }
    }
}

fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        altered
    })
}

fn altered(proof: &ExistenceProof) -> Vec<ExistenceProof> {
    let mut all: Vec<_> = flipped(&proof.key).map(|key| ExistenceProof { key, ..proof.clone() }).collect();
    all.extend(flipped(&proof.value).map(|value| ExistenceProof { value, ..proof.clone() }));
    for step in 0..proof.path.len() {
        for sibling in flipped(&proof.path[step].sibling) {
            let mut other = proof.clone();
            other.path[step].sibling = sibling.try_into().unwrap();
            all.push(other);
        }
    }
    all
}

#[test]
fn ics23_refuses_every_altered_bit() {
    let map: Map = ["a", "ab", "abc", "b", "c"]
        .map(|key| (key.as_bytes().to_vec(), format!("value of {key}").into_bytes()))
        .into();
    let tree = tree(&map);
    let root = tree.root();
    for (key, value) in &map {
        let Proof::Exists(proof) = tree.prove(key) else { panic!("{key:?}") };
        for other in altered(&proof) {
            let proof = convert(&Proof::Exists(other.clone()));
            assert!(!is_member(&proof, &root, key, value));
            assert!(!is_member(&proof, &root, &other.key, &other.value));
        }
    }
    let Proof::Absent(proof) = tree.prove(b"abb") else { panic!("abb is absent") };
    for left in altered(proof.left.as_ref().unwrap()) {
        let mut other = proof.clone();
        other.left = Some(left);
        assert!(!is_absent(&convert(&Proof::Absent(other)), &root, b"abb"));
    }
    for right in altered(proof.right.as_ref().unwrap()) {
        let mut other = proof.clone();
        other.right = Some(right);
        assert!(!is_absent(&convert(&Proof::Absent(other)), &root, b"abb"));
    }
}
