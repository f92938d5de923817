//! `SettlementService`: every method of it, over the settlement chain.
//!
//! Nothing here decides anything about money. A method reads its request, asks the chain, and says what it answered.

mod accounts;
mod closes;
mod history;
mod proof;
mod settlement_service;
mod settlements;
mod shards;
mod statements;
mod transactions;

use db3_node::grpc::Node;

use crate::kind::SettlementKind;

/// The settlement chain as its service reaches it. A clone is a handful of pointers.
#[derive(Clone)]
pub struct SettlementNode {
    node: Node<SettlementKind>,
}

impl SettlementNode {
    /// Serves this chain.
    pub fn new(node: Node<SettlementKind>) -> Self {
        Self { node }
    }
}
