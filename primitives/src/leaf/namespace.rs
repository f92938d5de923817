//! Leaves of namespaces and tables.
//!
//! Namespace, 29 bytes: format 1 (1) ‖ owner (20) ‖ created height (8).
//! Table, 18 bytes: format 1 (1) ‖ kind (1) ‖ created height (8) ‖ floor (8).

use super::FORMAT;
use crate::Address;
use crate::decode::{DecodeError, Reader};

/// A registered namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceLeaf {
    /// The account that it belongs to.
    pub owner: Address,
    /// The block that created it.
    pub created_height: u64,
}

/// What a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableKind {
    /// Bytes.
    Plain = 1,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLeaf {
    /// What it holds.
    pub kind: TableKind,
    /// The block that created it.
    pub created_height: u64,
    /// The highest version that a deleted record of this table had. A new record starts above it, so that no key ever
    /// has the same version twice.
    pub floor: u64,
}

impl NamespaceLeaf {
    /// Bytes of the encoding.
    pub const BYTES: usize = 29;

    /// The 29-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [[FORMAT].as_slice(), self.owner.as_bytes(), &self.created_height.to_be_bytes()].concat()
    }

    /// Reads the 29-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("namespace", bytes);
        reader.format(FORMAT)?;
        let leaf = Self { owner: reader.address()?, created_height: reader.u64()? };
        reader.end()?;
        Ok(leaf)
    }
}

impl TableLeaf {
    /// Bytes of the encoding.
    pub const BYTES: usize = 18;

    /// The 18-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [[FORMAT, self.kind as u8].as_slice(), &self.created_height.to_be_bytes(), &self.floor.to_be_bytes()].concat()
    }

    /// Reads the 18-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("table", bytes);
        reader.format(FORMAT)?;
        let kind = match reader.u8()? {
            1 => TableKind::Plain,
            _ => return Err(reader.invalid("kind")),
        };
        let leaf = Self { kind, created_height: reader.u64()?, floor: reader.u64()? };
        reader.end()?;
        Ok(leaf)
    }
}
