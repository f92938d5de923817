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
