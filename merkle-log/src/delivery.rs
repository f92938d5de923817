//! A piece of a log on its way: some consecutive entries and the compact range to the right of them, up to a size whose root is
//! proven elsewhere. Anyone may make one, and nobody needs to be trusted: a false one leads to no proven root.

use crate::hash::Hash;
use crate::limits::{DELIVERY_BYTES_MAX, DELIVERY_ENTRIES_MAX};
use crate::range::right_range;
use crate::source::{LogSource, ProofError};

/// Entries from `start` on, under the tree of the first `size` entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Index of the first entry here; it may stand before the reader's cursor.
    pub start: u64,
    /// The entries, in order, none left out.
    pub entries: Vec<Vec<u8>>,
    /// Size of the log whose root is proven.
    pub size: u64,
    /// Compact range of [start + entries, size).
    pub right: Vec<Hash>,
}

impl Delivery {
    /// Leaves out the entries before `cursor`, which a reader that is there skips without a look: whatever stands in their
    /// place, it would only take room. One that has no others stays as it is; a reader says that it is stale.
    pub fn skip_to(&mut self, cursor: u64) {
        let Some(applied) = cursor.checked_sub(self.start).and_then(|applied| usize::try_from(applied).ok()) else {
            return;
        };
        if applied < self.entries.len() {
            self.entries.drain(..applied);
            self.start = cursor;
        }
    }
}

/// Why no delivery could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError<E> {
    /// The right range could not be made, or the cursor stands beyond the size.
    #[error(transparent)]
    Proof(#[from] ProofError<E>),
    /// The store lacks an entry.
    #[error("the entry {index} is not stored")]
    Missing {
        /// Its index.
        index: u64,
    },
}

/// Takes stored entries from `cursor` on, at most up to the proven `size`, while they have at most `byte_limit` bytes together
/// (and at most [`DELIVERY_BYTES_MAX`], and [`DELIVERY_ENTRIES_MAX`] of them). The first entry is taken whatever the limit, so
/// every delivery that is not at the end of the log moves it on.
pub fn deliver<S: LogSource>(
    source: &S,
    cursor: u64,
    size: u64,
    byte_limit: usize,
) -> Result<Delivery, DeliverError<S::Error>> {
    let byte_limit = byte_limit.min(DELIVERY_BYTES_MAX);
    let (mut entries, mut bytes) = (Vec::new(), 0_usize);
    for index in (cursor..size).take(DELIVERY_ENTRIES_MAX) {
        let entry = source.entry(index).map_err(ProofError::Source)?.ok_or(DeliverError::Missing { index })?;
        bytes = bytes.saturating_add(entry.len());
        if bytes > byte_limit && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    let next = cursor.saturating_add(u64::try_from(entries.len()).unwrap_or(u64::MAX));
    Ok(Delivery { start: cursor, right: right_range(source, next, size)?, entries, size })
}
