//! Why `CometBFT` cannot be configured or started. Each text names the value and the remedy.

use std::path::{Path, PathBuf};

/// What is wrong on this side of `CometBFT`.
#[derive(Debug, thiserror::Error)]
pub enum CometError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of keys does not hold one.
    #[error("{}: {detail}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {detail}")]
    Random {
        /// What it said.
        detail: String,
    },
    /// A setting of `[cometbft]` cannot be.
    #[error("setting cometbft.{name} = {value}: {detail}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is expected.
        detail: String,
    },
    /// There is no `CometBFT`.
    #[error(
        "CometBFT {expected} is not installed (looked at {}): run scripts/install-cometbft, or name the program in \
         cometbft.binary",
        looked.join(", ")
    )]
    NoBinary {
        /// The version that is needed.
        expected: &'static str,
        /// Where it was looked for.
        looked: Vec<String>,
    },
    /// It is another version.
    #[error(
        "{} is CometBFT {found}, and this node speaks with {expected} alone: run scripts/install-cometbft, or name \
         another program in cometbft.binary",
        path.display()
    )]
    OtherVersion {
        /// The program.
        path: PathBuf,
        /// What it calls itself.
        found: String,
        /// The version that is needed.
        expected: &'static str,
    },
    /// A program could not be run.
    #[error("{} cannot be run: {source}", path.display())]
    Run {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It does not show what it has stored.
    #[error("CometBFT cannot show what it has stored in {}: {detail}", path.display())]
    Inspect {
        /// Its folder.
        path: PathBuf,
        /// What it said.
        detail: String,
    },
    /// It would go back too far.
    #[error("CometBFT would go back to height {height}, and {lowest} is the lowest possible: nothing was changed")]
    RollbackBelow {
        /// Height after it.
        height: u64,
        /// The lowest that was allowed.
        lowest: u64,
    },
    /// It could not go back by one height.
    #[error("CometBFT cannot go back: {detail}")]
    Rollback {
        /// What it said.
        detail: String,
    },
    /// A thread could not be started.
    #[error("the supervisor of CometBFT cannot start: {source}")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
}

impl CometError {
    /// An error about a file.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
