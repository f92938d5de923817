//! The whole state as lines of JSON: a header that names chain, height, time, root and the numbers of leaves and entries,
//! then one line per leaf, `{"key":"<hex>","value":"<hex>"}`, in key order, then one per entry of each log that the
//! state names, `{"log":"outbox <chain id>","entry":"<hex>"}`, in order. An entry of an inbox names the block that took it in,
//! `{"log":"inbox <chain id>","entry":"<hex>","height":"<decimal>","time":"<RFC 3339>"}`, unless it was at fault or this node
//! does not know the block. Before a log that begins later, by what the state says (an outbox does so at what the other chain
//! has acknowledged), stands the frontier that it goes on from: `{"log":"outbox <chain id>","begins":"<hex>"}`.

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::TransferError;
use crate::config::ChainConfig;
use crate::machine::Machine;
use crate::open::open;
use crate::store::Store;
use crate::store::logs::{NamedLog, missing_entry};
use crate::version::VersionOf;

/// The layout. (Layout 1 had the one outbox of a shard, without its name; layout 2 no blocks of entries, layout 3 every log
/// from its beginning, layout 4 every outbox.)
pub(super) const FORMAT: u32 = 5;

/// The first line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportHeader {
    /// Layout, 5.
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
    /// Number of entries of the logs that follow, decimal.
    pub log_entries: String,
}

/// A leaf.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeafLine<'a> {
    pub(super) key: std::borrow::Cow<'a, str>,
    pub(super) value: std::borrow::Cow<'a, str>,
}

/// An entry of a log.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryLine {
    pub(super) log: String,
    pub(super) entry: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) height: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<String>,
}

/// What the entries of a log go on from.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BeginsLine {
    pub(super) log: String,
    pub(super) begins: String,
}

/// Exports the newest provable state of a folder that no node has open; under `CometBFT` the snapshot's.
pub fn export<M: Machine>(config: ChainConfig, to: &mut dyn Write) -> Result<ExportHeader, TransferError> {
    let opened = open::<M>(config)?;
    let inner = &opened.app.inner;
    let version = opened.newest_proven()?.ok_or(TransferError::NoBlock)?;
    export_version(&inner.store, inner.genesis.chain_id().as_str(), &version, to)
}

/// Exports one version; `store` is of its chain.
pub fn export_version<M: Machine>(
    store: &Store,
    chain_id: &str,
    version: &VersionOf<M>,
    to: &mut dyn Write,
) -> Result<ExportHeader, TransferError> {
    let logs = M::logs(&version.state);
    let log_entries = logs.iter().fold(0_u64, |sum, named| sum.saturating_add(named.kept()));
    let tree = M::tree(&version.state);
    let header = ExportHeader {
        format: FORMAT,
        chain_id: chain_id.to_owned(),
        height: version.height.to_string(),
        time: version.time.rfc3339(),
        root: hex::encode(version.root),
        leaves: tree.len().to_string(),
        log_entries: log_entries.to_string(),
    };
    write_line(to, &header)?;
    for (key, value) in tree.range(&[], None) {
        write_line(to, &LeafLine { key: hex::encode(key).into(), value: hex::encode(value).into() })?;
    }
    for named in logs {
        if let Some(begins) = store.begins_of(&named)? {
            write_line(to, &BeginsLine { log: named.log.to_string(), begins })?;
        }
        let NamedLog { log, begins, frontier } = named;
        for index in begins..frontier.size() {
            let entry = store.log_entry(&log, index)?.ok_or_else(|| missing_entry(&log, index))?;
            let taken = M::taken_in(store, &log, index, &entry)?;
            let (height, time) = (taken.map(|at| at.height.to_string()), taken.map(|at| at.time.rfc3339()));
            write_line(to, &EntryLine { log: log.to_string(), entry: hex::encode(entry), height, time })?;
        }
    }
    to.flush()?;
    Ok(header)
}

fn write_line(to: &mut dyn Write, line: &impl Serialize) -> Result<(), TransferError> {
    serde_json::to_writer(&mut *to, line).map_err(std::io::Error::from)?;
    Ok(to.write_all(b"\n")?)
}
