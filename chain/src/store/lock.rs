//! One process per folder: an advisory lock on `<home>/node.lock`. The system lets go of it when the process ends,
//! however it ends. The file holds the process's number, and on a second line, once the node listens, its address: for
//! those who look for the node from outside. Nothing is decided by what it says.

use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;

use super::StoreError;

/// Nobody writes more than this into the file.
const BYTES_MAX: u64 = 128;

/// The lock, held until dropped.
#[derive(Debug)]
pub struct HomeLock {
    file: Mutex<File>,
}

/// Who has a folder open, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Number of its process.
    pub pid: u32,
    /// Where it listens; none as long as it does not.
    pub listen: Option<SocketAddr>,
}

impl HomeLock {
    /// Takes the lock, or says who has it.
    pub fn take(home: &Path) -> Result<Self, StoreError> {
        let path = home.join("node.lock");
        let failed = |source| StoreError::File { path: path.clone(), source };
        fs::create_dir_all(home).map_err(failed)?;
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = read(&file).map(|holder| holder.pid);
                return Err(StoreError::Locked { home: home.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let lock = Self { file: Mutex::new(file) };
        lock.write(None).map_err(failed)?;
        Ok(lock)
    }

    /// Notes where the node listens.
    pub(crate) fn write(&self, listen: Option<SocketAddr>) -> std::io::Result<()> {
        let listen = listen.map_or_else(String::new, |listen| format!("{listen}\n"));
        let text = format!("{}\n{listen}", std::process::id());
        let mut file = crate::lock(&self.file);
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)
    }
}

/// Who has a folder open; none where nobody has, or where it has not said so yet.
#[must_use]
pub fn holder(home: &Path) -> Option<Holder> {
    let file = File::options().read(true).open(home.join("node.lock")).ok()?;
    match file.try_lock_shared() {
        // Whoever held it is gone.
        Ok(()) => None,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => read(&file),
    }
}

/// Where the node listens that has a folder open; none where there is none, or where it has not said so yet.
#[must_use]
pub fn announced(home: &Path) -> Option<SocketAddr> {
    holder(home)?.listen
}

fn read(file: &File) -> Option<Holder> {
    let mut text = String::new();
    // Whoever holds the lock may just be writing; then there is no answer yet.
    file.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    Some(Holder { pid, listen: lines.next().and_then(|line| line.trim().parse().ok()) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    #[test]
    fn whoever_holds_a_folder_says_where_it_listens() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(holder(folder.path()), None);
        let lock = HomeLock::take(folder.path()).unwrap();
        let pid = std::process::id();
        assert_eq!(holder(folder.path()), Some(Holder { pid, listen: None }));
        let listen = "127.0.0.1:7301".parse().unwrap();
        lock.write(Some(listen)).unwrap();
        assert_eq!(holder(folder.path()), Some(Holder { pid, listen: Some(listen) }));
        lock.write(None).unwrap();
        assert_eq!(holder(folder.path()), Some(Holder { pid, listen: None }));
        let Err(StoreError::Locked { pid: held, .. }) = HomeLock::take(folder.path()) else { panic!("taken twice") };
        assert_eq!(held, Some(pid));
        drop(lock);
        assert_eq!(holder(folder.path()), None);
    }
}
