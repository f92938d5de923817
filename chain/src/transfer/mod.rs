//! States that leave one folder and enter another: as lines to read ([`export`], [`import`]) and as files that every
//! node of a chain makes byte for byte the same ([`snapshot`]).
//!
//! All of it works on a folder that no node has open; a running chain writes a snapshot of a version it holds.

mod blocks;
mod chunk;
mod export;
mod import;
mod logs;
mod places;
mod restoring;
mod size;
pub mod snapshot;

use std::io;
use std::path::{Path, PathBuf};

pub use export::{ExportHeader, export, export_version};
pub use import::{ImportInput, import};
pub(crate) use restoring::{Bounds, ChunkFault, Restored, Restoring};

use crate::error::StartError;
use crate::store::StoreError;

/// Why a state could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The folder could not be opened, or made.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The files of the chain failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Reading or writing the stream failed.
    #[error("{0}")]
    Stream(#[from] io::Error),
    /// A line or a file is not what an export or a snapshot holds.
    #[error("{at}: {detail}")]
    Malformed {
        /// Line or file.
        at: String,
        /// What is wrong.
        detail: String,
    },
    /// The snapshot has no blocks.
    #[error(
        "{} holds a state without blocks, as nodes on CometBFT make it for state sync, and a node cannot go on from it \
         alone. A new node comes by [cometbft.state_sync]; for one that has begun: {}",
        path.display(),
        db3_comet::SYNC_ANEW
    )]
    NoBlocks {
        /// The snapshot.
        path: PathBuf,
    },
    /// Nothing can be proven yet.
    #[error(
        "no header names the state on the disk yet: start the node, and stop it after its first snapshot \
         (snapshot_interval_blocks)"
    )]
    NoBlock,
}

impl TransferError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass what they have, often a temporary")]
    fn malformed(at: impl ToString, detail: impl ToString) -> Self {
        Self::Malformed { at: at.to_string(), detail: detail.to_string() }
    }
}
