//! One line of a history: what a client asked for and what it was told, with the times around it. docs/history.md
//! describes it for other programs.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// A call and its end.
#[expect(clippy::struct_field_names, reason = "the names of docs/history.md")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Who called. A client makes one call at a time.
    pub client: u32,
    /// Whether it asks for no newer state than it was told of itself; [`crate::heights`] says what that promises.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// What was called.
    pub call: Kind,
    /// With what.
    pub arguments: Arguments,
    /// How it ended.
    pub result: Outcome,
    /// Nanoseconds on the recorder's monotonic clock before the call was sent.
    pub start: u64,
    /// The same after its answer had come, or after the client had given up.
    pub end: u64,
    /// Address of the node that was asked.
    pub node: String,
}

/// What was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The record of a key.
    Read,
    /// A write that is applied whatever stands there.
    Put,
    /// A write that is applied only onto the version that it names.
    PutIf,
}

/// With what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The register.
    pub key: String,
    /// What is written; no two calls write the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The version that must stand there; 0: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_version: Option<u64>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// It took effect: a read saw this version (0: no record) with this value, a write made this version.
    Ok {
        /// Version that was read or written.
        version: u64,
        /// Value that was read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        /// Block after which this held.
        height: u64,
        /// Identifier of the mutation, in hex.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// A conditional write found another version and changed nothing; a block says so.
    Mismatch {
        /// Block that says so.
        height: u64,
        /// Identifier of the mutation, in hex.
        id: String,
    },
    /// It certainly had no effect, and says nothing about the register: a read without an answer, a write that was
    /// refused.
    None {
        /// Why.
        why: String,
    },
    /// A write of which it is not known whether it took effect, or will.
    Info {
        /// Why.
        why: String,
        /// Identifier of the mutation, in hex.
        id: String,
    },
}

impl Outcome {
    /// The block after which the answer held.
    pub fn height(&self) -> Option<u64> {
        match self {
            Self::Ok { height, .. } | Self::Mismatch { height, .. } => Some(*height),
            Self::None { .. } | Self::Info { .. } => None,
        }
    }

    /// The mutation, where one was sent that may have reached a block.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Ok { id, .. } => id.as_deref(),
            Self::Mismatch { id, .. } | Self::Info { id, .. } => Some(id),
            Self::None { .. } => None,
        }
    }
}

/// Reads a history; a last line without its end was being written when the recorder ended.
pub fn load(path: &Path) -> Result<Vec<Call>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut reader = BufReader::new(file);
    let (mut calls, mut line) = (Vec::new(), String::new());
    while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
        let number = calls.len().saturating_add(1);
        calls.push(serde_json::from_str(&line).with_context(|| format!("{}, line {number}", path.display()))?);
        line.clear();
    }
    Ok(calls)
}

/// Writes a whole history.
pub fn store(path: &Path, calls: &[Call]) -> Result<()> {
    let file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
    let mut writer = BufWriter::new(file);
    calls.iter().try_for_each(|call| write(&mut writer, call))?;
    Ok(writer.flush()?)
}

/// Writes one line.
pub fn write(to: &mut impl Write, call: &Call) -> Result<()> {
    let mut line = serde_json::to_vec(call)?;
    line.push(b'\n');
    Ok(to.write_all(&line)?)
}
