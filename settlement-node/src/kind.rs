//! The settlement chain, as nodes serve it.

use std::num::NonZeroU64;

use db3_chain::{Change, EventMutationOf, SettlementMachine};
use db3_node::Kind;
use db3_node::grpc::Node;
use db3_primitives::name::ChainRole;
use db3_primitives::{ChainId, CreditEntry, NetworkName, ShardId, ShardLeaf, key};
use db3_proto::convert::{credit_entry_message, settlement_params_message, shard_map_of};
use db3_proto::v1;
use db3_proto::v1::settlement_service_server::SettlementServiceServer;
use db3_settlement_state::SettlementState;
use tonic::service::Routes;

use crate::grpc::SettlementNode;

/// The settlement chain.
#[derive(Clone, Copy, Debug)]
pub struct SettlementKind;

impl Kind for SettlementKind {
    type Machine = SettlementMachine;

    const PROGRAM: &'static str = "settlement-node";
    const ABOUT: &'static str = "Runs the settlement chain of a DB3 network";
    const SERVICE: &'static str = "db3.v1.SettlementService";
    const HAS_RECORDS: bool = false;

    fn routes(node: Node<Self>) -> Routes {
        let bytes_max = node.limits().message_bytes_max;
        Routes::new(
            SettlementServiceServer::new(SettlementNode::new(node))
                .max_decoding_message_size(bytes_max)
                .max_encoding_message_size(bytes_max),
        )
    }

    fn is_role(role: ChainRole) -> bool {
        role == ChainRole::Settlement
    }

    fn network(state: &SettlementState) -> &NetworkName {
        &state.chain().network
    }

    fn shard(_state: &SettlementState) -> Option<ShardId> {
        None
    }

    fn epoch_secs(state: &SettlementState) -> NonZeroU64 {
        state.chain().epoch_secs
    }

    fn params(state: &SettlementState) -> v1::Params {
        settlement_params_message(state.chain())
    }

    fn shard_map(state: &SettlementState, endpoints: impl Fn(&ChainId) -> Vec<String>) -> v1::GetShardMapResponse {
        let network = &state.chain().network;
        shard_map_of(network, &state.chain().shard_map, |shard| endpoints(&ChainId::shard(network, shard)))
    }

    fn changes(_mutation: &EventMutationOf<SettlementMachine>) -> Vec<Change<'_>> {
        Vec::new()
    }

    fn outbox_entry(_state: &SettlementState, index: u64, entry: &[u8]) -> Option<v1::OutboxEntry> {
        Some(credit_entry_message(index, &CreditEntry::from_bytes(entry).ok()?))
    }

    fn fault(state: &SettlementState, source: &ChainId) -> Option<(u32, String)> {
        let Some((_, ChainRole::Shard(shard))) = source.parts() else { return None };
        let leaf = ShardLeaf::from_bytes(state.tree().get(&key::shard(shard))?).ok()?;
        let fault = leaf.fault?;
        let text = format!("entry {} of its log is {}", fault.index, fault.code.text());
        Some((u32::from(fault.code.number()), text))
    }
}
