//! Proofs that something stands in one of the chain's logs: of postings, or of what was taken in from a shard.

use bytes::Bytes;
use db3_chain::LogProof;
use db3_node::grpc::View;
use db3_proto::v1;

use crate::kind::SettlementKind;

/// A place in a log, under the log's frontier in the state of a view.
pub fn message(proof: &LogProof, view: &View<SettlementKind>) -> v1::LogProof {
    v1::LogProof {
        leaf_index: proof.leaf_index,
        tree_size: proof.tree_size,
        root: Bytes::copy_from_slice(&proof.root),
        hashes: proof.hashes.iter().map(|hash| Bytes::copy_from_slice(hash)).collect(),
        root_ics23_proof: view.proof_of(&proof.tree_key),
        context: Some(view.context()),
        close_leaf: Bytes::new(),
    }
}
