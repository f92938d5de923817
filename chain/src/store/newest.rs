//! What this node has let out of the process last, beside the database: so that files that lost their end are not
//! taken for those of a younger chain.
//!
//! A log that was cut off is, to the database, a crash in the middle of a write. Here the difference matters: what
//! was acknowledged would be gone, and the engine would sign its heights a second time.
//!
//! `<home>/newest`, 72 bytes: height (8, big endian) ‖ hash of its header (32) ‖ SHA-256 of those 40 bytes. It is
//! written after the block is synced and before anybody hears of it, and is not synced itself: it may name an older
//! block than the newest one on the disk, never a newer one.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use db3_primitives::hash::sha256;
use db3_primitives::{Hash32, Height};

use super::{Store, StoreError};

const FILE: &str = "newest";
const NAMED_BYTES: usize = 40;
const BYTES: usize = NAMED_BYTES + 32;

/// The open file.
#[derive(Debug)]
pub(super) struct Newest {
    path: PathBuf,
    file: File,
}

impl Newest {
    pub(super) fn open(home: &Path) -> Result<Self, StoreError> {
        let path = home.join(FILE);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        match file {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(StoreError::File { path, source }),
        }
    }

    fn write(&self, height: Height, hash: &Hash32) -> Result<(), StoreError> {
        let named = [height.get().to_be_bytes().as_slice(), hash].concat();
        let bytes = [named.as_slice(), &sha256(&[&named])].concat();
        self.file.write_all_at(&bytes, 0).map_err(|source| StoreError::File { path: self.path.clone(), source })
    }

    /// What it names; none where nothing was written yet.
    fn read(&self) -> Result<Option<(Height, Hash32)>, StoreError> {
        let failed = |source| StoreError::File { path: self.path.clone(), source };
        let mut bytes = Vec::new();
        // Read by its name, so that the place in the open file does not matter.
        File::open(&self.path)
            .and_then(|file| file.take((BYTES as u64).saturating_add(1)).read_to_end(&mut bytes))
            .map_err(failed)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        Self::parse(&bytes).map(Some).ok_or_else(|| StoreError::DamagedNewest { path: self.path.clone() })
    }

    fn parse(bytes: &[u8]) -> Option<(Height, Hash32)> {
        let (named, sum) = bytes.split_at_checked(NAMED_BYTES)?;
        let (height, hash) = named.split_first_chunk::<8>()?;
        let height = Height::new(u64::from_be_bytes(*height));
        if sum == sha256(&[named]) { Some((height, hash.try_into().ok()?)) } else { None }
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
            newest: self.newest.path.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_changed_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let newest = Newest::open(folder.path()).unwrap();
        assert_eq!(newest.read().unwrap(), None);
        newest.write(Height::new(7), &[3; 32]).unwrap();
        newest.write(Height::new(8), &[4; 32]).unwrap();
        assert_eq!(newest.read().unwrap(), Some((Height::new(8), [4; 32])));
        let path = folder.path().join(FILE);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), BYTES);
        for at in 0..BYTES {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).unwrap();
            assert!(matches!(newest.read(), Err(StoreError::DamagedNewest { .. })), "byte {at}");
        }
        std::fs::write(&path, [bytes.as_slice(), &[0]].concat()).unwrap();
        assert!(newest.read().is_err());
    }
}
