//! The whole state as lines of JSON: a header that names chain, height, time, root and number of leaves, then one line
//! per leaf, `{"key":"<hex>","value":"<hex>"}`, in key order.

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::TransferError;
use crate::config::ChainConfig;
use crate::open::open;
use crate::version::Version;

/// The only layout so far.
pub(super) const FORMAT: u32 = 1;

/// The first line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportHeader {
    /// Layout, 1.
    pub format: u32,
    /// Chain.
    pub chain_id: String,
    /// Height after whose block this is the state, decimal.
    pub height: String,
    /// Time of that block, RFC 3339.
    pub time: String,
    /// Root of the state, 64 hex digits.
    pub root: String,
    /// Number of leaves, decimal.
    pub leaves: String,
}

/// A leaf.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeafLine<'a> {
    pub(super) key: std::borrow::Cow<'a, str>,
    pub(super) value: std::borrow::Cow<'a, str>,
}

/// Exports the newest provable state of a folder that no node has open.
pub fn export(config: ChainConfig, to: &mut dyn Write) -> Result<ExportHeader, TransferError> {
    let opened = open(config)?;
    let inner = &opened.app.inner;
    let version = inner.versions.provable();
    if version.light_block.is_none() {
        return Err(TransferError::NoBlock);
    }
    export_version(inner.genesis.chain_id().as_str(), &version, to)
}

/// Exports one version.
pub fn export_version(chain_id: &str, version: &Version, to: &mut dyn Write) -> Result<ExportHeader, TransferError> {
    let tree = version.state.tree();
    let header = ExportHeader {
        format: FORMAT,
        chain_id: chain_id.to_owned(),
        height: version.height.to_string(),
        time: version.time.rfc3339(),
        root: hex::encode(version.root),
        leaves: tree.len().to_string(),
    };
    write_line(to, &header)?;
    for (key, value) in tree.range(&[], None) {
        write_line(to, &LeafLine { key: hex::encode(key).into(), value: hex::encode(value).into() })?;
    }
    to.flush()?;
    Ok(header)
}

fn write_line(to: &mut dyn Write, line: &impl Serialize) -> Result<(), TransferError> {
    serde_json::to_writer(&mut *to, line).map_err(std::io::Error::from)?;
    Ok(to.write_all(b"\n")?)
}
