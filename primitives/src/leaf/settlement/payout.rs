//! Leaf of a pool's recipients: format 1 (1) ‖ their number (4) ‖ for each its address (20) and its power (8).
//!
//! A pool is a shard's, or the settlement chain's own ([`super::FEE_POOL`]). Addresses ascend strictly, powers are at
//! least 1, and they add up to less than 2^63, as Tendermint wants it.

use crate::Address;
use crate::decode::{DecodeError, Reader};
use crate::leaf::FORMAT;
use crate::limits::{PAYOUT_POWER_MAX, PAYOUTS_MAX};

/// Who shares a pool, by voting power.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayoutLeaf(Vec<(Address, u64)>);

/// Recipients that no pool can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayoutError {
    /// Too many of them.
    #[error("a pool has at most {PAYOUTS_MAX} recipients, not {count}")]
    TooMany {
        /// The number given.
        count: usize,
    },
    /// One that would never be paid.
    #[error("{recipient} has no power")]
    NoPower {
        /// The recipient.
        recipient: Address,
    },
    /// More power than Tendermint allows.
    #[error("the powers add up to more than {PAYOUT_POWER_MAX}")]
    TooMuchPower,
}

impl PayoutLeaf {
    /// These recipients; powers of one address are added up.
    pub fn new(recipients: &[(Address, u64)]) -> Result<Self, PayoutError> {
        let mut powers = std::collections::BTreeMap::<Address, u64>::new();
        let mut sum = 0u64;
        for (recipient, power) in recipients {
            if *power == 0 {
                return Err(PayoutError::NoPower { recipient: *recipient });
            }
            sum = sum.checked_add(*power).filter(|sum| *sum <= PAYOUT_POWER_MAX).ok_or(PayoutError::TooMuchPower)?;
            let entry = powers.entry(*recipient).or_default();
            *entry = entry.saturating_add(*power);
        }
        if powers.len() > PAYOUTS_MAX {
            return Err(PayoutError::TooMany { count: powers.len() });
        }
        Ok(Self(powers.into_iter().collect()))
    }

    /// Addresses and powers, in order of address.
    #[must_use]
    pub fn recipients(&self) -> &[(Address, u64)] {
        &self.0
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // At most PAYOUTS_MAX.
        let count = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let mut bytes = [[FORMAT].as_slice(), &count.to_be_bytes()].concat();
        for (recipient, power) in &self.0 {
            bytes.extend(recipient.as_bytes());
            bytes.extend(power.to_be_bytes());
        }
        bytes
    }

    /// Reads the encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("payouts", bytes);
        reader.format(FORMAT)?;
        let count = reader.u32()?;
        if usize::try_from(count).unwrap_or(usize::MAX) > PAYOUTS_MAX {
            return Err(reader.invalid("count"));
        }
        let mut recipients = Vec::new();
        for _ in 0..count {
            recipients.push((reader.address()?, reader.u64()?));
        }
        let leaf = Self::new(&recipients).ok().filter(|leaf| leaf.0 == recipients);
        let leaf = leaf.ok_or_else(|| reader.invalid("recipients"))?;
        reader.end()?;
        Ok(leaf)
    }
}
