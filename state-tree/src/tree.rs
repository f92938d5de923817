//! [`Tree`]: one version of the state, and the reads that need no proof.

use std::fmt;
use std::sync::Arc;

use crate::cursor::Cursor;
use crate::diff::Diff;
use crate::finger::Finger;
use crate::hash::{EMPTY_ROOT, Hash};
use crate::node::{Child, Inner};
use crate::range::Range;
use crate::{prefix_end, reaper};

/// One version of the tree. It never changes; a clone is one pointer.
///
/// Dropping the last clone of a version costs the caller one entry in a queue: what the version alone held is freed on a
/// thread of the crate's own.
#[derive(Clone, Default)]
pub struct Tree(Arc<Version>);

#[derive(Default)]
struct Version {
    root: Option<Child>,
    len: u64,
}

impl Drop for Version {
    fn drop(&mut self) {
        if let Some(root) = self.root.take() {
            reaper::discard(root.node);
        }
    }
}

impl Tree {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn from_parts(root: Option<Child>, len: u64) -> Self {
        Self(Arc::new(Version { root, len }))
    }

    pub(crate) fn top(&self) -> Option<&Child> {
        self.0.root.as_ref()
    }

    /// The Merkle root; [`EMPTY_ROOT`] for the empty tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.top().map_or(EMPTY_ROOT, |root| root.hash)
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.top().is_none()
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let (found, value) = self.top()?.descend(key).record();
        (found == key).then_some(value)
    }

    /// Reads that remember where the last one was, for keys that are asked for in order.
    pub fn finger(&self) -> Finger<'_> {
        Finger::new(self.top())
    }

    /// The records with keys in `[from, to)`, in order of key; without `to` up to the last one.
    ///
    /// Starting costs O(depth), each further record O(1) on average, from either end.
    pub fn range<'t>(&'t self, from: &[u8], to: Option<&[u8]>) -> Range<'t> {
        let Some(root) = self.top() else {
            return Range::empty();
        };
        let last = match to {
            Some(to) => Cursor::before(root, to),
            None => Some(Cursor::last(root)),
        };
        Range::between(Cursor::at_or_after(root, from), last)
    }

    /// The records whose keys begin with `prefix`, in order of key.
    pub fn prefix<'t>(&'t self, prefix: &[u8]) -> Range<'t> {
        self.range(prefix, prefix_end(prefix).as_deref())
    }

    /// Bytes that the nodes of this version take beside keys and values: of every leaf the length of its key, of every pair
    /// of subtrees an inner node, and of each the two counters of its allocation. What the allocator rounds up is not in it.
    #[must_use]
    pub fn node_bytes(&self) -> u64 {
        const COUNTERS: u64 = 2 * size_of::<usize>() as u64;
        let leaf = COUNTERS.saturating_add(size_of::<u16>() as u64);
        let inner = COUNTERS.saturating_add(size_of::<Inner>() as u64);
        let leaves = self.len();
        leaves.saturating_mul(leaf).saturating_add(leaves.saturating_sub(1).saturating_mul(inner))
    }

    /// What turns this version into `newer`: changed, inserted and deleted keys (value `None`) in order of key.
    ///
    /// The cost is proportional to what changed; shared and equal subtrees are skipped.
    pub fn diff<'t>(&'t self, newer: &'t Self) -> Diff<'t> {
        Diff::new(self.top(), newer.top())
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tree {{ len: {}, root: ", self.len())?;
        for byte in self.root() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(" }")
    }
}
