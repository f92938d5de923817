//! Checks that a range is complete, with hashes alone.
//!
//! Why it holds: the pruned tree must hash to the root, so what it shows is where it is in the real tree. Hashes stand
//! only left of the left edge and right of the right edge, and the edges are outside the range, so every record of the
//! range is shown. Everything comes from outside: sizes are checked first, nothing recurses, nothing can panic.

use crate::hash::{EMPTY_ROOT, Hash, leaf_hash, value_hash};
use crate::proof::ProofError;
use crate::range_codec::{EdgeLeaf, RangeProof};
use crate::range_prove::after;
use crate::range_shape::root_of;
use crate::verify::check_key;

/// A record's value, or the hash of it where the value was not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafValue<'v> {
    /// The value's bytes.
    Bytes(&'v [u8]),
    /// SHA-256 of the value.
    Hash(Hash),
}

/// Checks that the tree under `root` has in `[from, to)` exactly `records`, in this order; without `to`, from `from` on.
///
/// `proof` is what [`RangeProof::to_bytes`] gave. If a limit cut the range, `to` is where the proof says it ends
/// ([`ProvenRange::end`](crate::ProvenRange::end)). A `to` below `from` is taken for `from`.
pub fn verify_range(
    root: &Hash,
    from: &[u8],
    to: Option<&[u8]>,
    records: &[(&[u8], LeafValue<'_>)],
    proof: &[u8],
) -> Result<(), ProofError> {
    let proof = RangeProof::from_bytes(proof)?;
    let to = to.map(|to| to.max(from));
    check_records(from, to, records)?;
    check_edges(from, to, records, &proof)?;

    let count = proof.ends().saturating_add(records.len());
    let computed = match count {
        0 if proof.shape.is_empty() => EMPTY_ROOT,
        0 => return Err(ProofError::Malformed { detail: "a shape without ends" }),
        _ => root_of(&proof.shape, count, ends(records, &proof))?,
    };
    if computed == *root { Ok(()) } else { Err(ProofError::OtherRoot) }
}

/// Keys of lawful length, ascending, inside the range; no value empty.
fn check_records(from: &[u8], to: Option<&[u8]>, records: &[(&[u8], LeafValue<'_>)]) -> Result<(), ProofError> {
    let mut before = None;
    for (record, (key, value)) in records.iter().enumerate() {
        check_key(key)?;
        if *key < from || to.is_some_and(|to| *key >= to) || before.is_some_and(|before| *key <= before) {
            return Err(ProofError::RecordMisplaced { record });
        }
        if *value == LeafValue::Bytes(&[]) {
            return Err(ProofError::ValueEmpty);
        }
        before = Some(*key);
    }
    Ok(())
}

/// On each side: a neighbour beyond the range; or a record at the range's very end, beyond which no key of the range
/// is, and then no neighbour; or nothing at all beyond.
fn check_edges(
    from: &[u8],
    to: Option<&[u8]>,
    records: &[(&[u8], LeafValue<'_>)],
    proof: &RangeProof,
) -> Result<(), ProofError> {
    let begins_with_record = records.first().is_some_and(|(first, _)| *first == from);
    let ends_with_record = records.last().zip(to).is_some_and(|((last, _), to)| to == after(last));
    check_edge(proof.left.as_ref(), &proof.left_hashes, begins_with_record, |key| key < from)?;
    check_edge(proof.right.as_ref(), &proof.right_hashes, ends_with_record, |key| to.is_some_and(|to| key >= to))
}

fn check_edge(
    edge: Option<&EdgeLeaf>,
    beyond: &[Hash],
    at_record: bool,
    is_outside: impl Fn(&[u8]) -> bool,
) -> Result<(), ProofError> {
    match edge {
        Some(_) if at_record => Err(ProofError::Malformed { detail: "a neighbour where none is needed" }),
        Some(edge) if is_outside(&edge.key) => Ok(()),
        Some(_) => Err(ProofError::NeighbourMisplaced),
        None if at_record || beyond.is_empty() => Ok(()),
        None => Err(ProofError::NotComplete),
    }
}

/// The hashes at the ends of the pruned tree, from left to right.
fn ends<'p>(records: &'p [(&[u8], LeafValue<'_>)], proof: &'p RangeProof) -> impl Iterator<Item = Hash> {
    let edge = |edge: &'p Option<EdgeLeaf>| edge.iter().map(|edge| leaf_hash(&edge.key, &edge.value_hash));
    let record = |(key, value): &(&[u8], LeafValue<'_>)| match value {
        LeafValue::Bytes(value) => leaf_hash(key, &value_hash(value)),
        LeafValue::Hash(hash) => leaf_hash(key, hash),
    };
    let left = proof.left_hashes.iter().copied().chain(edge(&proof.left));
    let right = edge(&proof.right).chain(proof.right_hashes.iter().copied());
    left.chain(records.iter().map(record)).chain(right)
}
