//! Leaf of an account's credit line on this shard, 105 bytes: format 1 (1) ‖ ceiling (16) ‖ spent (16) ‖ bill count (8) ‖
//! epoch (8) ‖ opening spent (16) ‖ opening bills (8) ‖ previous epoch (8) ‖ previous opening spent (16) ‖ previous
//! opening bills (8).
//!
//! `epoch` is the epoch of the newest bill, and `opening_*` are the sums before the first bill of that epoch. The first
//! charge of a later epoch moves them to `previous_*`. So the sums of the two newest epochs with bills can be stated at
//! any moment, and emission of a close needs no copy of the state. An epoch without bills has equal sums at both ends;
//! a line that was never charged has all of them zero.

use super::FORMAT;
use crate::Tai;
use crate::decode::{DecodeError, Reader};

/// An account's credit line on this shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLeaf {
    /// The cumulative sum that may be spent.
    pub ceiling: Tai,
    /// The cumulative sum that is spent.
    pub spent: Tai,
    /// How many bills there are.
    pub bill_count: u64,
    /// The epoch of the newest bill.
    pub epoch: u64,
    /// `spent` before the first bill of `epoch`.
    pub opening_spent: Tai,
    /// `bill_count` before the first bill of `epoch`.
    pub opening_bills: u64,
    /// The epoch with bills before that.
    pub previous_epoch: u64,
    /// `spent` before the first bill of `previous_epoch`.
    pub previous_opening_spent: Tai,
    /// `bill_count` before the first bill of `previous_epoch`.
    pub previous_opening_bills: u64,
}

/// An account's sums at the two ends of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochSums {
    /// Spent before its first bill.
    pub opening_spent: Tai,
    /// Spent after its last bill.
    pub closing_spent: Tai,
    /// Bills before its first bill.
    pub opening_bills: u64,
    /// Bills after its last bill.
    pub closing_bills: u64,
}

impl AccountLeaf {
    /// Bytes of the encoding.
    pub const BYTES: usize = 105;

    /// A line on which nothing was spent.
    #[must_use]
    pub fn with_ceiling(ceiling: Tai) -> Self {
        Self { ceiling, ..Self::default() }
    }

    /// What may still be spent.
    #[must_use]
    pub const fn available(&self) -> Tai {
        self.ceiling.saturating_sub(self.spent)
    }

    /// The line after one more bill of `fee` in epoch `open`. `None` if the line does not allow it, the sums overflow,
    /// or `open` is before the epoch of the newest bill.
    #[must_use]
    pub fn charge(&self, fee: Tai, open: u64) -> Option<Self> {
        let mut next = *self;
        next.spent = self.spent.checked_add(fee).filter(|spent| *spent <= self.ceiling)?;
        next.bill_count = self.bill_count.checked_add(1)?;
        if self.bill_count == 0 {
            next.epoch = open;
        } else if open > self.epoch {
            next.previous_epoch = self.epoch;
            next.previous_opening_spent = self.opening_spent;
            next.previous_opening_bills = self.opening_bills;
            next.epoch = open;
            next.opening_spent = self.spent;
            next.opening_bills = self.bill_count;
        } else if open < self.epoch {
            return None;
        }
        Some(next)
    }

    /// The sums of an epoch, if it is one of the two newest with bills.
    #[must_use]
    pub fn sums_of(&self, epoch: u64) -> Option<EpochSums> {
        if self.bill_count > self.opening_bills && epoch == self.epoch {
            return Some(EpochSums {
                opening_spent: self.opening_spent,
                closing_spent: self.spent,
                opening_bills: self.opening_bills,
                closing_bills: self.bill_count,
            });
        }
        if self.opening_bills > self.previous_opening_bills && epoch == self.previous_epoch {
            return Some(EpochSums {
                opening_spent: self.previous_opening_spent,
                closing_spent: self.opening_spent,
                opening_bills: self.previous_opening_bills,
                closing_bills: self.opening_bills,
            });
        }
        None
    }

    /// The 105-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [
            [FORMAT].as_slice(),
            &self.ceiling.to_be_bytes(),
            &self.spent.to_be_bytes(),
            &self.bill_count.to_be_bytes(),
            &self.epoch.to_be_bytes(),
            &self.opening_spent.to_be_bytes(),
            &self.opening_bills.to_be_bytes(),
            &self.previous_epoch.to_be_bytes(),
            &self.previous_opening_spent.to_be_bytes(),
            &self.previous_opening_bills.to_be_bytes(),
        ]
        .concat()
    }

    /// Reads the 105-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("account", bytes);
        reader.format(FORMAT)?;
        let leaf = Self {
            ceiling: reader.tai()?,
            spent: reader.tai()?,
            bill_count: reader.u64()?,
            epoch: reader.u64()?,
            opening_spent: reader.tai()?,
            opening_bills: reader.u64()?,
            previous_epoch: reader.u64()?,
            previous_opening_spent: reader.tai()?,
            previous_opening_bills: reader.u64()?,
        };
        reader.end()?;
        Ok(leaf)
    }
}
