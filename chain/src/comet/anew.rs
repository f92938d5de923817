//! A node that begins anew from a snapshot by itself. Where the others decided a block with evidence from before its first
//! block, no start helps: `CometBFT` cannot judge it, and fetches no older header. Another snapshot does, of that block or a
//! later one. What this node has goes aside, what it has signed stays, and its own newest block, which the others have signed,
//! is what it trusts when it comes again; where it has none after its snapshot, what it trusted before.
//!
//! `<home>/anew.json` says so before anything is moved, so that a kill at any point is followed by the rest at the next start.

use std::fs::{self, File};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use db3_comet::{Layout, StateSyncSettings};
use db3_genesis::write_atomic;
use serde::{Deserialize, Serialize};

use crate::app::Inner;
use crate::config::ChainConfig;
use crate::error::StartError;
use crate::machine::Machine;
use crate::store::StoreError;
use crate::store::lock::HomeLock;

const FILE: &str = "anew.json";
const HOUR_SECS: u64 = 3_600;
/// What of the application goes aside: the database, and what is noted about it.
const OURS: [&str; 2] = ["data", "manifest"];

/// Where a node stood that begins anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Anew {
    /// It is past the state of this height, and could not go on from there.
    above: u64,
    /// Height of the block that it trusts.
    height: u64,
    /// Hash of that block's header, 64 hex digits.
    hash: String,
    /// Time of that block, Unix seconds.
    time: u64,
    /// The folder, in the home, that what it had goes into.
    aside: String,
    /// Whether all of it is there.
    moved: bool,
}

/// Notes that the node begins anew at its next start.
///
/// # Errors
/// Why it cannot do so by itself.
pub(super) fn prepare<M: Machine>(inner: &Inner<M>) -> Result<(), String> {
    let config = &inner.config;
    let (Some(sync), Some(_)) = (&config.cometbft.state_sync, config.sync_servers) else {
        return Err("[cometbft.state_sync] is not set".to_owned());
    };
    let newest = inner.versions.committed();
    let above = newest.height.get();
    let executed = inner.store.summary(newest.height).map_err(|error| error.to_string())?;
    let (height, hash) = match executed {
        Some(block) => (above, hex::encode(block.hash)),
        None => (sync.trust_height, sync.trust_hash.clone()),
    };
    let aside = free_name(&config.home);
    let anew = Anew { above, height, hash, time: newest.time.secs, aside, moved: false };
    if !anew.is_young(sync, inner.clock.now().secs) {
        let hours = sync.trust_hours;
        return Err(format!("its newest block, {above}, is older than state_sync.trust_hours ({hours}) allow"));
    }
    anew.write(&config.home).map_err(|error| error.to_string())
}

/// Where that was noted, puts aside what the node had, and has it trust its own newest block instead of an older one that the
/// settings name. Nothing is done where state sync is not set (any more).
pub(crate) fn take_up(config: &mut ChainConfig, now_secs: u64) -> Result<(), StartError> {
    let Some(sync) = &mut config.cometbft.state_sync else { return Ok(()) };
    let Some(mut anew) = Anew::read(&config.home)? else { return Ok(()) };
    if !anew.moved {
        let _lock = HomeLock::take(&config.home)?;
        anew.put_aside(&config.home)?;
        anew.moved = true;
        anew.write(&config.home)?;
        tracing::warn!(above = anew.above, aside = anew.aside, "chain.anew: what was there is put aside");
    }
    config.sync_above = anew.above;
    if anew.height > sync.trust_height && anew.is_young(sync, now_secs) {
        (sync.trust_height, sync.trust_hash) = (anew.height, anew.hash);
    }
    Ok(())
}

impl Anew {
    fn read(home: &Path) -> Result<Option<Self>, StoreError> {
        let path = home.join(FILE);
        let failed = |source| StoreError::File { path: path.clone(), source };
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed(Error::other(error))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn write(&self, home: &Path) -> Result<(), StoreError> {
        let path = home.join(FILE);
        let text = serde_json::to_vec_pretty(self).map_err(Error::other);
        text.and_then(|text| write_atomic(&path, &text)).map_err(|source| StoreError::File { path, source })
    }

    /// Whether a light client may still begin with this block.
    fn is_young(&self, sync: &StateSyncSettings, now_secs: u64) -> bool {
        now_secs < self.time.saturating_add(sync.trust_hours.saturating_mul(HOUR_SECS))
    }

    fn put_aside(&self, home: &Path) -> Result<(), StartError> {
        let aside = home.join(&self.aside);
        let failed = |path: PathBuf| move |source| StoreError::File { path, source };
        let comet = aside.join("cometbft");
        fs::create_dir_all(&comet).map_err(failed(comet.clone()))?;
        let layout = Layout::new(home)?;
        // CometBFT's first: without it and with the rest a start says what is wrong, and changes nothing.
        layout.put_data_aside(&comet).map_err(failed(layout.data()))?;
        for name in OURS {
            let path = home.join(name);
            match fs::rename(&path, aside.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(path)(error).into()),
                _ => {}
            }
        }
        // Before it is noted as done; the home itself is synced with the note.
        for folder in [layout.data(), comet, aside] {
            File::open(&folder).and_then(|file| file.sync_all()).map_err(failed(folder))?;
        }
        Ok(())
    }
}

