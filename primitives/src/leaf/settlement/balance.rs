//! Leaf of an account's money: format 1 (1) ‖ balance ‖ collateral ‖ trust ‖ stage (1) ‖ since (8) ‖ postings (8). An amount
//! is the number of its significant bytes (1) and these (0 to 16).
//!
//! `since` is 0 where nothing is outstanding, so that one state has one encoding.

use crate::decode::{DecodeError, Reader};
use crate::leaf::FORMAT;
use crate::{Epoch, Tai};

/// How an account stands with what it owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Nothing that was debited is unpaid.
    #[default]
    Clear = 0,
    /// Something is unpaid; the account may not transfer, deposit or withdraw.
    Outstanding = 1,
    /// It is unpaid beyond the grace period; the account's lines are cut, and its collateral pays in the end.
    Delinquent = 2,
}

/// The money of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BalanceLeaf {
    /// What it may spend: debits are paid from it first.
    pub balance: Tai,
    /// What stands behind its credit.
    pub collateral: Tai,
    /// Credit that governance gave without collateral.
    pub trust: Tai,
    /// How it stands with what it owes.
    pub stage: Stage,
    /// The epoch of the round that found the first unpaid debit, moved on by the epochs that no round settled by itself
    /// since then; 0 where the stage is clear.
    pub since: Epoch,
    /// How many postings it has: the number of its newest one.
    pub postings: u64,
}

impl Stage {
    /// The number in encodings and on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The stage with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Clear),
            1 => Some(Self::Outstanding),
            2 => Some(Self::Delinquent),
            _ => None,
        }
    }
}

impl BalanceLeaf {
    /// Bytes that a new account is charged for, whatever its amounts will be. Common ones take half, and the longest 3 more.
    pub const BYTES_CHARGED: usize = 66;

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(FORMAT);
        for amount in [self.balance, self.collateral, self.trust] {
            amount.write_short(&mut bytes);
        }
        bytes.push(self.stage.number());
        bytes.extend_from_slice(&self.since.get().to_be_bytes());
        bytes.extend_from_slice(&self.postings.to_be_bytes());
        bytes
    }

    /// Reads the encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("balance", bytes);
        reader.format(FORMAT)?;
        let balance = reader.short_tai("balance")?;
        let collateral = reader.short_tai("collateral")?;
        let trust = reader.short_tai("trust")?;
        let stage = reader.u8()?;
        let stage = Stage::from_number(stage).ok_or_else(|| reader.invalid("stage"))?;
        let since = Epoch::new(reader.u64()?);
        if stage == Stage::Clear && since != Epoch::new(0) {
            return Err(reader.invalid("since"));
        }
        let leaf = Self { balance, collateral, trust, stage, since, postings: reader.u64()? };
        reader.end()?;
        Ok(leaf)
    }
}
