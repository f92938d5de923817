//! What a block did, as data: nothing here is performed by this crate.

use db3_carry::{Delivered, OutboundEntry};
use db3_governance::Report;
use db3_merkle_log::{CompletedNode, Frontier};
use db3_primitives::{
    Address, ChainId, Epoch, Fault, LogEntry, Metered, Nonce, Posting, ReceiptOutcome, RefusedItem, ShardId, Tai,
    Transaction, TransactionId,
};

/// One transaction of a block as it came.
pub type BlockItem = db3_primitives::BlockItem<Transaction>;

/// What became of one transaction.
pub type Outcome = db3_primitives::Outcome<Receipt>;

/// What a block holds about one transaction. A refused receipt is about that copy of the transaction only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Identifier of the transaction.
    pub id: TransactionId,
    /// Its position in the block, where what was refused counts.
    pub index: u32,
    /// Whose money it moves, and who pays.
    pub account: Address,
    /// Who signed.
    pub signer: Address,
    /// Its nonce.
    pub nonce: Nonce,
    /// What became of it.
    pub outcome: ReceiptOutcome,
    /// What was used.
    pub metered: Metered,
    /// What was charged, from the balance.
    pub fee: Tai,
}

/// An entry of a shard's log that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundEntry {
    /// The shard that wrote it.
    pub source: ShardId,
    /// Its index in the shard's log.
    pub index: u64,
    /// What it says.
    pub entry: LogEntry,
    /// The entry as it was hashed.
    pub bytes: Vec<u8>,
    /// Of a statement: what the shard had stated of the account before.
    pub previous: Option<Tai>,
}

/// A shard that said what cannot be true, or that signed two histories: its channel is frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// The shard.
    pub source: ShardId,
    /// What was wrong, and where.
    pub fault: Fault,
    /// The entry at fault, as it was hashed; empty where no entry is to blame.
    pub bytes: Vec<u8>,
}

/// A round that ended in this block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundDone {
    /// Its number, from 1.
    pub number: u64,
    /// The newest epoch that it settled. Of round 1, which only issues what genesis wants, the epoch before genesis.
    pub epoch: Epoch,
    /// Postings that it wrote.
    pub postings: u64,
    /// What it debited.
    pub debited: Tai,
    /// What was paid of that and of older debits.
    pub paid: Tai,
}

/// Everything that a block did beside the new version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    /// One for every transaction that has a body and a good signature, by index.
    pub receipts: Vec<Receipt>,
    /// The other items of the block.
    pub refused: Vec<RefusedItem>,
    /// Entries for the shards, by destination and index.
    pub entries: Vec<OutboundEntry>,
    /// Subtrees of the outboxes that these entries completed.
    pub outbox_nodes: Vec<(ChainId, CompletedNode)>,
    /// The deliveries that were applied, in the block's order.
    pub deliveries: Vec<Delivered>,
    /// Accounts whose balance is lower than before, ascending.
    pub lowered: Vec<Address>,
    /// The shards' entries that were applied, in the order of application.
    pub inbound: Vec<InboundEntry>,
    /// Subtrees of the shards' logs that entries completed, those at fault included.
    pub inbound_nodes: Vec<(ShardId, CompletedNode)>,
    /// Logs of shards that governance let go on from a frontier other than that of what was read; nothing of them is
    /// appended before that.
    pub begun: Vec<(ShardId, Frontier)>,
    /// Channels that froze.
    pub faults: Vec<FaultReport>,
    /// Postings, with their index in the log.
    pub postings: Vec<(u64, Posting)>,
    /// Subtrees of the log of postings that these completed.
    pub posting_nodes: Vec<CompletedNode>,
    /// The round that ended.
    pub settled: Option<RoundDone>,
    /// What governance did.
    pub governance: Report,
}