/// `aside-1`, or the next that is free.
fn free_name(home: &Path) -> String {
    let mut names = (1..=u32::MAX).map(|number| format!("aside-{number}"));
    names.find(|name| !home.join(name).exists()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use tempfile::TempDir;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn anew(moved: bool) -> Anew {
        Anew { above: 706, height: 706, hash: "ab".repeat(32), time: NOW - 60, aside: "aside-1".to_owned(), moved }
    }

    /// A home with files, and its settings, which trust a block of long ago.
    fn home(anew: Option<&Anew>) -> (TempDir, ChainConfig) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        for path in ["data/CURRENT", "cometbft/data/state.db/1.ldb", "cometbft/data/blockstore.db/1.ldb"] {
            let path = home.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"old").unwrap();
        }
        fs::write(home.join("manifest"), b"note").unwrap();
        fs::write(home.join("cometbft/data/priv_validator_state.json"), b"signed").unwrap();
        if let Some(anew) = anew {
            anew.write(home).unwrap();
        }
        let mut config = ChainConfig::new(home);
        config.cometbft.state_sync = Some(StateSyncSettings {
            trust_height: 100,
            trust_hash: "cd".repeat(32),
            peers: vec!["http://a:1".to_owned(), "http://b:1".to_owned()],
            trust_hours: 1,
        });
        (folder, config)
    }

    fn trusted(config: &ChainConfig) -> u64 {
        config.cometbft.state_sync.as_ref().unwrap().trust_height
    }

    fn is_moved(folder: &TempDir) -> bool {
        let home = folder.path();
        let gone = ["data", "manifest", "cometbft/data/state.db", "cometbft/data/blockstore.db"];
        let aside = ["data/CURRENT", "manifest", "cometbft/state.db/1.ldb", "cometbft/blockstore.db/1.ldb"];
        assert_eq!(fs::read(home.join("cometbft/data/priv_validator_state.json")).unwrap(), b"signed");
        gone.iter().all(|path| !home.join(path).exists())
            && aside.iter().all(|path| home.join("aside-1").join(path).exists())
    }

    #[test]
    fn what_there_was_goes_aside_but_what_was_signed_and_the_own_block_is_trusted() {
        let (folder, mut config) = home(Some(&anew(false)));
        take_up(&mut config, NOW).unwrap();
        assert!(is_moved(&folder));
        assert_eq!((trusted(&config), config.sync_above), (706, 706));
        assert_eq!(free_name(folder.path()), "aside-2");
        // What comes after it is the node's again.
        fs::create_dir(folder.path().join("data")).unwrap();
        let mut again = home(None).1;
        again.home = folder.path().to_owned();
        take_up(&mut again, NOW).unwrap();
        assert!(folder.path().join("data").exists());
        assert_eq!((trusted(&again), again.sync_above), (706, 706));
    }

    #[test]
    fn a_kill_on_the_way_is_followed_by_the_rest() {
        let (folder, mut config) = home(Some(&anew(false)));
        let aside = folder.path().join("aside-1/cometbft");
        fs::create_dir_all(&aside).unwrap();
        fs::rename(folder.path().join("cometbft/data/state.db"), aside.join("state.db")).unwrap();
        take_up(&mut config, NOW).unwrap();
        assert!(is_moved(&folder));
    }

    #[test]
    fn nothing_moves_where_nothing_was_noted_or_no_state_sync_can_follow() {
        let (folder, mut config) = home(None);
        take_up(&mut config, NOW).unwrap();
        assert!(!is_moved(&folder) && config.sync_above == 0 && trusted(&config) == 100);
        let (folder, mut config) = home(Some(&anew(false)));
        config.cometbft.state_sync = None;
        take_up(&mut config, NOW).unwrap();
        assert!(folder.path().join("data/CURRENT").exists());
        fs::write(folder.path().join(FILE), b"{").unwrap();
        config.cometbft.state_sync = home(None).1.cometbft.state_sync;
        assert!(take_up(&mut config, NOW).is_err(), "it cannot be read");
    }

    #[test]
    fn a_block_that_is_too_old_or_older_than_the_operators_is_not_trusted() {
        let (_folder, mut config) = home(Some(&anew(true)));
        take_up(&mut config, NOW + HOUR_SECS).unwrap();
        assert_eq!((trusted(&config), config.sync_above), (100, 706));
        config.cometbft.state_sync.as_mut().unwrap().trust_height = 900;
        take_up(&mut config, NOW).unwrap();
        assert_eq!(trusted(&config), 900);
    }
}
