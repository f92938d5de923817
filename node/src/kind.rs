//! What the common parts ask of one kind of chain: how to serve it, and what to say of its state.
//!
//! A kind only describes. It must never decide anything that its state machine decides.

use std::num::NonZeroU64;

use db3_chain::{Change, EventMutationOf, Machine};
use db3_primitives::name::ChainRole;
use db3_primitives::{ChainId, NetworkName, ShardId};
use db3_proto::v1;
use tonic::service::Routes;

use crate::grpc::Node;

/// The state of a kind of chain.
pub type State<K> = <<K as Kind>::Machine as Machine>::State;

/// One kind of chain, as nodes serve it.
pub trait Kind: Clone + Copy + Send + Sync + 'static {
    /// Its state machine.
    type Machine: Machine;

    /// Name of the program that runs it.
    const PROGRAM: &'static str;
    /// What that program does, in a line.
    const ABOUT: &'static str;
    /// Full name of its own gRPC service, as health checks name it.
    const SERVICE: &'static str;
    /// Whether it holds records, whose changes can be followed.
    const HAS_RECORDS: bool;

    /// Its own services, beside `ChainService`.
    fn routes(node: Node<Self>) -> Routes;

    /// Whether it is this chain of a network.
    fn is_role(role: ChainRole) -> bool;
    /// The network that it belongs to.
    fn network(state: &State<Self>) -> &NetworkName;
    /// Which shard it is, if it is one.
    fn shard(state: &State<Self>) -> Option<ShardId>;
    /// Length of an epoch in seconds.
    fn epoch_secs(state: &State<Self>) -> NonZeroU64;
    /// Its parameters, decoded, with the leaf that holds them.
    fn params(state: &State<Self>) -> v1::Params;
    /// Which shard serves which slots, and where each chain of the network is served.
    fn shard_map(state: &State<Self>, endpoints: impl Fn(&ChainId) -> Vec<String>) -> v1::GetShardMapResponse;
    /// What a mutation of a block did to records.
    fn changes(mutation: &EventMutationOf<Self::Machine>) -> Vec<Change<'_>>;
    /// An entry of one of its logs, decoded; none if the bytes are no entry.
    fn outbox_entry(state: &State<Self>, index: u64, entry: &[u8]) -> Option<v1::OutboxEntry>;
    /// Why it hears no more from a chain whose headers are good: a number and a sentence.
    fn fault(state: &State<Self>, source: &ChainId) -> Option<(u32, String)>;
}
