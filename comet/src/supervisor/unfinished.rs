//! What a kill in the middle of state sync leaves: `CometBFT` writes the state that came, then the votes for its block,
//! then the blocks that follow, each by itself, and does not start on a state without blocks (v0.38.26,
//! `blocksync/reactor.go`). There is no block to lose then: what is there goes aside, and state sync comes again.
//! Nothing is ever removed, and the signing state stays where it is.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use crate::layout::Layout;

/// How a process ends that has a state and no block: `state (40) and store (0)`.
pub(super) fn is_told(line: &str) -> bool {
    let height = line.strip_prefix("panic: state (").and_then(|rest| {
        rest.strip_suffix(") and store (0) height mismatch, stores were left in an inconsistent state")
    });
    height.is_some_and(|height| !height.is_empty() && height.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Puts aside what state sync left in `CometBFT`'s data, beside it. Gives where.
pub(super) fn put_aside(layout: &Layout) -> Result<PathBuf> {
    let aside = new_folder(&layout.comet_home())?;
    layout.put_data_aside(&aside)?;
    Ok(aside)
}

/// `unfinished-1`, or the next number that is free.
fn new_folder(beside: &Path) -> Result<PathBuf> {
    for number in 1..=u32::MAX {
        let folder = beside.join(format!("unfinished-{number}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(at(&folder, &error)),
        }
    }
    Err(Error::new(ErrorKind::AlreadyExists, format!("{}: no number is free", beside.display())))
}

fn at(path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::layout::SIGNED;

    #[test]
    fn everything_goes_aside_but_what_was_signed() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        let data = layout.data();
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join(SIGNED), b"{}").unwrap();
        for number in 1..3 {
            for name in ["state.db", "blockstore.db", "evidence.db", "cs.wal"] {
                fs::create_dir(data.join(name)).unwrap();
                fs::write(data.join(name).join("000001.log"), b"rows").unwrap();
            }
            let aside = put_aside(&layout).unwrap();
            assert!(aside.ends_with(format!("unfinished-{number}")), "{}", aside.display());
            assert_eq!(fs::read(aside.join("state.db").join("000001.log")).unwrap(), b"rows");
            let left: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, [SIGNED]);
        }
        fs::remove_dir_all(&data).unwrap();
        assert!(put_aside(&layout).is_err());
    }

    #[test]
    fn only_a_state_without_any_block_is_meant() {
        let said = |store: u64| {
            format!("panic: state (40) and store ({store}) height mismatch, stores were left in an inconsistent state")
        };
        assert!(is_told(&said(0)) && !is_told(&said(39)) && !is_told(&said(10)));
    }
}
