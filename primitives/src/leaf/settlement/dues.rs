//! Leaf of a list of accounts that the next round visits: format 1 (1) ‖ 1 to 256 addresses (20 each), strictly ascending.
//!
//! A shard's statements come in order of address, so one list stands for many marks of single accounts. It says nothing
//! but who is due: what is owed stands on the lines.

use crate::Address;
use crate::decode::{DecodeError, Reader};
use crate::leaf::FORMAT;

/// Accounts that the next round visits, in order of address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuesLeaf(Vec<Address>);

impl DuesLeaf {
    /// Most accounts of one list, so that a leaf stays in the size of a large record.
    pub const ACCOUNTS_MAX: usize = 256;

    /// A list of these accounts; none where it would be empty, too long or out of order.
    #[must_use]
    pub fn new(accounts: Vec<Address>) -> Option<Self> {
        let sound = (1..=Self::ACCOUNTS_MAX).contains(&accounts.len()) && accounts.is_sorted_by(|a, b| a < b);
        sound.then_some(Self(accounts))
    }

    /// The accounts, strictly ascending, at least one.
    #[must_use]
    pub fn accounts(&self) -> &[Address] {
        &self.0
    }

    /// The encoding, 1 + 20 · accounts bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len().saturating_mul(20).saturating_add(1));
        bytes.push(FORMAT);
        for account in &self.0 {
            bytes.extend_from_slice(account.as_bytes());
        }
        bytes
    }

    /// Reads the encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("dues", bytes);
        reader.format(FORMAT)?;
        let count = bytes.len().saturating_sub(1).div_euclid(20).min(Self::ACCOUNTS_MAX);
        let mut accounts = Vec::with_capacity(count);
        for _ in 0..count {
            accounts.push(reader.address()?);
        }
        let leaf = Self::new(accounts).ok_or_else(|| reader.invalid("accounts"))?;
        reader.end()?;
        Ok(leaf)
    }
}
