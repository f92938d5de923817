//! What this node has let out of the process last, beside the database: so that files that lost their end are not
//! taken for those of a younger chain.
//!
//! A log that was cut off is, to the database, a crash in the middle of a write. Here the difference matters: what
//! was acknowledged would be gone, and the engine would sign its heights a second time.
//!
//! `<home>/newest`, a [`note`](super::note): height (8, big endian) ‖ hash of its header (32). It is written after the
//! block is synced and before anybody hears of it, and is not synced itself: it may name an older block than the newest
//! one on the disk, never a newer one.

use std::path::Path;

use db3_primitives::{Hash32, Height};

use super::note::Note;
use super::{Store, StoreError};

const FILE: &str = "newest";
const BYTES: usize = 40;

/// The open file.
#[derive(Debug)]
pub(super) struct Newest(Note<BYTES>);

impl Newest {
    pub(super) fn open(home: &Path) -> Result<Self, StoreError> {
        Note::open(home.join(FILE)).map(Self)
    }

    fn write(&self, height: Height, hash: &Hash32) -> Result<(), StoreError> {
        let mut said = [0; BYTES];
        if let Some((number, rest)) = said.split_first_chunk_mut::<8>() {
            *number = height.get().to_be_bytes();
            rest.copy_from_slice(hash);
        }
        self.0.write(&said)
    }

    /// What it names; none where nothing was written yet.
    fn read(&self) -> Result<Option<(Height, Hash32)>, StoreError> {
        let Some(said) = self.0.read()? else { return Ok(None) };
        let named = said
            .split_first_chunk::<8>()
            .and_then(|(height, hash)| Some((Height::new(u64::from_be_bytes(*height)), hash.try_into().ok()?)));
        Ok(named)
    }
}

impl Store {
    /// Notes that everybody may hear of a block now. Whoever calls has synced it.
    pub(crate) fn acknowledge(&self, height: Height, hash: &Hash32) -> Result<(), StoreError> {
        self.newest.write(height, hash)
    }

    /// Whether the database still holds the block that was acknowledged last; `found` is its newest one. For engines
    /// that have their blocks from here alone.
    pub(crate) fn check_newest(&self, found: Option<Height>) -> Result<(), StoreError> {
        let Some((height, hash)) = self.newest.read()? else { return Ok(()) };
        let summary = self.summary(height)?;
        if found.is_some_and(|found| found >= height) && summary.is_some_and(|summary| summary.hash == hash) {
            return Ok(());
        }
        Err(StoreError::CutOff {
            data: self.home.join("data"),
            found: found.map_or(0, Height::get),
            acknowledged: height.get(),
            newest: self.newest.0.path.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_block_that_was_written_last_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let newest = Newest::open(folder.path()).unwrap();
        assert_eq!(newest.read().unwrap(), None);
        newest.write(Height::new(7), &[3; 32]).unwrap();
        newest.write(Height::new(8), &[4; 32]).unwrap();
        assert_eq!(newest.read().unwrap(), Some((Height::new(8), [4; 32])));
    }
}
