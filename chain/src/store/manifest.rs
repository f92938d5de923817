//! How far the database's list of its files had come, beside the database: so that a list that lost its end is not taken
//! for that of a younger database.
//!
//! `RocksDB` appends to `data/MANIFEST-<number>` which tables and logs belong to it; `data/CURRENT` names the file. A list
//! that ends early, or in zeros, is to it one that was never written on: tables that were named after that are
//! removed, and rows of receipts and bills are gone.
//!
//! `<home>/manifest`, a [`note`](super::note): number (8, big endian) ‖ length (8) ‖ SHA-256 of its so many first bytes
//! (32). It is written when the database was opened, with every block and when it is closed, wherever the list has grown,
//! after that was synced: it may name less than what is on the disk, never more. A list with another number is not
//! compared: one is begun at each start, and when the old one has grown too long.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use db3_primitives::Hash32;
use db3_primitives::hash::sha256;

use super::StoreError;
use super::note::Note;
use crate::lock;

const FILE: &str = "manifest";
const BYTES: usize = 48;

/// The list is begun anew when it has become so long, so that reading it costs little.
pub(super) const LIST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The open note, and what it says.
#[derive(Debug)]
pub(super) struct Manifest {
    note: Note<BYTES>,
    data: PathBuf,
    /// Number and length that were noted last.
    noted: Mutex<Option<(u64, u64)>>,
}

/// What is noted of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    number: u64,
    length: u64,
    hash: Hash32,
}

impl Noted {
    fn bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let parts = [&self.number.to_be_bytes()[..], &self.length.to_be_bytes(), &self.hash];
        for (byte, value) in bytes.iter_mut().zip(parts.concat()) {
            *byte = value;
        }
        bytes
    }

    fn parse(bytes: &[u8; BYTES]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let (length, hash) = rest.split_first_chunk()?;
        let (number, length) = (u64::from_be_bytes(*number), u64::from_be_bytes(*length));
        Some(Self { number, length, hash: hash.try_into().ok()? })
    }
}

/// The list that the database goes by, and its number; none where `CURRENT` names none, which the database tells itself.
fn current(data: &Path) -> Result<Option<(PathBuf, u64)>, StoreError> {
    let path = data.join("CURRENT");
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::File { path, source }),
    };
    let name = text.trim_end();
    let number = name.strip_prefix("MANIFEST-").and_then(|number| number.parse().ok());
    Ok(number.map(|number| (data.join(name), number)))
}

/// So many first bytes of a file; fewer where it is shorter.
fn beginning(file: File, length: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Manifest {
    /// Compares the list in `<home>/data`, which nobody has open, with what was noted of it.
    pub(super) fn open(home: &Path, data: &Path) -> Result<Self, StoreError> {
        let note = Note::open(home.join(FILE))?;
        let noted = note.read()?.and_then(|bytes| Noted::parse(&bytes));
        if let (Some(noted), Some((path, number))) = (noted, current(data)?)
            && noted.number == number
        {
            let read = File::open(&path).and_then(|file| beginning(file, noted.length));
            let bytes = match read {
                Ok(bytes) => bytes,
                Err(source) if source.kind() == ErrorKind::NotFound => {
                    return Err(StoreError::missing("the database's list of files", path.display()));
                }
                Err(source) => return Err(StoreError::File { path, source }),
            };
            let damaged = |detail: String| {
                let at = path.display().to_string();
                Err(StoreError::Damaged { what: "the database's list of files", at, detail })
            };
            let by_note = format!(
                "by {}; only where the whole folder data was put here from a copy, remove that file, and start again",
                home.join(FILE).display()
            );
            if (bytes.len() as u64) < noted.length {
                return damaged(format!("holds {} bytes, and {} were written, {by_note}", bytes.len(), noted.length));
            }
            if sha256(&[&bytes]) != noted.hash {
                let length = noted.length;
                return damaged(format!("holds other bytes among the first {length} than were written, {by_note}"));
            }
        }
        Ok(Self { note, data: data.to_owned(), noted: Mutex::default() })
    }

    /// Notes how far the list has come, if it has grown.
    pub(super) fn keep(&self) -> Result<(), StoreError> {
        let Some((path, number)) = current(&self.data)? else { return Ok(()) };
        let mut before = lock(&self.noted);
        let failed = |source| StoreError::File { path: path.clone(), source };
        let length = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            // Another list was begun just now; its turn is the next time.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(failed(source)),
        };
        if *before == Some((number, length)) {
            return Ok(());
        }
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(failed(source)),
        };
        // The database syncs what it appends, but may be about to.
        file.sync_data().map_err(failed)?;
        let hash = sha256(&[&beginning(file, length).map_err(failed)?]);
        self.note.write(&Noted { number, length, hash }.bytes())?;
        *before = Some((number, length));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// A list as the database leaves it, and the note about it.
    fn noted(list: &[u8]) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("CURRENT"), "MANIFEST-000005\n").unwrap();
        let path = data.join("MANIFEST-000005");
        fs::write(&path, list).unwrap();
        Manifest::open(folder.path(), &data).unwrap().keep().unwrap();
        (folder, data, path)
    }

    #[test]
    fn a_list_that_lost_its_end_is_told_and_one_that_grew_is_not() {
        let (folder, data, path) = noted(b"tables and logs");
        let told = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            Manifest::open(folder.path(), &data).err().map(|error| error.to_string())
        };
        assert_eq!(told(b"tables and logs"), None);
        assert_eq!(told(b"tables and logs and more"), None);
        for damaged in [&b"tables and log"[..], b"tables \0\0\0\0\0\0\0\0", b"", b"tables And logs"] {
            let text = told(damaged).unwrap();
            assert!(
                text.contains("MANIFEST-000005") && text.contains("backup") && text.contains("remove that file"),
                "{text}"
            );
        }
        fs::remove_file(&path).unwrap();
        assert!(Manifest::open(folder.path(), &data).is_err());
    }

    #[test]
    fn what_was_added_is_noted_and_another_list_is_not_compared() {
        let (folder, data, path) = noted(b"tables");
        let manifest = Manifest::open(folder.path(), &data).unwrap();
        fs::write(&path, b"tables and logs").unwrap();
        manifest.keep().unwrap();
        fs::write(&path, b"tables and").unwrap();
        assert!(Manifest::open(folder.path(), &data).is_err());
        fs::write(data.join("CURRENT"), "MANIFEST-000009\n").unwrap();
        fs::write(data.join("MANIFEST-000009"), b"new").unwrap();
        Manifest::open(folder.path(), &data).unwrap().keep().unwrap();
        fs::write(data.join("MANIFEST-000009"), b"").unwrap();
        assert!(Manifest::open(folder.path(), &data).is_err());
        // Without the note nothing is compared.
        fs::remove_file(folder.path().join(FILE)).unwrap();
        Manifest::open(folder.path(), &data).unwrap();
    }
}
