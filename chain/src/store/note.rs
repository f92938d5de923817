//! A small file beside the database that says one thing about it: `N` bytes ‖ SHA-256 of them (32).
//!
//! It is overwritten in place, within one sector of a disk, and never synced: after a power failure it may say what held
//! earlier, or nothing where it was just made. So nothing may be decided by what it does not say.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use db3_primitives::hash::sha256;

use super::StoreError;

const SUM_BYTES: u64 = 32;

/// The open file.
#[derive(Debug)]
pub(super) struct Note<const N: usize> {
    pub(super) path: PathBuf,
    file: File,
}

impl<const N: usize> Note<N> {
    /// Opens it, or makes it, empty.
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        match file {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(StoreError::File { path, source }),
        }
    }

    pub(super) fn write(&self, said: &[u8; N]) -> Result<(), StoreError> {
        let bytes = [said.as_slice(), &sha256(&[said])].concat();
        self.file.write_all_at(&bytes, 0).map_err(|source| StoreError::File { path: self.path.clone(), source })
    }

    /// What it says; none where nothing was written yet.
    pub(super) fn read(&self) -> Result<Option<[u8; N]>, StoreError> {
        let mut bytes = Vec::new();
        // Read by its name, so that the place in the open file does not matter.
        File::open(&self.path)
            .and_then(|file| file.take((N as u64).saturating_add(SUM_BYTES).saturating_add(1)).read_to_end(&mut bytes))
            .map_err(|source| StoreError::File { path: self.path.clone(), source })?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let said = bytes.split_first_chunk::<N>().filter(|(said, sum)| *sum == sha256(&[said.as_slice()]));
        match said {
            Some((said, _)) => Ok(Some(*said)),
            None => Err(StoreError::DamagedNote { path: self.path.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_changed_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        let note = Note::<40>::open(path.clone()).unwrap();
        assert_eq!(note.read().unwrap(), None);
        note.write(&[3; 40]).unwrap();
        note.write(&[4; 40]).unwrap();
        assert_eq!(note.read().unwrap(), Some([4; 40]));
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 72);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).unwrap();
            assert!(matches!(note.read(), Err(StoreError::DamagedNote { .. })), "byte {at}");
        }
        for wrong in [[bytes.as_slice(), &[0]].concat(), bytes[..71].to_vec(), bytes[..8].to_vec()] {
            std::fs::write(&path, wrong).unwrap();
            assert!(note.read().is_err());
        }
    }
}
