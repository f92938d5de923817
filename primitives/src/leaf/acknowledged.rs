//! Leaf of how much of the log to another chain that chain has applied, by its own word, 9 bytes: format 1 (1) ‖ number of
//! entries (8). There is none before its first word.

use crate::decode::{DecodeError, Reader};
use crate::leaf::FORMAT;

/// How much of a log its reader has applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcknowledgedLeaf {
    /// Number of entries; the next one that it waits for has this index, or a higher one.
    pub entries: u64,
}

impl AcknowledgedLeaf {
    /// Bytes of the encoding.
    pub const BYTES: usize = 9;

    /// The 9-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [[FORMAT].as_slice(), &self.entries.to_be_bytes()].concat()
    }

    /// Reads the 9-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("acknowledged entries", bytes);
        reader.format(FORMAT)?;
        let leaf = Self { entries: reader.u64()? };
        reader.end()?;
        Ok(leaf)
    }
}
