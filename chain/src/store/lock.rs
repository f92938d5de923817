//! One process per folder: an advisory lock on `<home>/node.lock`, which holds the process's number. The system lets
//! go of it when the process ends, however it ends.

use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::StoreError;

/// The lock, held until dropped.
#[derive(Debug)]
pub struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Takes the lock, or says who has it.
    pub fn take(home: &Path) -> Result<Self, StoreError> {
        let path = home.join("node.lock");
        let failed = |source| StoreError::File { path: path.clone(), source };
        fs::create_dir_all(home).map_err(failed)?;
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Whoever holds the lock may just be writing its number; the answer is useful without it.
                let _ = file.read_to_string(&mut text);
                return Err(StoreError::Locked { home: home.to_owned(), pid: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}
