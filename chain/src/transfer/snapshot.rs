//! Snapshots as files: `<folder>/<height>/` with `manifest.json`, chunks of leaves and of the logs' entries, and the
//! blocks that a restored node goes on from.
//!
//! The manifest and the chunks are the same bytes on every node of a chain at a height. A chunk of leaves is a run of
//! key length (2) ‖ key ‖ value length (4) ‖ value in key order, a chunk of a log a run of entry length (4) ‖
//! entry in order, lengths big endian, from where the state says that the log begins: an outbox at what the other chain has
//! acknowledged. Of what stood before, the manifest holds the frontier. It needs no proof of its own: from where it stands the
//! state says, and by the entries no other one leads to the log's frontier that stands in the state. A chunk is cut before it
//! passes 8 MiB. `blocks.bin` (block and light block of the snapshot's height and of those after it, each as length (4) ‖
//! bytes), `places.bin` (the blocks that took in the entries of inboxes) and `genesis.json` are beside them: a commit may name
//! other signers on another node, and no root covers a place. `by-hand`, empty, says that a hand made it.
//!
//! A restored folder has the state and its logs, not the bills and receipts of blocks before it. It has no
//! validator key: a key must never run in two places. Move it, after the old node has stopped for good.

use std::fs;
use std::path::{Path, PathBuf};

use db3_genesis::{GenesisDocument, write_atomic};
use db3_primitives::{BlockTime, Height};
use serde::{Deserialize, Serialize};

pub use super::chunk::Chunk;
use super::chunk::{ChunkWriter, Rest, read_chunk};
use super::logs::Logs;
use super::places::{Places, PlacesWriter};
use super::size::Due;
use super::{TransferError, blocks};
use crate::config::{ChainConfig, EngineKind};
use crate::error::StartError;
use crate::init::{check_empty, genesis_file, write_settings};
use crate::machine::{At, Machine};
use crate::open::{open, state_of};
use crate::store::Store;
use crate::store::logs::{Log, NamedLog, missing_entry};
use crate::store::snapshot::{SnapshotMeta, TreeBuilder};
use crate::version::VersionOf;

/// The layout; state sync names it as its format.
pub(crate) const FORMAT: u32 = 5;

const BLOCKS_FILE: &str = "blocks.bin";
const PLACES_FILE: &str = "places.bin";
/// Stands beside the manifest of a snapshot that `make` wrote, empty.
const BY_HAND_FILE: &str = "by-hand";

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
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
    /// Chunks of leaves, in order.
    pub state: Vec<Chunk>,
    /// The logs that the state names.
    pub logs: Vec<LogFiles>,
}

/// The files of one log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFiles {
    /// Which: `outbox <chain id>`, `inbox <chain id>` or `postings`.
    pub log: String,
    /// The frontier that its first entry here follows, in hex digits; none where all entries are here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<String>,
    /// Number of its entries here, decimal.
    pub entries: String,
    /// Its chunks, in order.
    pub chunks: Vec<Chunk>,
}

impl Manifest {
    /// Which state it is.
    pub(super) fn meta(&self) -> Result<SnapshotMeta, TransferError> {
        let wrong = |field: &str| TransferError::malformed("manifest.json", format!("{field} is none"));
        let mut root = [0; 32];
        hex::decode_to_slice(&self.root, &mut root).map_err(|_| wrong("root"))?;
        let height: Height = self.height.parse().map_err(|_| wrong("height"))?;
        let time = BlockTime::parse_rfc3339(&self.time).map_err(|_| wrong("time"))?;
        Ok(SnapshotMeta { height, time, root })
    }

    /// Every chunk.
    pub fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.state.iter().chain(self.logs.iter().flat_map(|log| &log.chunks))
    }
}

/// Where a folder keeps its snapshots.
#[must_use]
pub fn snapshots_folder(home: &Path) -> PathBuf {
    home.join("snapshots")
}

/// What is in a folder of snapshots.
#[derive(Debug, Default)]
pub struct Listed {
    /// The snapshots, newest first.
    pub whole: Vec<(PathBuf, Manifest)>,
    /// Folders whose manifest cannot be read, as one of another layout, and why.
    pub unreadable: Vec<(PathBuf, TransferError)>,
    /// Folders without a manifest: a snapshot that is being made, or was ended while it was.
    pub unfinished: Vec<PathBuf>,
}

/// The snapshots in a folder.
pub fn list(folder: &Path) -> Result<Listed, TransferError> {
    let mut found = Listed::default();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(source) => return Err(TransferError::File { path: folder.to_owned(), source }),
    };
    for entry in entries {
        let path = entry.map_err(TransferError::file(folder))?.path();
        if !path.join("manifest.json").exists() {
            found.unfinished.push(path);
            continue;
        }
        match read_manifest(&path) {
            Ok(manifest) => found.whole.push((path, manifest)),
            Err(error) => found.unreadable.push((path, error)),
        }
    }
    found.whole.sort_by_key(|(_, manifest)| std::cmp::Reverse(manifest.height.parse::<u64>().unwrap_or(0)));
    Ok(found)
}

