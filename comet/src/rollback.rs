//! One height back: `CometBFT`'s own command, on a folder whose process does not run. It is tried on a copy of its state
//! first (its blocks, which it only reads, are not copied), so that a height that cannot be is refused before anything changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::binary::Binary;
use crate::error::CometError;
use crate::layout::Layout;

/// The folder of the copy, in `CometBFT`'s.
const REHEARSAL: &str = "rehearsal";

/// Takes `CometBFT`'s newest state back by one height and gives the height that it stands at then. The block stays, and
/// is executed again at the next start. A second call without a start between changes nothing more.
///
/// # Errors
/// There is nothing to go back to, it would stand below `lowest` (then nothing is changed), the process runs, or the program
/// cannot be run.
pub fn rollback(layout: &Layout, binary: &Binary, lowest: u64) -> Result<u64, CometError> {
    let rehearsal = layout.comet_home().join(REHEARSAL);
    remove(&rehearsal)?;
    let height = rehearse(layout, binary, &rehearsal);
    remove(&rehearsal)?;
    let height = height?;
    if height < lowest {
        return Err(CometError::RollbackBelow { height, lowest });
    }
    run(binary, &layout.comet_home())
}

fn rehearse(layout: &Layout, binary: &Binary, rehearsal: &Path) -> Result<u64, CometError> {
    let (from, to) = (layout.data(), rehearsal.join("data"));
    let (state, copy) = (from.join("state.db"), to.join("state.db"));
    fs::create_dir_all(&copy).map_err(CometError::file(&copy))?;
    for entry in fs::read_dir(&state).map_err(CometError::file(&state))? {
        let entry = entry.map_err(CometError::file(&state))?;
        let path = entry.path();
        fs::copy(&path, copy.join(entry.file_name())).map_err(CometError::file(&path))?;
    }
    let blocks = to.join("blockstore.db");
    symlink(from.join("blockstore.db"), &blocks).map_err(CometError::file(&blocks))?;
    run(binary, rehearsal)
}

fn remove(folder: &Path) -> Result<(), CometError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CometError::file(folder)(error)),
        _ => Ok(()),
    }
}

fn run(binary: &Binary, home: &Path) -> Result<u64, CometError> {
    let ran = Command::new(binary.path())
        .args(["rollback", "--home"])
        .arg(home)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| CometError::Run { path: binary.path().to_owned(), source })?;
    let said = String::from_utf8_lossy(&ran.stdout);
    height(&said).filter(|_| ran.status.success()).ok_or_else(|| {
        let error = String::from_utf8_lossy(&ran.stderr);
        let detail =
            error.lines().chain(said.lines()).find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        CometError::Rollback { detail: detail.trim().chars().take(300).collect() }
    })
}

/// From "Rolled back state to height 7 and hash AB…".
fn height(said: &str) -> Option<u64> {
    said.split_once("to height ")?.1.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_the_height_that_it_tells() {
        assert_eq!(super::height("Rolled back state to height 7 and hash ABCD\n"), Some(7));
        assert_eq!(super::height("failed to rollback state"), None);
    }
}
