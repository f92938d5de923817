//! The devnet's folder: where things stand in it, what it was made with, and the lock that one process holds.
//!
//! ```text
//! <home>/devnet.json     what the network was made with
//! <home>/network.toml    the network file for clients
//! <home>/ready.json      written once the network serves, removed when it stops
//! <home>/keystore/       dev0.json …
//! <home>/<chain id>/     home of a chain's node
//! <home>/control.sock    stop, status, advance, fund
//! <home>/devnet.lock     locked while a devnet runs here
//! <home>/devnet.log      output of a detached devnet
//! ```
//! `reset` removes a folder only if it holds a `devnet.json`: it must never remove anything else.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use db3_genesis::write_atomic;
use db3_primitives::ChainId;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// A devnet's folder.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
    client: PathBuf,
    is_default: bool,
}

/// What a network was made with; fixed until `reset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Layout of this file; 2.
    pub format: u32,
    /// When its chains begin, RFC 3339; none in a file of another layout.
    #[serde(default)]
    pub time: String,
    /// Number of shard chains.
    pub shards: u32,
    /// Length of an epoch in seconds.
    pub epoch_secs: u64,
    /// Number of development accounts.
    pub accounts: u32,
    /// Accounts beside them that were funded.
    pub funded: Vec<String>,
}

/// Held while a devnet runs in the folder.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Home {
    /// The folder that was asked for, or `$DB3_HOME/devnet`.
    pub fn find(asked: Option<&Path>) -> Result<Self> {
        let db3_home = db3_home()?;
        let default = db3_home.join("devnet");
        let path = match asked {
            Some(path) => std::path::absolute(path).with_context(|| format!("--home {}", path.display()))?,
            None => default.clone(),
        };
        Ok(Self { is_default: path == default, path, client: db3_home })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `$DB3_HOME`, where the client keeps its networks; none if this devnet stands elsewhere.
    pub fn client_home(&self) -> Option<&Path> {
        self.is_default.then_some(self.client.as_path())
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The network file.
    pub fn network_file(&self) -> PathBuf {
        self.file("network.toml")
    }

    /// The ready file.
    pub fn ready_file(&self) -> PathBuf {
        self.file("ready.json")
    }

    /// The control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.file("control.sock")
    }

    /// The keystore's folder.
    pub fn keystore(&self) -> PathBuf {
        self.file("keystore")
    }

    /// The output of a detached devnet.
    pub fn log(&self) -> PathBuf {
        self.file("devnet.log")
    }

    /// Home of a chain's node.
    pub fn chain(&self, chain_id: &ChainId) -> PathBuf {
        self.path.join(chain_id.as_str())
    }

    /// What the network in this folder was made with; none if there is none.
    pub fn made(&self) -> Result<Option<Made>> {
        let path = self.file("devnet.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{} is damaged; `db3 devnet reset` removes this devnet", path.display()))
    }

    /// Keeps what the network was made with.
    pub fn keep_made(&self, made: &Made) -> Result<()> {
        let path = self.file("devnet.json");
        let text = serde_json::to_string_pretty(made)?;
        write_atomic(&path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Takes the folder for this process; none if another holds it.
    pub fn lock(&self) -> Result<Option<Lock>> {
        fs::create_dir_all(&self.path).with_context(|| format!("cannot make the folder {}", self.path.display()))?;
        let path = self.file("devnet.lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// True if a process holds the folder. Makes nothing.
    pub fn is_locked(&self) -> Result<bool> {
        if !self.file("devnet.lock").exists() {
            return Ok(false);
        }
        Ok(self.lock()?.is_none())
    }

    /// Removes the devnet in this folder, and what the client knows of it.
    pub fn remove(&self) -> Result<()> {
        if self.made()?.is_none() && self.path.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            bail!(Failure::Wrong(format!(
                "{} holds no devnet (no devnet.json), so it is left alone; name another folder with --home",
                self.path.display()
            )));
        }
        remove_if_there(fs::remove_dir_all(&self.path), &self.path)?;
        if let Some(client) = self.client_home() {
            let file = client.join("networks/devnet.toml");
            remove_if_there(fs::remove_file(&file), &file)?;
        }
        Ok(())
    }
}

/// `$DB3_HOME`, or `~/.db3`.
fn db3_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("DB3_HOME").filter(|home| !home.is_empty()) {
        return std::path::absolute(PathBuf::from(home)).context("DB3_HOME");
    }
    match std::env::home_dir() {
        Some(home) if !home.as_os_str().is_empty() => Ok(home.join(".db3")),
        _ => bail!(Failure::Wrong("no home folder is known; set DB3_HOME, or name a folder with --home".to_owned())),
    }
}

fn remove_if_there(removed: io::Result<()>, path: &Path) -> Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn home(path: &Path) -> Home {
        Home { path: path.to_owned(), client: path.to_owned(), is_default: false }
    }

    #[test]
    fn a_folder_that_is_no_devnet_is_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letters.txt"), "dear").unwrap();
        let error = home(folder.path()).remove().unwrap_err();
        assert!(error.to_string().contains("holds no devnet"), "{error}");
        assert!(folder.path().join("letters.txt").exists());
    }

    #[test]
    fn only_one_process_at_a_time_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path());
        assert!(!home.is_locked().unwrap());
        let lock = home.lock().unwrap().unwrap();
        assert!(home.is_locked().unwrap());
        drop(lock);
        assert!(!home.is_locked().unwrap());
    }

    #[test]
    fn what_the_network_was_made_with_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path());
        assert_eq!(home.made().unwrap(), None);
        let made = Made { format: 2, time: String::new(), shards: 2, epoch_secs: 60, accounts: 10, funded: vec![] };
        home.keep_made(&made).unwrap();
        assert_eq!(home.made().unwrap(), Some(made));
    }
}