/// Brings a folder that no node has open to its newest block and writes a snapshot of its newest provable state into
/// `<home>/snapshots`, where it stays until somebody removes it. Under `CometBFT` it is the state on the disk, without the
/// blocks: what state sync hands out.
pub fn make<M: Machine>(config: ChainConfig) -> Result<(PathBuf, Manifest), TransferError> {
    let home = config.home.clone();
    let opened = open::<M>(config)?;
    let inner = &opened.app.inner;
    let version = opened.newest_proven()?.ok_or(TransferError::NoBlock)?;
    if inner.config.engine == EngineKind::CometBft {
        let made = write_for_sync::<M>(&inner.store, &inner.genesis, &version, &snapshots_folder(&home))?;
        let mark = made.0.join(BY_HAND_FILE);
        write_atomic(&mark, &[]).map_err(TransferError::file(&mark))?;
        return Ok(made);
    }
    let meta = SnapshotMeta { height: version.height, time: version.time, root: version.root };
    inner.store.advance_snapshot(Some(&opened.durable.tree), M::tree(&version.state), &meta)?;
    inner.store.sync()?;
    write::<M>(&inner.store, &inner.genesis, &version, &snapshots_folder(&home))
}

/// Whether [`make`] wrote a snapshot: then nobody else removes it.
pub(crate) fn is_by_hand(snapshot: &Path) -> bool {
    snapshot.join(BY_HAND_FILE).exists() || snapshot.join(BLOCKS_FILE).exists()
}

/// Writes a snapshot of a provable version into `<folder>/<height>`; one that is there already stays.
pub fn write<M: Machine>(
    store: &Store,
    genesis: &GenesisDocument,
    version: &VersionOf<M>,
    folder: &Path,
) -> Result<(PathBuf, Manifest), TransferError> {
    write_files(store, genesis, version, folder, true)
}

/// The same without the blocks, which `CometBFT` has: what state sync hands out.
pub(crate) fn write_for_sync<M: Machine>(
    store: &Store,
    genesis: &GenesisDocument,
    version: &VersionOf<M>,
    folder: &Path,
) -> Result<(PathBuf, Manifest), TransferError> {
    write_files(store, genesis, version, folder, false)
}

fn write_files<M: Machine>(
    store: &Store,
    genesis: &GenesisDocument,
    version: &VersionOf<M>,
    folder: &Path,
    with_blocks: bool,
) -> Result<(PathBuf, Manifest), TransferError> {
    let path = folder.join(version.height.to_string());
    if path.join("manifest.json").exists() {
        let manifest = read_manifest(&path)?;
        return Ok((path, manifest));
    }
    let tree = M::tree(&version.state);
    let mut chunks = ChunkWriter::new(&path, "state");
    for (key, value) in tree.range(&[], None) {
        let lengths = (u16::try_from(key.len()), u32::try_from(value.len()));
        let (Ok(key_bytes), Ok(value_bytes)) = lengths else {
            return Err(TransferError::malformed("state", "a leaf is too long"));
        };
        chunks.add(&[&key_bytes.to_be_bytes(), key, &value_bytes.to_be_bytes(), value])?;
    }
    let state = chunks.finish()?;
    let mut logs = Vec::new();
    let mut places = if with_blocks { Some(PlacesWriter::new(&path.join(PLACES_FILE))?) } else { None };
    for (number, named) in M::logs(&version.state).into_iter().enumerate() {
        let mut chunks = ChunkWriter::new(&path, format!("log-{number:03}"));
        let NamedLog { log, begins, frontier } = &named;
        for index in *begins..frontier.size() {
            let entry = store.log_entry(log, index)?.ok_or_else(|| missing_entry(log, index))?;
            let bytes = u32::try_from(entry.len()).unwrap_or(u32::MAX);
            chunks.add(&[&bytes.to_be_bytes(), &entry])?;
            if let (Some(places), Log::Inbox(_)) = (&mut places, log) {
                places.add(M::taken_in(store, log, index, &entry)?)?;
            }
        }
        let begins = store.begins_of(&named)?;
        logs.push(LogFiles {
            log: log.to_string(),
            begins,
            entries: named.kept().to_string(),
            chunks: chunks.finish()?,
        });
    }
    if let Some(places) = places {
        places.finish()?;
    }
    if with_blocks {
        blocks::write(store, genesis, version, &path.join(BLOCKS_FILE))?;
    }
    genesis.save(&path.join("genesis.json")).map_err(StartError::from)?;
    let manifest = Manifest {
        format: FORMAT,
        chain_id: genesis.chain_id().as_str().to_owned(),
        height: version.height.to_string(),
        time: version.time.rfc3339(),
        root: hex::encode(version.root),
        leaves: tree.len().to_string(),
        state,
        logs,
    };
    let file = path.join("manifest.json");
    let mut text = serde_json::to_string_pretty(&manifest).map_err(std::io::Error::from)?;
    text.push('\n');
    // Last, so that a folder with a manifest is a whole snapshot.
    write_atomic(&file, text.as_bytes()).map_err(TransferError::file(&file))?;
    Ok((path, manifest))
}

