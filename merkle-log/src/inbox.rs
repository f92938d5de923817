//! The reading end: a cursor, which is the number of entries applied, and the frontier of exactly those entries.
//!
//! State value: the frontier's encoding, size ‖ hashes. Reading decides nothing about what an entry means; it guarantees rule
//! I4, that each is handed out exactly once, in order, as it was written.

use crate::delivery::Delivery;
use crate::frontier::{CompletedNode, Frontier, FrontierError};
use crate::hash::Hash;
use crate::limits::{DELIVERY_BYTES_MAX, DELIVERY_ENTRIES_MAX, ENTRY_BYTES_MAX};
use crate::range::{FoldError, fold_reporting};

/// How far a log from another chain has been applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inbox {
    frontier: Frontier,
}

/// What a delivery brings. Nothing is applied until the caller stores `inbox`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the delivery is applied by storing the inbox and executing the entries"]
pub struct Received<'d> {
    /// The inbox after the new entries.
    pub inbox: Inbox,
    /// Index of the first new entry: the cursor before.
    pub first: u64,
    /// The new entries; none, where all had been applied before.
    pub entries: &'d [Vec<u8>],
    /// Every subtree of the log that they complete, for the reader's node store.
    pub nodes: Vec<CompletedNode>,
}

/// Why a delivery is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InboxError {
    /// Entries before it are missing.
    #[error("the delivery begins at {start}, and the next entry to apply is {cursor}")]
    Gap {
        /// First index that was not applied.
        cursor: u64,
        /// First index delivered.
        start: u64,
    },
    /// Too many entries at once.
    #[error("a delivery has at most {DELIVERY_ENTRIES_MAX} entries, not {entries}")]
    TooManyEntries {
        /// Entries given.
        entries: usize,
    },
    /// An entry that no outbox holds.
    #[error("an entry has at most {ENTRY_BYTES_MAX} bytes, and the one at {index} has {bytes}")]
    EntryTooLong {
        /// Its index.
        index: u64,
        /// Its length.
        bytes: usize,
    },
    /// Too many bytes at once.
    #[error("a delivery has at most {DELIVERY_BYTES_MAX} bytes of entries, not {bytes}")]
    TooManyBytes {
        /// Bytes of all entries.
        bytes: usize,
    },
    /// The delivery was made for another size than the proven one.
    #[error("the delivery was made for a log of {size} entries, and {proven} are proven")]
    SizeDiffers {
        /// Size of the delivery.
        size: u64,
        /// Size that is proven.
        proven: u64,
    },
    /// Entries and right range do not fit the size.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// An entry is false, missing or out of order, or the right range is false.
    #[error("the entries lead to another root than the proven one")]
    WrongRoot,
}

impl Inbox {
    /// Nothing applied yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Exactly the entries of this frontier applied.
    #[must_use]
    pub fn at(frontier: Frontier) -> Self {
        Self { frontier }
    }

    /// The next index to apply.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.frontier.size()
    }

    /// The frontier of what was applied.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Checks a delivery against the size and root of the sender's outbox. Entries before the cursor are skipped without a look;
    /// a delivery that has no others changes nothing. The caller may prove size and root afterwards, because this is the cheaper
    /// check, but must do so before it uses the result.
    pub fn receive<'d>(
        &self,
        delivery: &'d Delivery,
        proven_size: u64,
        proven_root: &Hash,
    ) -> Result<Received<'d>, InboxError> {
        let cursor = self.cursor();
        let Some(applied) = cursor.checked_sub(delivery.start) else {
            return Err(InboxError::Gap { cursor, start: delivery.start });
        };
        let applied = usize::try_from(applied).unwrap_or(usize::MAX);
        let entries = delivery.entries.get(applied..).unwrap_or_default();
        if entries.is_empty() {
            return Ok(Received { inbox: self.clone(), first: cursor, entries, nodes: Vec::new() });
        }
        check_lengths(delivery)?;
        if delivery.size != proven_size {
            return Err(InboxError::SizeDiffers { size: delivery.size, proven: proven_size });
        }
        let mut nodes = Vec::with_capacity(entries.len().saturating_mul(2));
        let completed = |node| nodes.push(node);
        let (frontier, root) = fold_reporting(&self.frontier, entries, &delivery.right, delivery.size, completed)?;
        if root != *proven_root {
            return Err(InboxError::WrongRoot);
        }
        Ok(Received { inbox: Self { frontier }, first: cursor, entries, nodes })
    }

    /// The inbox after some entries that were received but not all taken, and the subtrees that they complete.
    #[must_use]
    pub fn after(&self, taken: &[Vec<u8>]) -> (Self, Vec<CompletedNode>) {
        let mut frontier = self.frontier.clone();
        let nodes = taken.iter().flat_map(|entry| frontier.append(entry)).collect();
        (Self { frontier }, nodes)
    }

    /// The state value: size ‖ hashes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.frontier.to_bytes()
    }

    /// Reads the state value.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        Frontier::from_bytes(bytes).map(|frontier| Self { frontier })
    }
}

/// Counts and lengths, before anything is hashed.
fn check_lengths(delivery: &Delivery) -> Result<(), InboxError> {
    if delivery.entries.len() > DELIVERY_ENTRIES_MAX {
        return Err(InboxError::TooManyEntries { entries: delivery.entries.len() });
    }
    let mut all = 0_usize;
    for (index, entry) in (delivery.start..).zip(&delivery.entries) {
        if entry.len() > ENTRY_BYTES_MAX {
            return Err(InboxError::EntryTooLong { index, bytes: entry.len() });
        }
        all = all.saturating_add(entry.len());
    }
    if all > DELIVERY_BYTES_MAX {
        return Err(InboxError::TooManyBytes { bytes: all });
    }
    Ok(())
}
