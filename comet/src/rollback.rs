//! One height back: `CometBFT`'s own command, on a folder whose process does not run.

use std::process::{Command, Stdio};

use crate::binary::Binary;
use crate::error::CometError;
use crate::layout::Layout;

/// Takes `CometBFT`'s newest state back by one height and gives the height that it stands at then. The block stays, and
/// is executed again at the next start. A second call without a start between changes nothing more.
///
/// # Errors
/// There is nothing to go back to, the process runs, or the program cannot be run.
pub fn rollback(layout: &Layout, binary: &Binary) -> Result<u64, CometError> {
    let ran = Command::new(binary.path())
        .args(["rollback", "--home"])
        .arg(layout.comet_home())
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
