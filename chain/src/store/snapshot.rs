//! The state as it was at one height, in key order, and how it moves forward: from the difference of two versions, in
//! one batch with the row that names the height. So it is always the whole state of one height.
//!
//! Row `snapshot` of `meta`, 52 bytes: height (8) ‖ time (12) ‖ root (32).

use db3_primitives::{BlockTime, Hash32, Height};
use db3_state_tree::Tree;
use rocksdb::{IteratorMode, WriteBatch};

use super::row::{Row, time_bytes};
use super::{Family, Step, Store, StoreError};

const META_KEY: &[u8] = b"snapshot";
/// Leaves that are added to the tree at once while it is loaded, so that loading needs little beside the tree.
const LOAD_LEAVES: usize = 100_000;

/// Which state the snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The block after which it stood.
    pub height: Height,
    /// That block's time.
    pub time: BlockTime,
    /// Its root.
    pub root: Hash32,
}

impl Store {
    /// Which state the snapshot holds; none in a new folder.
    pub fn snapshot_meta(&self) -> Result<Option<SnapshotMeta>, StoreError> {
        let row = self.get(Family::Meta, META_KEY)?;
        row.map(|bytes| {
            Row::new("snapshot", META_KEY, &bytes)
                .only(|row| Ok(SnapshotMeta { height: Height::new(row.u64()?), time: row.time()?, root: row.hash()? }))
        })
        .transpose()
    }

    /// Reads the tree of the snapshot's state and compares its root with the one noted.
    pub fn load_snapshot(&self, meta: &SnapshotMeta) -> Result<Tree, StoreError> {
        let mut builder = TreeBuilder::default();
        for row in self.rows(Family::Snapshot, IteratorMode::Start)? {
            let (key, value) = row?;
            builder.add(key.into_vec(), value.into_vec())?;
        }
        builder.finish(meta)
    }

    /// Brings the snapshot from `before` to `after`; `before` is none in a new folder. Not synced: until the batch is
    /// on the disk the old snapshot stands there, whole.
    pub(crate) fn advance_snapshot(
        &self,
        before: Option<&Tree>,
        after: &Tree,
        meta: &SnapshotMeta,
    ) -> Result<u64, StoreError> {
        Step::BeforeSnapshot.reached();
        let family = self.family(Family::Snapshot)?;
        let empty = Tree::new();
        let mut batch = WriteBatch::default();
        let mut leaves = 0_u64;
        for (key, value) in before.unwrap_or(&empty).diff(after) {
            match value {
                Some(value) => batch.put_cf(family, key, value),
                None => batch.delete_cf(family, key),
            }
            leaves = leaves.saturating_add(1);
        }
        let row = [meta.height.get().to_be_bytes().as_slice(), &time_bytes(meta.time), &meta.root].concat();
        batch.put_cf(self.family(Family::Meta)?, META_KEY, row);
        self.write(batch, false)?;
        Step::AfterSnapshot.reached();
        Ok(leaves)
    }
}

/// Builds a tree from leaves that come in key order.
#[derive(Default)]
pub(crate) struct TreeBuilder {
    tree: Tree,
    pending: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl TreeBuilder {
    pub(crate) fn add(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.pending.push((key, Some(value)));
        if self.pending.len() >= LOAD_LEAVES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut self.pending);
        let first = batch.first().map(|(key, _)| key.clone()).unwrap_or_default();
        self.tree = self.tree.apply(batch).map_err(|error| StoreError::damaged("state leaf", &first, error))?;
        Ok(())
    }

    /// The tree, if its root is the one that `meta` names.
    pub(crate) fn finish(mut self, meta: &SnapshotMeta) -> Result<Tree, StoreError> {
        self.flush()?;
        let found = self.tree.root();
        if found != meta.root {
            let (height, expected) = (meta.height.get(), meta.root);
            return Err(StoreError::RootMismatch { height, found, expected, by: "the snapshot" });
        }
        Ok(self.tree)
    }
}
