//! The size that a manifest names, before and while what it names is read. Nothing proves a manifest until the root was
//! computed from all of it, so that it must never decide alone how much memory is taken.

use super::TransferError;
use super::snapshot::Manifest;

/// What a leaf or an entry takes beside its bytes: the node of the tree, the hashes of a log (measured: 380 for a leaf).
const ITEM_BYTES: u64 = 400;

/// How many leaves and entries are still to come, by what a manifest names.
pub(super) struct Due(u64);

impl Due {
    /// All of them.
    pub(super) fn of(manifest: &Manifest) -> Result<Self, TransferError> {
        let wrong = |field: &str, text: &str| {
            TransferError::malformed("manifest.json", format!("{field} is {text}, expected a decimal number"))
        };
        let leaves: u64 = manifest.leaves.parse().map_err(|_| wrong("leaves", &manifest.leaves))?;
        let mut due = leaves;
        for log in &manifest.logs {
            let entries: u64 = log.entries.parse().map_err(|_| wrong("entries", &log.entries))?;
            due = due.saturating_add(entries);
        }
        Ok(Self(due))
    }

    /// One of them, which stands in `file`.
    pub(super) fn take(&mut self, file: &str) -> Result<(), TransferError> {
        let more = || TransferError::malformed(file, "the chunks hold more leaves and entries than the manifest names");
        self.0 = self.0.checked_sub(1).ok_or_else(more)?;
        Ok(())
    }

    /// That none is missing.
    pub(super) fn end(&self) -> Result<(), TransferError> {
        match self.0 {
            0 => Ok(()),
            missing => {
                let detail = format!("it names {missing} leaves and entries more than the chunks hold");
                Err(TransferError::malformed("manifest.json", detail))
            }
        }
    }

    /// Bytes of memory that all of it takes at most, with the bytes of the chunks.
    pub(super) fn memory(&self, manifest: &Manifest) -> u64 {
        let bytes = manifest.chunks().fold(0_u64, |sum, chunk| sum.saturating_add(chunk.bytes));
        self.0.saturating_mul(ITEM_BYTES).saturating_add(bytes)
    }
}
