//! Inclusion proofs: RFC 6962, section 2.1.1; the check is that of RFC 9162, section 2.1.3.2.
//!
//! A proof is the siblings of the nodes on the way from the leaf to the root, lowest first. Its length follows from index and
//! size, and every other length is refused.

use crate::hash::{Hash, leaf_hash, node_hash};
use crate::limits::{INCLUSION_HASHES_MAX, LOG_SIZE_MAX};
use crate::range::subtree_root;
use crate::source::{NodeSource, ProofError, stored};

/// Why a proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// No such leaf in a tree of that size.
    #[error("a log of {size} entries has no index {index}")]
    OutOfRange {
        /// The index claimed.
        index: u64,
        /// The size claimed.
        size: u64,
    },
    /// The proof has not the one length that index and size ask for.
    #[error("a proof of index {index} in a log of {size} entries does not have {hashes} hashes")]
    WrongLength {
        /// The index claimed.
        index: u64,
        /// The size claimed.
        size: u64,
        /// Hashes given.
        hashes: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to another root")]
    WrongRoot,
}

/// Proof that the leaf at `index` stands in the tree of the first `size` entries.
pub fn inclusion_proof<S: NodeSource>(source: &S, index: u64, size: u64) -> Result<Vec<Hash>, ProofError<S::Error>> {
    if index >= size || size > LOG_SIZE_MAX {
        return Err(ProofError::OutOfRange { index, size });
    }
    let mut proof = Vec::new();
    let (mut node, mut last, mut level) = (index, size.saturating_sub(1), 0_u8);
    while last > 0 {
        let sibling = node ^ 1;
        if sibling < last {
            proof.push(stored(source, level, sibling)?);
        } else if sibling == last {
            // The rightmost subtree of its level; it need not be perfect.
            let start = sibling.checked_shl(u32::from(level)).unwrap_or(u64::MAX);
            proof.push(subtree_root(source, start, size)?);
        }
        (node, last, level) = (node >> 1, last >> 1, level.saturating_add(1));
    }
    Ok(proof)
}

/// Checks that `entry` stands at `index` in the tree of `size` entries with that root.
pub fn verify_inclusion(
    entry: &[u8],
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), InclusionError> {
    verify_inclusion_of_hash(&leaf_hash(entry), index, size, proof, root)
}

/// As [`verify_inclusion`], from the leaf hash.
pub fn verify_inclusion_of_hash(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), InclusionError> {
    if index >= size || size > LOG_SIZE_MAX {
        return Err(InclusionError::OutOfRange { index, size });
    }
    let wrong_length = InclusionError::WrongLength { index, size, hashes: proof.len() };
    if proof.len() > INCLUSION_HASHES_MAX {
        return Err(wrong_length);
    }
    let mut siblings = proof.iter();
    let (mut node, mut last, mut hash) = (index, size.saturating_sub(1), *leaf);
    while last > 0 {
        // The last node of a level that has no right neighbour moves up as it is.
        if node & 1 == 1 || node < last {
            let Some(sibling) = siblings.next() else { return Err(wrong_length) };
            hash = if node & 1 == 1 { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) };
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if siblings.next().is_some() {
        return Err(wrong_length);
    }
    if hash != *root {
        return Err(InclusionError::WrongRoot);
    }
    Ok(())
}
