//! Proofs that something stands in one of the chain's logs: of postings, or of what was taken in from a shard.

use bytes::Bytes;
use db3_chain::store::Store;
use db3_chain::{Log, StoreError};
use db3_merkle_log::{Frontier, Hash};
use db3_node::grpc::View;
use db3_primitives::{ChainId, Rejection, ShardId, key};
use db3_proto::v1;

use crate::kind::SettlementKind;

/// Where a state says what a log's root is.
#[derive(Clone, Debug)]
pub struct Rooted {
    log: Log,
    tree_key: Vec<u8>,
    frontier: Frontier,
    /// Index of the first entry that is kept.
    begins: u64,
}

impl Rooted {
    /// The log of postings, as a view knows it.
    pub fn postings(view: &View<SettlementKind>) -> Self {
        Self { log: Log::Postings, tree_key: key::postings(), frontier: view.state().postings(), begins: 0 }
    }

    /// The log of a shard as far as it was taken in.
    pub fn of_shard(view: &View<SettlementKind>, shard: ShardId) -> Result<Self, Rejection> {
        let source = ChainId::shard(&view.state().chain().network, shard);
        let channel = view.state().channel(&source);
        let channel = channel.ok_or_else(|| Rejection::ChainUnknown { chain_id: source.clone() })?;
        let frontier = channel.inbox().frontier().clone();
        let begins = view.state().passed(shard).begins();
        Ok(Self { tree_key: key::inbox(&source), log: Log::Inbox(source), frontier, begins })
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Index of the first entry that can be proven; what stands before was passed over.
    pub fn begins(&self) -> u64 {
        self.begins
    }

    /// Siblings that lead from an entry to the root; none where the log does not reach it yet.
    pub fn siblings(&self, store: &Store, index: u64) -> Result<Option<Vec<Hash>>, StoreError> {
        let size = self.frontier.size();
        if index < size { store.log_proof(&self.log, index, size).map(Some) } else { Ok(None) }
    }

    /// The proof of an entry, as it travels.
    pub fn message(&self, index: u64, siblings: &[Hash], view: &View<SettlementKind>) -> v1::LogProof {
        v1::LogProof {
            leaf_index: index,
            tree_size: self.frontier.size(),
            root: Bytes::copy_from_slice(&self.frontier.root()),
            hashes: siblings.iter().map(|hash| Bytes::copy_from_slice(hash)).collect(),
            root_ics23_proof: view.proof_of(&self.tree_key),
            context: Some(view.context()),
            close_leaf: Bytes::new(),
        }
    }
}
