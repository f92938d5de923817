//! `ShardService`: every method of it, over one shard.
//!
//! Nothing here decides anything about state. A method reads its request, asks the chain, and says what it answered.

mod bills;
mod credit;
mod epochs;
mod names;
mod records;
mod shard_service;
mod stream;
mod writes;

use db3_node::grpc::{Node, Refusal};
use db3_primitives::{ChainId, Namespace, Rejection};
use db3_shard_state::ShardState;

use crate::kind::ShardKind;

/// A shard as its service reaches it. A clone is a handful of pointers.
#[derive(Clone)]
pub struct ShardNode {
    node: Node<ShardKind>,
}

impl ShardNode {
    /// Serves this shard.
    pub fn new(node: Node<ShardKind>) -> Self {
        Self { node }
    }

    /// Refuses to read a namespace of another shard: its absence here would say nothing.
    fn check_shard(&self, state: &ShardState, namespace: &Namespace) -> Result<(), Refusal> {
        let chain = state.chain();
        let slot = namespace.slot();
        let shard = chain.shard_map.shard_of(slot);
        if shard == chain.shard {
            return Ok(());
        }
        let rejection = Rejection::WrongShard {
            namespace: namespace.clone(),
            slot,
            chain_id: ChainId::shard(&chain.network, shard),
            map_version: chain.shard_map.version(),
        };
        let message = self.node.explain(&rejection, None);
        Err(Refusal::Explained(rejection, Box::new(message)))
    }
}