/// Makes a folder from a snapshot: every chunk's hash, the state's root and the next header's must agree, and that
/// header must be signed by whom the genesis names.
pub fn restore<M: Machine>(home: &Path, snapshot: &Path, settings: &ChainConfig) -> Result<Manifest, TransferError> {
    check_empty(home)?;
    let manifest = read_manifest(snapshot)?;
    if !snapshot.join(BLOCKS_FILE).exists() {
        return Err(TransferError::NoBlocks { path: snapshot.to_owned() });
    }
    let genesis = GenesisDocument::load(&snapshot.join("genesis.json")).map_err(StartError::from)?;
    M::check_kind(&genesis)?;
    if genesis.chain_id().as_str() != manifest.chain_id {
        let detail = format!("is of {}, the manifest of {}", genesis.chain_id().as_str(), manifest.chain_id);
        return Err(TransferError::malformed("genesis.json", detail));
    }
    let meta = manifest.meta()?;
    let mut due = Due::of(&manifest)?;
    let mut builder = TreeBuilder::default();
    for chunk in &manifest.state {
        add_leaves(&mut builder, chunk, &read_chunk(snapshot, chunk)?, &mut due)?;
    }
    let state = state_of::<M>(builder.finish(&meta)?)?;
    let logs = read_logs(snapshot, &manifest, At { height: meta.height, time: meta.time }, &mut due)?;
    due.end()?;
    logs.check::<M>("manifest.json", &state)?;
    let store = Store::open::<M>(home, &manifest.chain_id)?;
    logs.write::<M>(&store, &state)?;
    blocks::restore(&store, &snapshot.join(BLOCKS_FILE), &meta, &genesis)?;
    store.advance_snapshot(None, M::tree(&state), &meta)?;
    store.sync()?;
    write_settings(home, settings)?;
    genesis.save(&genesis_file(home)).map_err(StartError::from)?;
    Ok(manifest)
}

/// Adds the leaves of a chunk.
pub(super) fn add_leaves(
    builder: &mut TreeBuilder,
    chunk: &Chunk,
    bytes: &[u8],
    due: &mut Due,
) -> Result<(), TransferError> {
    let mut rest = Rest { bytes, file: &chunk.file };
    while !rest.bytes.is_empty() {
        due.take(&chunk.file)?;
        let key = rest.length::<2>().and_then(|length| rest.take(length))?;
        let value = rest.length::<4>().and_then(|length| rest.take(length))?;
        builder.add(key.to_vec(), value.to_vec())?;
    }
    Ok(())
}

/// Adds the entries of a chunk of a log; `places` tells of an inbox which block took them in.
pub(super) fn add_entries(
    logs: &mut Logs,
    log: &Log,
    chunk: &Chunk,
    bytes: &[u8],
    mut places: Option<&mut Places>,
    due: &mut Due,
) -> Result<(), TransferError> {
    let mut rest = Rest { bytes, file: &chunk.file };
    while !rest.bytes.is_empty() {
        due.take(&chunk.file)?;
        let entry = rest.length::<4>().and_then(|length| rest.take(length))?.to_vec();
        let taken = match (log, &mut places) {
            (Log::Inbox(_), Some(places)) => places.next()?,
            (Log::Inbox(_) | Log::Outbox(_) | Log::Postings, _) => None,
        };
        logs.add(&chunk.file, log.clone(), entry, taken)?;
    }
    Ok(())
}

fn read_logs(snapshot: &Path, manifest: &Manifest, state: At, due: &mut Due) -> Result<Logs, TransferError> {
    let mut logs = Logs::of(state);
    let mut places = Places::open(&snapshot.join(PLACES_FILE))?;
    for LogFiles { log, begins, chunks, .. } in &manifest.logs {
        let log: Log = log.parse().map_err(|error: String| TransferError::malformed("manifest.json", error))?;
        if let Some(begins) = begins {
            logs.begin("manifest.json", log.clone(), begins)?;
        }
        for chunk in chunks {
            add_entries(&mut logs, &log, chunk, &read_chunk(snapshot, chunk)?, Some(&mut places), due)?;
        }
    }
    Ok(logs)
}

fn read_manifest(snapshot: &Path) -> Result<Manifest, TransferError> {
    let path = snapshot.join("manifest.json");
    let text = fs::read(&path).map_err(TransferError::file(&path))?;
    parse_manifest(&path.display().to_string(), &text)
}

/// A manifest of this layout; `at` says where it comes from.
pub(super) fn parse_manifest(at: &str, text: &[u8]) -> Result<Manifest, TransferError> {
    let manifest: Manifest = serde_json::from_slice(text).map_err(|error| TransferError::malformed(at, error))?;
    if manifest.format != FORMAT {
        let detail = format!("layout {}, this program reads {FORMAT}", manifest.format);
        return Err(TransferError::malformed(at, detail));
    }
    Ok(manifest)
}
