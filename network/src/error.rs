//! What can be wrong with a plan, a validator's file, a genesis folder or a home. Every message names the file and the
//! field, the value, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use db3_comet::CometError;
use db3_genesis::{GenesisError, NetworkFileError};

/// Why a network cannot be made, checked or joined.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not TOML of the expected shape.
    #[error("{file}: {detail}")]
    Malformed {
        /// The file.
        file: String,
        /// Line, column and what was expected, as the parser tells it.
        detail: String,
    },
    /// A field holds something that it must not.
    #[error("{file}: `{field}` is `{value}`: {expected}")]
    Field {
        /// The file.
        file: String,
        /// Path of the field.
        field: String,
        /// What stands there.
        value: String,
        /// What should.
        expected: String,
    },
    /// Something is there already that must not be overwritten.
    #[error("{} is there already: {remedy}", path.display())]
    Taken {
        /// The file or folder.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
    },
    /// Something is not there that must be.
    #[error("there is no {}: {remedy}", path.display())]
    Missing {
        /// The file or folder.
        path: PathBuf,
        /// What to do.
        remedy: String,
    },
    /// Plan and validators make no genesis.
    #[error("{chain}: {source}")]
    Genesis {
        /// The chain.
        chain: String,
        /// What is wrong.
        source: GenesisError,
    },
    /// Plan and validators make no first state.
    #[error("{chain} has no first state: {detail}")]
    State {
        /// The chain.
        chain: String,
        /// What is wrong.
        detail: String,
    },
    /// Plan and validators make no network file.
    #[error(transparent)]
    NetworkFile(#[from] NetworkFileError),
    /// The keys of a node cannot be made or read.
    #[error(transparent)]
    Keys(#[from] CometError),
}

impl NetworkError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers pass what they have, often a temporary")]
    pub(crate) fn field(file: &str, field: impl Into<String>, value: impl ToString, expected: impl ToString) -> Self {
        Self::Field {
            file: file.to_owned(),
            field: field.into(),
            value: value.to_string(),
            expected: expected.to_string(),
        }
    }
}
