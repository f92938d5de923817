//! What can go wrong with the files of a chain.

use std::io;
use std::path::{Path, PathBuf};

use db3_primitives::Hash32;

/// What helps when files are damaged.
macro_rules! remedy {
    () => {
        "keep the folder aside. On CometBFT begin with an empty folder, the old config and the newest \
         cometbft/data/priv_validator_state.json (an older one signs heights a second time), and sync the state; on the \
         embedded engine copy the folder from a backup that was taken while the node was stopped; or make a new one with \
         `snapshot restore`"
    };
}

/// Why the store cannot be used. All of it ends a running node: what is on disk decides what may be signed next. What comes of
/// [a lack of room](Self::is_for_want_of_room) a later start goes on from, everything else it does not.
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
    #[error("the database in {} cannot {doing}: {source}{}", data.display(), advice(source))]
    Database {
        /// Its folder.
        data: PathBuf,
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
    #[error("the data are damaged: {what} at {at} {detail}; {}", remedy!())]
    Damaged {
        /// Kind of row.
        what: &'static str,
        /// Its key.
        at: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A row that must be there is not.
    #[error("the data are damaged: {what} {at} is missing; {}", remedy!())]
    Missing {
        /// Kind of row.
        what: &'static str,
        /// Its key.
        at: String,
    },
    /// The state does not have the root that a header or a snapshot names.
    #[error(
        "the state at height {height} has the root 0x{}, but {by} says 0x{}; do not restart: the data are damaged or another program wrote them; {}",
        hex::encode(found),
        hex::encode(expected),
        remedy!()
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
    /// The newest blocks are gone: what is left is whole, but others have heard of more.
    #[error(
        "the data are damaged: the newest block in {} is {found}, but block {acknowledged} was acknowledged; {}. To go on from block {found} \
         knowingly, without what came after it, remove {}: the heights after it are signed a second time",
        data.display(),
        remedy!(),
        newest.display()
    )]
    CutOff {
        /// The database's folder.
        data: PathBuf,
        /// Its newest block; 0: none.
        found: u64,
        /// The block that others have heard of.
        acknowledged: u64,
        /// The file that says so.
        newest: PathBuf,
    },
    /// A note beside the database cannot be read.
    #[error(
        "the data are damaged: {} is not what this program writes: remove it, look with `check` whether the rest is whole, and if so start again",
        path.display()
    )]
    DamagedNote {
        /// The file.
        path: PathBuf,
    },
    /// The genesis is not the one that the folder began with.
    #[error(
        "{} has changed (SHA-256 {found}) since this folder began with it ({expected}): put the network's file back",
        path.display()
    )]
    OtherGenesis {
        /// The file.
        path: PathBuf,
        /// SHA-256 of it, in hex.
        found: String,
        /// SHA-256 of the one that the folder began with, in hex.
        expected: String,
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
    /// Whether starting again cannot help: nodes exit with 70. It can once a folder is free or named rightly, or there is room.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Locked { .. } | Self::OtherChain { .. }) && !self.is_for_want_of_room()
    }

    /// Whether the machine had no room: on the disk, in a quota, or for one more open file. What is on the disk is what was
    /// written, up to a place, as after a kill: once there is room, a start goes on from there.
    #[must_use]
    pub fn is_for_want_of_room(&self) -> bool {
        const TOO_MANY_FILES: [i32; 2] = [23, 24];
        match self {
            Self::File { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
                    || source.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
            }
            Self::Database { source, .. } => tells_want_of_room(source),
            _ => false,
        }
    }

    pub(crate) fn database(data: &Path, doing: &'static str) -> impl FnOnce(rocksdb::Error) -> Self {
        move |source| Self::Database { data: data.to_owned(), doing, source }
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

/// What to do about what the database says.
fn advice(source: &rocksdb::Error) -> &'static str {
    match source.kind() {
        rocksdb::ErrorKind::Corruption | rocksdb::ErrorKind::NotFound => {
            concat!("; its files are damaged: ", remedy!())
        }
        _ if tells_want_of_room(source) => "; make room and start again: what is on the disk is whole",
        rocksdb::ErrorKind::IOError => {
            concat!("; see that the disk has room and can be read and written, or, if files are damaged: ", remedy!())
        }
        _ => concat!("; if files are damaged: ", remedy!()),
    }
}

/// The database hands on the system's words alone.
fn tells_want_of_room(source: &rocksdb::Error) -> bool {
    let told = source.as_ref();
    ["No space left on device", "Disk quota exceeded", "Too many open files"].iter().any(|words| told.contains(words))
}

fn by(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}
