//! What proves that something stands in a log: an inclusion proof (RFC 6962) under a root, and a leaf of the state that
//! holds the log's frontier.

use db3_merkle_log::{Frontier, verify_inclusion};
use db3_primitives::Hash32;
use db3_proto::v1;

use crate::chain::StatePoint;
use crate::prove::{self, Flaw};

/// Where in a log something stands, proven.
#[derive(Clone, Debug)]
pub struct LogPlace {
    /// Position, from 0.
    pub index: u64,
    /// Number of entries of the proven log.
    pub size: u64,
    /// Root of the log.
    pub root: Hash32,
    /// The state that holds the log's frontier.
    pub at: StatePoint,
}

/// Checks that `leaf` stands in the log whose root the proof names.
pub(crate) fn included(leaf: &[u8], proof: &v1::LogProof) -> Result<Hash32, Flaw> {
    let root = Hash32::try_from(proof.root.as_ref()).map_err(|_| "the log's root does not have 32 bytes".to_owned())?;
    let hashes = proof.hashes.iter().map(|hash| Hash32::try_from(hash.as_ref())).collect::<Result<Vec<_>, _>>();
    let hashes = hashes.map_err(|_| "a hash of the log proof does not have 32 bytes".to_owned())?;
    verify_inclusion(leaf, proof.leaf_index, proof.tree_size, &hashes, &root)
        .map_err(|error| format!("it is not in the log: {error}"))?;
    Ok(root)
}

/// Checks that `leaf` stands in the log whose frontier is the state's leaf at `tree_key`.
pub(crate) fn under_frontier(
    leaf: &[u8],
    proof: &v1::LogProof,
    tree_key: &[u8],
    at: StatePoint,
) -> Result<LogPlace, Flaw> {
    let root = included(leaf, proof)?;
    if at.verified {
        let (known, value) = prove::existing(&at.root, &proof.root_ics23_proof)?;
        if known != tree_key {
            return Err("the state's leaf is not that of the log".to_owned());
        }
        let frontier = Frontier::from_bytes(&value).map_err(|error| error.to_string())?;
        if frontier.root() != root || frontier.size() != proof.tree_size {
            return Err("the state commits to another log".to_owned());
        }
    }
    Ok(LogPlace { index: proof.leaf_index, size: proof.tree_size, root, at })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use bytes::Bytes;
    use db3_merkle_log::{leaf_hash, node_hash};
    use db3_primitives::BlockTime;
    use db3_proto::ics23;
    use db3_state_tree::Tree;

    use super::*;

    const LOG_KEY: &[u8] = b"postings";

    /// A log of two entries, the state that holds its frontier and another's, and the proof of the first entry.
    fn proven() -> (v1::LogProof, StatePoint) {
        let mut log = Frontier::new();
        log.append(b"first");
        log.append(b"second");
        let leaf = |key: &[u8]| (key.to_vec(), Some(log.to_bytes()));
        let tree = Tree::new().apply(vec![leaf(b"inbox/other"), leaf(LOG_KEY)]).unwrap();
        let proof = v1::LogProof {
            leaf_index: 0,
            tree_size: 2,
            root: Bytes::copy_from_slice(&log.root()),
            hashes: vec![Bytes::copy_from_slice(&leaf_hash(b"second"))],
            root_ics23_proof: ics23::to_bytes(&tree.prove(LOG_KEY)).into(),
            ..v1::LogProof::default()
        };
        let at = StatePoint {
            chain_id: "devnet-settlement".to_owned(),
            height: 5,
            root: tree.root(),
            time: BlockTime::default(),
            verified: true,
        };
        (proof, at)
    }

    #[test]
    fn an_entry_is_proven_under_the_frontier_that_the_state_holds() {
        let (proof, at) = proven();
        assert_eq!(proof.root.as_ref(), node_hash(&leaf_hash(b"first"), &leaf_hash(b"second")));
        let place = under_frontier(b"first", &proof, LOG_KEY, at).unwrap();
        assert_eq!((place.index, place.size), (0, 2));
    }

    #[test]
    fn any_other_entry_place_log_or_state_is_refused() {
        let (good, at) = proven();
        let refused = |proof: &v1::LogProof, key: &[u8], at: &StatePoint| {
            assert!(under_frontier(b"first", proof, key, at.clone()).is_err(), "{proof:?}");
        };
        assert!(under_frontier(b"forged", &good, LOG_KEY, at.clone()).is_err());
        refused(&v1::LogProof { leaf_index: 1, ..good.clone() }, LOG_KEY, &at);
        refused(&v1::LogProof { tree_size: 3, ..good.clone() }, LOG_KEY, &at);
        refused(&v1::LogProof { hashes: Vec::new(), ..good.clone() }, LOG_KEY, &at);
        refused(&v1::LogProof { root: Bytes::from_static(&[7; 32]), ..good.clone() }, LOG_KEY, &at);
        refused(&good, b"inbox/other", &at);
        refused(&good, LOG_KEY, &StatePoint { root: [9; 32], ..at.clone() });
        for position in 0..good.root_ics23_proof.len() {
            let mut bytes = good.root_ics23_proof.to_vec();
            bytes[position] ^= 1;
            refused(&v1::LogProof { root_ics23_proof: bytes.into(), ..good.clone() }, LOG_KEY, &at);
        }
    }
}
