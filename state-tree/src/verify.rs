//! Checks proofs about one key against a root, with hashes alone.
//!
//! Proofs come from outside: lengths are checked before anything is hashed, nothing recurses, nothing can panic. The
//! root must come from a source that is trusted to be a tree's root (a verified header).

use crate::bits::{KEY_BYTES_MAX, PATH_STEPS_MAX};
use crate::hash::{EMPTY_ROOT, Hash, inner_hash, leaf_hash, value_hash};
use crate::proof::{AbsenceProof, ExistenceProof, PathStep, ProofError, Side};

/// Checks that the tree under `root` has `value` at `key`.
pub fn verify_existence(root: &Hash, key: &[u8], value: &[u8], proof: &ExistenceProof) -> Result<(), ProofError> {
    if proof.key != key {
        return Err(ProofError::OtherKey);
    }
    if proof.value != value {
        return Err(ProofError::OtherValue);
    }
    leads_to(root, proof)
}

/// Checks that the tree under `root` has nothing at `key`.
pub fn verify_absence(root: &Hash, key: &[u8], proof: &AbsenceProof) -> Result<(), ProofError> {
    if proof.key != key {
        return Err(ProofError::OtherKey);
    }
    let left_misplaced = proof.left.as_ref().is_some_and(|left| left.key.as_slice() >= key);
    let right_misplaced = proof.right.as_ref().is_some_and(|right| right.key.as_slice() <= key);
    if left_misplaced || right_misplaced {
        return Err(ProofError::NeighbourMisplaced);
    }
    for neighbour in proof.left.iter().chain(&proof.right) {
        leads_to(root, neighbour)?;
    }
    let adjacent = match (&proof.left, &proof.right) {
        (None, None) if *root == EMPTY_ROOT => true,
        (None, None) => return Err(ProofError::OtherRoot),
        (Some(left), None) => is_last(&left.path),
        (None, Some(right)) => is_first(&right.path),
        (Some(left), Some(right)) => are_adjacent(&left.path, &right.path),
    };
    if adjacent { Ok(()) } else { Err(ProofError::NotAdjacent) }
}

pub(crate) fn check_key(key: &[u8]) -> Result<(), ProofError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(ProofError::KeyLength { bytes: key.len() });
    }
    Ok(())
}

fn leads_to(root: &Hash, proof: &ExistenceProof) -> Result<(), ProofError> {
    check_key(&proof.key)?;
    if proof.value.is_empty() {
        return Err(ProofError::ValueEmpty);
    }
    if proof.path.len() > PATH_STEPS_MAX {
        return Err(ProofError::PathTooLong { steps: proof.path.len() });
    }
    let leaf = leaf_hash(&proof.key, &value_hash(&proof.value));
    let computed = proof.path.iter().fold(leaf, |below, step| match step.side {
        Side::Left => inner_hash(&step.sibling, &below),
        Side::Right => inner_hash(&below, &step.sibling),
    });
    if computed == *root { Ok(()) } else { Err(ProofError::OtherRoot) }
}

/// Whether the path goes left all the way.
fn is_first(path: &[PathStep]) -> bool {
    path.iter().all(|step| step.side == Side::Right)
}

/// Whether the path goes right all the way.
fn is_last(path: &[PathStep]) -> bool {
    path.iter().all(|step| step.side == Side::Left)
}

/// Whether two leaves stand next to each other: the same way from the root, then left and right, then the one right all
/// the way and the other left all the way.
fn are_adjacent(left: &[PathStep], right: &[PathStep]) -> bool {
    let same = |(a, b): &(&PathStep, &PathStep)| a.side == b.side;
    let shared = left.iter().rev().zip(right.iter().rev()).take_while(same).count();
    match (parting(left, shared), parting(right, shared)) {
        (Some((Side::Right, left)), Some((Side::Left, right))) => is_last(left) && is_first(right),
        _ => false,
    }
}

/// The step below the `shared` uppermost ones, and the path below it.
fn parting(path: &[PathStep], shared: usize) -> Option<(Side, &[PathStep])> {
    let own = path.get(..path.len().checked_sub(shared)?)?;
    own.split_last().map(|(step, below)| (step.side, below))
}
