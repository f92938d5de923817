//! Compact ranges: the perfect subtrees that cover [start, end), left to right, each as large as its place allows.
//!
//! Given the frontier of [0, start), the entries [start, next) and the compact range of [next, size), a reader computes the
//! frontier at `next` and the root at `size` without any other hash: so the entries are exactly those under the root.

use crate::frontier::{CompletedNode, Frontier};
use crate::hash::{Hash, leaf_hash, node_hash};
use crate::limits::LOG_SIZE_MAX;
use crate::source::{NodeSource, ProofError, stored};

/// Why entries and a right range lead to no root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// More entries than any log has.
    #[error("a log has at most {LOG_SIZE_MAX} entries, not {size}")]
    TooLarge {
        /// The size given.
        size: u64,
    },
    /// The entries go beyond the size.
    #[error("the entries end at {next}, beyond the size {size}")]
    BeyondSize {
        /// Index after the last entry.
        next: u64,
        /// The size given.
        size: u64,
    },
    /// The right range has another number of subtrees than [next, size) needs.
    #[error("the range to the right of the entries needs {expected} hashes, not {got}")]
    RightCount {
        /// Subtrees that cover the range.
        expected: usize,
        /// Hashes given.
        got: usize,
    },
}

/// The compact range of [next, size) from stored subtrees. Empty where `next` = `size`; for `next` = 0 it is the frontier.
pub fn right_range<S: NodeSource>(source: &S, next: u64, size: u64) -> Result<Vec<Hash>, ProofError<S::Error>> {
    if next > size || size > LOG_SIZE_MAX {
        return Err(ProofError::OutOfRange { index: next, size });
    }
    subtrees(next, size).map(|(level, index)| stored(source, level, index)).collect()
}

/// Appends `entries` to a frontier and goes on with the right range up to `size`. Returns the frontier after the entries, and
/// the root at `size`, which the caller compares with the proven one.
pub fn fold(
    before: &Frontier,
    entries: &[impl AsRef<[u8]>],
    right: &[Hash],
    size: u64,
) -> Result<(Frontier, Hash), FoldError> {
    fold_reporting(before, entries, right, size, |_| ())
}

/// As [`fold`], and reports every subtree that the entries complete, in the order of [`Frontier::append`].
pub(crate) fn fold_reporting(
    before: &Frontier,
    entries: &[impl AsRef<[u8]>],
    right: &[Hash],
    size: u64,
    mut completed: impl FnMut(CompletedNode),
) -> Result<(Frontier, Hash), FoldError> {
    if size > LOG_SIZE_MAX {
        return Err(FoldError::TooLarge { size });
    }
    let next = before.size().saturating_add(u64::try_from(entries.len()).unwrap_or(u64::MAX));
    if next > size {
        return Err(FoldError::BeyondSize { next, size });
    }
    let expected = subtrees(next, size).count();
    if right.len() != expected {
        return Err(FoldError::RightCount { expected, got: right.len() });
    }
    let mut after = before.clone();
    for entry in entries {
        after.push_subtree(0, leaf_hash(entry.as_ref()), &mut completed);
    }
    let mut whole = after.clone();
    for ((level, _), hash) in subtrees(next, size).zip(right) {
        whole.push_subtree(level, *hash, |_| ());
    }
    Ok((after, whole.root()))
}

/// Root of the subtree over [start, end), where `start` is a multiple of the power of two at or above the length: the shape of
/// every right-hand branch of an RFC 6962 tree.
pub(crate) fn subtree_root<S: NodeSource>(source: &S, start: u64, end: u64) -> Result<Hash, ProofError<S::Error>> {
    let nodes: Vec<(u8, u64)> = subtrees(start, end).collect();
    let mut from_right = nodes.into_iter().rev();
    let Some((level, index)) = from_right.next() else {
        return Err(ProofError::OutOfRange { index: start, size: end });
    };
    from_right.try_fold(stored(source, level, index)?, |right, (level, index)| {
        Ok(node_hash(&stored(source, level, index)?, &right))
    })
}

/// Level and index of the perfect subtrees that cover [start, end), left to right; at most
/// [`RIGHT_HASHES_MAX`](crate::limits::RIGHT_HASHES_MAX) where `end` ≤ [`LOG_SIZE_MAX`].
pub(crate) fn subtrees(start: u64, end: u64) -> impl Iterator<Item = (u8, u64)> {
    let mut position = start;
    std::iter::from_fn(move || {
        let left = end.checked_sub(position)?;
        let largest_that_fits = left.checked_ilog2()?;
        let level = position.trailing_zeros().min(largest_that_fits);
        let index = position.checked_shr(level)?;
        position = position.checked_add(1_u64.checked_shl(level)?)?;
        Some((u8::try_from(level).ok()?, index))
    })
}
