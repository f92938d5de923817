//! A shard, as nodes serve it.

use std::num::NonZeroU64;

use db3_chain::{Change, EventMutation, ShardMachine};
use db3_node::Kind;
use db3_node::grpc::Node;
use db3_primitives::name::ChainRole;
use db3_primitives::{ChainId, LogEntry, NetworkName, ShardId};
use db3_proto::convert::{outbox_entry_message, params_message, shard_map_message};
use db3_proto::v1;
use db3_proto::v1::shard_service_server::ShardServiceServer;
use db3_shard_state::ShardState;
use tonic::service::Routes;

use crate::grpc::ShardNode;

/// A shard.
#[derive(Clone, Copy, Debug)]
pub struct ShardKind;

impl Kind for ShardKind {
    type Machine = ShardMachine;

    const PROGRAM: &'static str = "shard-node";
    const ABOUT: &'static str = "Runs a shard chain of a DB3 network";
    const SERVICE: &'static str = "db3.v1.ShardService";
    const HAS_RECORDS: bool = true;

    fn routes(node: Node<Self>) -> Routes {
        let bytes_max = node.limits().message_bytes_max;
        Routes::new(
            ShardServiceServer::new(ShardNode::new(node))
                .max_decoding_message_size(bytes_max)
                .max_encoding_message_size(bytes_max),
        )
    }

    fn is_role(role: ChainRole) -> bool {
        matches!(role, ChainRole::Shard(_))
    }

    fn network(state: &ShardState) -> &NetworkName {
        &state.chain().network
    }

    fn shard(state: &ShardState) -> Option<ShardId> {
        Some(state.chain().shard)
    }

    fn epoch_secs(state: &ShardState) -> NonZeroU64 {
        state.chain().epoch_secs
    }

    fn params(state: &ShardState) -> v1::Params {
        params_message(state.chain())
    }

    fn shard_map(state: &ShardState, endpoints: impl Fn(&ChainId) -> Vec<String>) -> v1::GetShardMapResponse {
        let network = &state.chain().network;
        shard_map_message(state.chain(), |shard| endpoints(&ChainId::shard(network, shard)))
    }

    fn changes(mutation: &EventMutation) -> Vec<Change<'_>> {
        mutation.changes().collect()
    }

    fn outbox_entry(state: &ShardState, index: u64, entry: &[u8]) -> Option<v1::OutboxEntry> {
        let entry = LogEntry::from_bytes(entry).ok()?;
        Some(outbox_entry_message(index, &entry, state.chain().shard, state.chain().epoch_secs))
    }

    fn fault(_state: &ShardState, _source: &ChainId) -> Option<(u32, String)> {
        None
    }
}
