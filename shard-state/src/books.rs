//! The books of the open epoch, decoded: which epoch it is, since when, and the log of its bills.
//!
//! Decoded once per block. Written back only when a bill was added or the epoch closed, so an empty block changes
//! nothing.

use db3_merkle_log::{CompletedNode, Frontier};
use db3_primitives::{Bill, Epoch, Height, OpenEpochLeaf, Tai};

use db3_primitives::fatal::fatal;

/// The open epoch and its bills so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenBooks {
    /// The epoch that a bill of this block belongs to.
    pub(crate) epoch: Epoch,
    /// The first block in which it was open.
    pub(crate) first_height: Height,
    /// Sum of its bills.
    pub(crate) total: Tai,
    /// RFC 6962 log of its bills.
    pub(crate) bills: Frontier,
}

impl OpenBooks {
    /// An epoch without a bill yet.
    pub(crate) fn begin(epoch: Epoch, first_height: Height) -> Self {
        Self { epoch, first_height, total: Tai::ZERO, bills: Frontier::new() }
    }

    /// From the leaf; none where it does not decode.
    pub(crate) fn from_leaf(leaf: &OpenEpochLeaf) -> Option<Self> {
        let bills = Frontier::from_bytes(&leaf.bills).ok()?;
        Some(Self { epoch: leaf.open, first_height: leaf.first_height, total: leaf.total, bills })
    }

    /// The leaf that the tree holds.
    pub(crate) fn to_leaf(&self) -> OpenEpochLeaf {
        OpenEpochLeaf {
            open: self.epoch,
            first_height: self.first_height,
            total: self.total,
            bills: self.bills.to_bytes(),
        }
    }

    /// Adds a bill (rule I1: its only way into the log) and tells the subtrees that it completed.
    pub(crate) fn add(&mut self, bill: &Bill) -> Vec<CompletedNode> {
        // No ceiling is above CEILING_TAI_MAX and no sum passes its ceiling; 2^31 of the largest add up to less than 2^128.
        match self.total.checked_add(bill.fee) {
            Some(total) => self.total = total,
            None => fatal("I2: the bills of an epoch have a sum", format_args!("{} + {}", self.total, bill.fee)),
        }
        self.bills.append(&bill.to_bytes())
    }
}
