//! What a kill in the middle of state sync leaves: `CometBFT` writes the state that came, then the votes for its block,
//! then the blocks that follow, each by itself, and does not start on a state without blocks (v0.38.26,
//! `blocksync/reactor.go`). There is no block to lose then: the state goes, and state sync comes again. The signing state
//! stays, whatever else does.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// What must never be signed a second time.
const SIGNED: &str = "priv_validator_state.json";
/// Where the state goes first: it is there as a whole or not at all.
const ASIDE: &str = "unfinished.db";

/// Whether `CometBFT` says that it has a state and no block.
pub(super) fn is_told(text: &str) -> bool {
    text.contains("and store (0) height mismatch, stores were left in an inconsistent state")
}

/// Removes what state sync left in `CometBFT`'s data.
pub(super) fn remove(data: &Path) -> Result<()> {
    let aside = data.join(ASIDE);
    if_there(fs::remove_dir_all(&aside)).map_err(|error| at(&aside, &error))?;
    if_there(fs::rename(data.join("state.db"), &aside)).map_err(|error| at(&aside, &error))?;
    for entry in fs::read_dir(data).map_err(|error| at(data, &error))? {
        let path = entry.map_err(|error| at(data, &error))?.path();
        if path.ends_with(SIGNED) {
            continue;
        }
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| at(&path, &error))?;
    }
    Ok(())
}

fn if_there(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn at(path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn everything_goes_but_what_was_signed() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        for name in ["state.db", "blockstore.db", "evidence.db", "cs.wal", ASIDE] {
            fs::create_dir(data.join(name)).unwrap();
            fs::write(data.join(name).join("000001.log"), b"rows").unwrap();
        }
        fs::write(data.join(SIGNED), b"{}").unwrap();
        for _ in 0..2 {
            remove(data).unwrap();
            let left: Vec<_> = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, [SIGNED]);
        }
        assert!(remove(&data.join("none")).is_err());
    }

    #[test]
    fn only_a_state_without_any_block_is_meant() {
        let said = |store: u64| {
            format!("panic: state (40) and store ({store}) height mismatch, stores were left in an inconsistent state")
        };
        assert!(is_told(&said(0)) && !is_told(&said(39)) && !is_told(&said(10)));
    }
}
