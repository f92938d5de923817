//! What a block holds of what accounts sign, and what became of it, as every kind of chain says it. `B` is what is signed
//! there, `R` the chain's receipt.
//!
//! A position is counted over everything that takes a place in the block's order: what was executed, what was refused, and
//! deliveries without effect.

use std::sync::Arc;

use crate::limits::BLOCK_OPERATIONS_MAX;
use crate::stored;
use crate::{Body, Identifier, Rejection, Verified};

/// One item of a block as it came, in the block's order.
#[derive(Clone, Debug)]
pub enum BlockItem<B> {
    /// Decoded, its signature checked.
    Verified(Arc<Verified<B>>),
    /// Bytes that no honest proposer takes: they do not decode, or their signature is wrong.
    Refused {
        /// The identifier, where the bytes decode that far.
        id: Option<Identifier>,
        /// Why.
        rejection: Rejection,
    },
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "what was refused left no receipt"]
pub enum Outcome<R> {
    /// Everything it asks for was done.
    Applied(R),
    /// A precondition did not hold: nothing of it was done, its nonce is used, its bytes are charged.
    Failed(R),
    /// It cannot be charged: no effect, no used nonce, no bill, no receipt.
    Refused(Rejection),
}

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// Done and charged.
    Applied,
    /// Not done, charged for its bytes.
    Failed(Rejection),
    /// Not done, not charged.
    Refused(Rejection),
}

/// An item of a block that nobody signed: foreign bytes, or a delivery without effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedItem {
    /// Its position in the block.
    pub index: u32,
    /// The identifier that it claims, where it decodes that far. It says nothing about what has that identifier.
    pub id: Option<Identifier>,
    /// Why.
    pub rejection: Rejection,
}

/// The order of one block while it is executed: who has which position, how much room is left, what became of each.
#[derive(Clone, Debug)]
pub struct BlockOrder<R> {
    next: u32,
    executed: u32,
    operations: u32,
    receipts: Vec<R>,
    refused: Vec<RefusedItem>,
}

impl ReceiptOutcome {
    /// The number of the rejection; 0 for what was applied.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Applied => 0,
            Self::Failed(rejection) | Self::Refused(rejection) => rejection.code(),
        }
    }
}

impl<R> Default for BlockOrder<R> {
    fn default() -> Self {
        Self { next: 0, executed: 0, operations: 0, receipts: Vec::new(), refused: Vec::new() }
    }
}

impl<R: Clone> BlockOrder<R> {
    /// Position of the next item.
    #[must_use]
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Items that were applied or failed so far.
    #[must_use]
    pub fn executed(&self) -> u32 {
        self.executed
    }

    /// Whether the block still has room for an item among at most `most` of them, `what` by name. It is the last step of
    /// the ladder, so that whoever fills a block knows that nothing else speaks against the item.
    pub fn check_room<B: Body>(&self, item: &B, most: u32, what: &'static str) -> Result<(), Rejection> {
        if self.executed >= most {
            return Err(Rejection::BlockFull { what });
        }
        if self.operations.saturating_add(stored::bytes(item.operation_count())) > BLOCK_OPERATIONS_MAX {
            return Err(Rejection::BlockFull { what: "operations" });
        }
        Ok(())
    }

    /// The next item was applied or failed, with this receipt; `operations`: how many it has.
    pub fn execute(&mut self, receipt: &R, operations: u32) {
        self.executed = self.executed.saturating_add(1);
        self.operations = self.operations.saturating_add(operations);
        self.refuse(receipt.clone());
    }

    /// The next item was refused, with a receipt that says so.
    pub fn refuse(&mut self, receipt: R) {
        self.receipts.push(receipt);
        self.advance();
    }

    /// The next item is nobody's.
    pub fn refuse_item(&mut self, id: Option<Identifier>, rejection: Rejection) {
        self.refused.push(RefusedItem { index: self.next, id, rejection });
        self.advance();
    }

    /// The receipts by position, and the items that have none.
    #[must_use]
    pub fn finish(self) -> (Vec<R>, Vec<RefusedItem>) {
        (self.receipts, self.refused)
    }

    fn advance(&mut self) {
        self.next = self.next.saturating_add(1);
    }
}
