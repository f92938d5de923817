//! What can be wrong with a genesis document or a network file. Every message names the file or
//! field, the value, and what to do.

use std::io;
use std::path::PathBuf;

/// Why a genesis document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// The file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not JSON of the expected shape.
    #[error("{}: line {line}, column {column}: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was expected.
        detail: String,
    },
    /// A field holds something that it must not.
    #[error("genesis field `{field}` is `{value}`: {expected}")]
    Field {
        /// Path of the field.
        field: String,
        /// What stands there.
        value: String,
        /// What should.
        expected: String,
    },
}

/// What JSON's parser says is wrong, without the place, which whoever reports it names.
#[must_use]
pub fn json_fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

impl GenesisError {
    #[expect(clippy::needless_pass_by_value, reason = "callers pass what they have, often a temporary")]
    pub(crate) fn field(field: impl Into<String>, value: impl ToString, expected: impl ToString) -> Self {
        Self::Field { field: field.into(), value: value.to_string(), expected: expected.to_string() }
    }
}

/// Why a network file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkFileError {
    /// The file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML of the expected shape.
    #[error("{}: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected, as the parser tells it.
        detail: String,
    },
    /// A field holds something that it must not.
    #[error("network file field `{field}` is `{value}`: {expected}")]
    Field {
        /// Path of the field.
        field: String,
        /// What stands there.
        value: String,
        /// What should.
        expected: String,
    },
}

impl NetworkFileError {
    #[expect(clippy::needless_pass_by_value, reason = "callers pass what they have, often a temporary")]
    pub(crate) fn field(field: impl Into<String>, value: impl ToString, expected: impl ToString) -> Self {
        Self::Field { field: field.into(), value: value.to_string(), expected: expected.to_string() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_place_of_a_fault_is_told_once() {
        let error = serde_json::from_str::<Vec<u8>>("[1,\n x]").unwrap_err();
        assert_eq!(json_fault(&error), "expected value");
        let said = GenesisError::Malformed {
            path: PathBuf::from("genesis.json"),
            line: error.line(),
            column: error.column(),
            detail: json_fault(&error),
        };
        assert_eq!(said.to_string(), "genesis.json: line 2, column 2: expected value");
    }
}
