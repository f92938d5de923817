//! Leaf of what counts for nothing of a shard's log, though it was read: format 1 (1) ‖ index of the first entry that
//! counts (8) ‖ indexes of entries at fault from there on that governance has forgiven (8 each).
//!
//! Indexes ascend strictly and are not below the first. A shard of which nothing was passed over has no such leaf.

use crate::decode::{DecodeError, Reader};
use crate::leaf::FORMAT;
use crate::limits::FORGIVEN_FAULTS_MAX;

/// What of a shard's log has no effect and is not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedLeaf {
    begins: u64,
    faults: Vec<u64>,
}

impl PassedLeaf {
    /// A log of which the entries before `begins` are passed over.
    #[must_use]
    pub fn beginning(begins: u64) -> Self {
        Self { begins, faults: Vec::new() }
    }

    /// Index of the first entry that is kept.
    #[must_use]
    pub fn begins(&self) -> u64 {
        self.begins
    }

    /// Entries at fault from there on whose fault was forgiven, ascending.
    #[must_use]
    pub fn faults(&self) -> &[u64] {
        &self.faults
    }

    /// Whether an entry that was read had no effect.
    #[must_use]
    pub fn holds(&self, index: u64) -> bool {
        index < self.begins || self.faults.binary_search(&index).is_ok()
    }

    /// The same with the fault of an entry forgiven, the last one that was read. Where too many would be noted, the log
    /// begins behind it.
    #[must_use]
    pub fn forgiving(mut self, index: u64) -> Self {
        if self.holds(index) {
            return self;
        }
        if self.faults.len() >= FORGIVEN_FAULTS_MAX || self.faults.last().is_some_and(|last| *last >= index) {
            return Self::beginning(index.saturating_add(1));
        }
        self.faults.push(index);
        self
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [[FORMAT].as_slice(), &self.begins.to_be_bytes()].concat();
        bytes.extend(self.faults.iter().flat_map(|index| index.to_be_bytes()));
        bytes
    }

    /// Reads the encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("passed", bytes);
        reader.format(FORMAT)?;
        let begins = reader.u64()?;
        let invalid = reader.invalid("faults");
        let (faults, rest) = reader.rest().as_chunks::<8>();
        if !rest.is_empty() || faults.len() > FORGIVEN_FAULTS_MAX {
            return Err(invalid);
        }
        let faults: Vec<u64> = faults.iter().map(|index| u64::from_be_bytes(*index)).collect();
        let ascends = faults.is_sorted_by(|left, right| left < right);
        if !ascends || faults.first().is_some_and(|first| *first < begins) {
            return Err(invalid);
        }
        Ok(Self { begins, faults })
    }
}
