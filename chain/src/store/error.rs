//! What can go wrong with the files of a chain.

use std::io;
use std::path::PathBuf;

use db3_primitives::Hash32;

/// Why the store cannot be used. All of it is fatal for a running node: what is on disk decides what may be signed next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another chain of this process, has the folder open.
    #[error("{} is in use{}: stop that node first, or choose another --home", home.display(), by(*pid))]
    Locked {
        /// The folder.
        home: PathBuf,
        /// Who holds it, if it says so.
        pid: Option<u32>,
    },
    /// The database refused an operation.
    #[error("the database cannot {doing}: {source}")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        source: rocksdb::Error,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A row is not what this program writes.
    #[error("the data are damaged: {what} at {at} {detail}; restore a snapshot, or copy the folder from a backup")]
    Damaged {
        /// Kind of row.
        what: &'static str,
        /// Its key.
        at: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A row that must be there is not.
    #[error("the data are damaged: {what} {at} is missing; restore a snapshot, or copy the folder from a backup")]
    Missing {
        /// Kind of row.
        what: &'static str,
        /// Its key.
        at: String,
    },
    /// The state does not have the root that a header or a snapshot names.
    #[error(
        "the state at height {height} has the root 0x{}, but {by} says 0x{}; do not restart: the data are damaged or another program wrote them",
        hex::encode(found),
        hex::encode(expected)
    )]
    RootMismatch {
        /// Height of the state.
        height: u64,
        /// Root that was computed.
        found: Hash32,
        /// Root that was expected.
        expected: Hash32,
        /// Who expected it.
        by: &'static str,
    },
    /// The folder belongs to another chain.
    #[error("{} holds {found}, not {expected}: choose another --home", home.display())]
    OtherChain {
        /// The folder.
        home: PathBuf,
        /// Chain or layout that it holds.
        found: String,
        /// What was expected.
        expected: String,
    },
}

impl StoreError {
    pub(crate) fn database(doing: &'static str) -> impl FnOnce(rocksdb::Error) -> Self {
        move |source| Self::Database { doing, source }
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass what they have, often a temporary")]
    pub(crate) fn damaged(what: &'static str, key: &[u8], detail: impl ToString) -> Self {
        Self::Damaged { what, at: format!("0x{}", hex::encode(key)), detail: detail.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass what they have, often a temporary")]
    pub(crate) fn missing(what: &'static str, at: impl ToString) -> Self {
        Self::Missing { what, at: at.to_string() }
    }
}

fn by(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}
