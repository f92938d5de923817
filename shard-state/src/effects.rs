//! What a block did, as data: nothing here is performed by this crate.

use db3_carry::{Delivered, OutboundEntry};
use db3_governance::Report;
use db3_merkle_log::CompletedNode;
use db3_primitives::{
    Address, Bill, ChainId, Epoch, EpochClose, Mutation, MutationId, Namespace, Nonce, ReceiptOutcome, RecordKey,
    RefusedItem, TableName, Tai,
};

/// One mutation of a block as it came.
pub type BlockItem = db3_primitives::BlockItem<Mutation>;

/// What became of one mutation.
pub type Outcome = db3_primitives::Outcome<Receipt>;

/// What a block holds about one mutation.
///
/// A refused receipt is about that copy of the mutation only: a replay has the identifier of the mutation that was
/// applied, so a refused receipt never replaces an applied or failed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Identifier of the mutation.
    pub id: MutationId,
    /// Its position in the block, where what was refused counts.
    pub index: u32,
    /// Who pays.
    pub account: Address,
    /// Who signed.
    pub signer: Address,
    /// Where it wrote.
    pub namespace: Namespace,
    /// Its nonce.
    pub nonce: Nonce,
    /// What became of it.
    pub outcome: ReceiptOutcome,
    /// What was charged.
    pub fee: Tai,
    /// Number of its bill in the account's sequence; none where it was refused.
    pub bill_seq: Option<u64>,
    /// For every operation the version that it wrote; 0 for deletes, tables and namespaces. Empty unless applied.
    pub versions: Vec<u64>,
}

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Written, with this version.
    Written {
        /// The version it has now.
        version: u64,
    },
    /// Deleted.
    Deleted,
}

/// One operation's effect on a record, in the order of execution, for those who watch a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// Position of the mutation in the block.
    pub index: u32,
    /// Namespace of the record.
    pub namespace: Namespace,
    /// Table of the record.
    pub table: TableName,
    /// Key of the record.
    pub key: RecordKey,
    /// What happened.
    pub kind: ChangeKind,
}

/// Everything that a block did beside the new version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    /// One for every mutation that has a body and a good signature, by index.
    pub receipts: Vec<Receipt>,
    /// The other items of the block.
    pub refused: Vec<RefusedItem>,
    /// One for every applied or failed mutation, by index (rule I1).
    pub bills: Vec<Bill>,
    /// Subtrees of the open epoch's bill log that these bills completed.
    pub bill_nodes: Vec<CompletedNode>,
    /// The epoch that these bills belong to: the one open in this block.
    pub bill_epoch: Epoch,
    /// Index in the epoch's bill log of the first of these bills.
    pub first_bill_index: u64,
    /// Entries for the settlement chain, in order of their index in the outbox.
    pub entries: Vec<OutboundEntry>,
    /// Subtrees of an outbox that these entries completed.
    pub outbox_nodes: Vec<(ChainId, CompletedNode)>,
    /// What was heard of other chains, in the block's order.
    pub deliveries: Vec<Delivered>,
    /// Accounts that may spend less than before by what was heard, ascending.
    pub lowered: Vec<Address>,
    /// What happened to records.
    pub changes: Vec<RecordChange>,
    /// The epoch whose last statement this block wrote.
    pub closed: Option<EpochClose>,
    /// What governance did.
    pub governance: Report,
}
