//! Snapshots as files: `<folder>/<height>/` with `manifest.json`, chunks of leaves and of outbox entries, and the
//! blocks that a restored node goes on from.
//!
//! The manifest and the chunks are the same bytes on every node of a chain at a height. A chunk of leaves is a run of
//! key length (2) ‖ key ‖ value length (4) ‖ value in key order, a chunk of the outbox a run of entry length (4) ‖
//! entry in order, lengths big endian; a chunk is cut before it passes 8 MiB. `blocks.bin` (block and light block of
//! the snapshot's height and of those after it, each as length (4) ‖ bytes) and `genesis.json` are beside them: a
//! commit may name other signers on another node.
//!
//! A restored folder has the state and the outbox, not the bills and receipts of blocks before it. It has no
//! validator key: a key must never run in two places. Move it, after the old node has stopped for good.

use std::fs;
use std::path::{Path, PathBuf};

use db3_genesis::{GenesisDocument, write_atomic};
use db3_light_client::{LightClient, Options, UnixTime};
use db3_primitives::{BlockTime, Height};
use serde::{Deserialize, Serialize};

use super::TransferError;
use super::outbox::Entries;
use crate::config::ChainConfig;
use crate::error::StartError;
use crate::init::{check_empty, genesis_file, write_settings};
use crate::open::open;
use crate::store::snapshot::{SnapshotMeta, TreeBuilder};
use crate::store::{Store, StoreError};
use crate::version::Version;

const FORMAT: u32 = 1;
/// A chunk is cut before it passes this.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// A file of a snapshot is not larger than this.
const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
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
    /// Chunks of leaves, in order.
    pub state: Vec<Chunk>,
    /// Number of entries of the outbox, decimal.
    pub outbox_entries: String,
    /// Chunks of the outbox, in order.
    pub outbox: Vec<Chunk>,
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// Its name.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of it, 64 hex digits.
    pub sha256: String,
}

/// Where a folder keeps its snapshots.
#[must_use]
pub fn snapshots_folder(home: &Path) -> PathBuf {
    home.join("snapshots")
}

/// The snapshots in a folder, newest first.
pub fn list(folder: &Path) -> Result<Vec<(PathBuf, Manifest)>, TransferError> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(source) => return Err(TransferError::File { path: folder.to_owned(), source }),
    };
    for entry in entries {
        let path = entry.map_err(TransferError::file(folder))?.path();
        // A folder without a manifest is a snapshot that is being made, or none.
        if path.join("manifest.json").exists() {
            found.push((path.clone(), read_manifest(&path)?));
        }
    }
    found.sort_by_key(|(_, manifest)| std::cmp::Reverse(manifest.height.parse::<u64>().unwrap_or(0)));
    Ok(found)
}

/// Brings a folder that no node has open to its newest block and writes a snapshot of its newest provable state into
/// `<home>/snapshots`.
pub fn make(config: ChainConfig) -> Result<(PathBuf, Manifest), TransferError> {
    let home = config.home.clone();
    let opened = open(config)?;
    let inner = &opened.app.inner;
    let version = inner.versions.provable();
    if version.light_block.is_none() {
        return Err(TransferError::NoBlock);
    }
    let meta = SnapshotMeta { height: version.height, time: version.time, root: version.root };
    inner.store.advance_snapshot(Some(&opened.durable.tree), version.state.tree(), &meta)?;
    inner.store.sync()?;
    write(&inner.store, &inner.genesis, &version, &snapshots_folder(&home))
}

/// Writes a snapshot of a provable version into `<folder>/<height>`; one that is there already stays.
pub fn write(
    store: &Store,
    genesis: &GenesisDocument,
    version: &Version,
    folder: &Path,
) -> Result<(PathBuf, Manifest), TransferError> {
    let path = folder.join(version.height.to_string());
    if path.join("manifest.json").exists() {
        let manifest = read_manifest(&path)?;
        return Ok((path, manifest));
    }
    let tree = version.state.tree();
    let mut chunks = ChunkWriter { folder: &path, prefix: "state", open: Vec::new(), chunks: Vec::new() };
    for (key, value) in tree.range(&[], None) {
        let lengths = (u16::try_from(key.len()), u32::try_from(value.len()));
        let (Ok(key_bytes), Ok(value_bytes)) = lengths else {
            return Err(TransferError::malformed("state", "a leaf is too long"));
        };
        chunks.add(&[&key_bytes.to_be_bytes(), key, &value_bytes.to_be_bytes(), value])?;
    }
    let state = chunks.finish()?;
    let outbox_entries = version.state.outbox().size();
    let mut chunks = ChunkWriter { folder: &path, prefix: "outbox", open: Vec::new(), chunks: Vec::new() };
    for index in 0..outbox_entries {
        let entry = store.outbox_entry(index)?.ok_or_else(|| StoreError::missing("outbox entry", index))?;
        let bytes = u32::try_from(entry.len()).unwrap_or(u32::MAX);
        chunks.add(&[&bytes.to_be_bytes(), &entry])?;
    }
    let outbox = chunks.finish()?;
    write_blocks(store, genesis, version, &path.join("blocks.bin"))?;
    genesis.save(&path.join("genesis.json")).map_err(StartError::from)?;
    let manifest = Manifest {
        format: FORMAT,
        chain_id: genesis.chain_id().as_str().to_owned(),
        height: version.height.to_string(),
        time: version.time.rfc3339(),
        root: hex::encode(version.root),
        leaves: tree.len().to_string(),
        state,
        outbox_entries: outbox_entries.to_string(),
        outbox,
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
pub fn restore(home: &Path, snapshot: &Path, settings: &ChainConfig) -> Result<Manifest, TransferError> {
    check_empty(home)?;
    let manifest = read_manifest(snapshot)?;
    let wrong = |field: &str| TransferError::malformed("manifest.json", format!("{field} is none"));
    let genesis = GenesisDocument::load(&snapshot.join("genesis.json")).map_err(StartError::from)?;
    if genesis.chain_id().as_str() != manifest.chain_id {
        let detail = format!("is of {}, the manifest of {}", genesis.chain_id().as_str(), manifest.chain_id);
        return Err(TransferError::malformed("genesis.json", detail));
    }
    let mut root = [0; 32];
    hex::decode_to_slice(&manifest.root, &mut root).map_err(|_| wrong("root"))?;
    let height: Height = manifest.height.parse().map_err(|_| wrong("height"))?;
    let time = BlockTime::parse_rfc3339(&manifest.time).map_err(|_| wrong("time"))?;
    let meta = SnapshotMeta { height, time, root };

    let mut builder = TreeBuilder::default();
    for chunk in &manifest.state {
        let bytes = read_chunk(snapshot, chunk)?;
        let mut rest = Rest { bytes: &bytes, file: &chunk.file };
        while !rest.bytes.is_empty() {
            let key = rest.length::<2>().and_then(|length| rest.take(length))?;
            let value = rest.length::<4>().and_then(|length| rest.take(length))?;
            builder.add(key.to_vec(), value.to_vec())?;
        }
    }
    let state = builder.finish(&meta)?;
    let outbox = read_outbox(snapshot, &manifest)?;
    outbox.check("manifest.json", &state.outbox())?;
    let store = Store::open(home, &manifest.chain_id)?;
    outbox.write(&store, state.chain().epoch_secs)?;
    restore_blocks(&store, &snapshot.join("blocks.bin"), &meta, &genesis)?;
    store.advance_snapshot(None, state.tree(), &meta)?;
    store.sync()?;
    write_settings(home, settings)?;
    genesis.save(&genesis_file(home)).map_err(StartError::from)?;
    Ok(manifest)
}

fn read_outbox(snapshot: &Path, manifest: &Manifest) -> Result<Entries, TransferError> {
    let mut entries = Entries::default();
    for chunk in &manifest.outbox {
        let bytes = read_chunk(snapshot, chunk)?;
        let mut rest = Rest { bytes: &bytes, file: &chunk.file };
        while !rest.bytes.is_empty() {
            entries.add(rest.length::<4>().and_then(|length| rest.take(length))?.to_vec());
        }
    }
    Ok(entries)
}

/// Takes the blocks over. Every header is verified from the genesis, and the one after the snapshot, which must be
/// there, carries its root.
fn restore_blocks(
    store: &Store,
    path: &Path,
    meta: &SnapshotMeta,
    genesis: &GenesisDocument,
) -> Result<(), TransferError> {
    let wrong = |detail: String| TransferError::malformed("blocks.bin", detail);
    let root = genesis.trust_root().map_err(StartError::from)?;
    let mut client = LightClient::from_root(root, Options::never_expires());
    let bytes = fs::read(path).map_err(TransferError::file(path))?;
    let mut rest = Rest { bytes: &bytes, file: "blocks.bin" };
    let mut height = first_block(meta.height, genesis);
    while !rest.bytes.is_empty() {
        let block = rest.length::<4>().and_then(|length| rest.take(length))?;
        let light_block = rest.length::<4>().and_then(|length| rest.take(length))?;
        // The block time of a devnet may have been moved past any clock. (Trust that never ends does end with time.)
        let header = client
            .verify(light_block, None, UnixTime::MAX.saturating_sub_secs(1))
            .map_err(|error| wrong(format!("the header of height {height} is not the chain's: {error}")))?;
        if header.height != height.get() {
            return Err(wrong(format!("height {} stands where {height} is due", header.height)));
        }
        if Some(height) == meta.height.next() && header.app_hash != Some(meta.root) {
            return Err(wrong("the next header does not carry the manifest's root".to_owned()));
        }
        store.put_block(height, block, light_block)?;
        height = height.next().unwrap_or(height);
    }
    match meta.height.next() {
        Some(next) if next < height => Ok(()),
        _ => Err(wrong("the block after the snapshot is missing".to_owned())),
    }
}

/// The first block that goes with a snapshot: its own, or the chain's first where it holds the genesis state.
fn first_block(snapshot: Height, genesis: &GenesisDocument) -> Height {
    snapshot.max(genesis.initial_height())
}

fn write_blocks(store: &Store, genesis: &GenesisDocument, version: &Version, path: &Path) -> Result<(), TransferError> {
    let mut bytes = Vec::new();
    let mut height = first_block(version.height, genesis);
    // A block whose history is not written may not be on the disk either, and must not leave.
    while Some(height) <= version.height.next() || store.summary(height)?.is_some() {
        let block = store.block_bytes(height)?.ok_or_else(|| StoreError::missing("block", height))?;
        let light = store.light_block(height)?.ok_or_else(|| StoreError::missing("light block", height))?;
        for part in [block, light] {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(&part);
        }
        height = height.next().unwrap_or(height);
    }
    write_atomic(path, &bytes).map_err(TransferError::file(path))
}

fn read_manifest(snapshot: &Path) -> Result<Manifest, TransferError> {
    let path = snapshot.join("manifest.json");
    let text = fs::read(&path).map_err(TransferError::file(&path))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| TransferError::malformed(path.display(), error))?;
    if manifest.format != FORMAT {
        return Err(TransferError::malformed(path.display(), format!("layout {}", manifest.format)));
    }
    Ok(manifest)
}

fn read_chunk(snapshot: &Path, chunk: &Chunk) -> Result<Vec<u8>, TransferError> {
    let plain = !chunk.file.contains(['/', '\\']) && !chunk.file.starts_with('.');
    if !plain || chunk.bytes > FILE_BYTES_MAX {
        return Err(TransferError::malformed("manifest.json", format!("{} is no chunk", chunk.file)));
    }
    let path = snapshot.join(&chunk.file);
    let length = fs::metadata(&path).map_err(TransferError::file(&path))?.len();
    if length != chunk.bytes {
        let detail = format!("it has {length} bytes, the manifest says {}: the file is damaged", chunk.bytes);
        return Err(TransferError::malformed(path.display(), detail));
    }
    let bytes = fs::read(&path).map_err(TransferError::file(&path))?;
    if hex::encode(db3_primitives::sha256(&[&bytes])) != chunk.sha256 {
        return Err(TransferError::malformed(path.display(), "its hash is not the manifest's: the file is damaged"));
    }
    Ok(bytes)
}

struct ChunkWriter<'a> {
    folder: &'a Path,
    prefix: &'static str,
    open: Vec<u8>,
    chunks: Vec<Chunk>,
}

impl ChunkWriter<'_> {
    fn add(&mut self, parts: &[&[u8]]) -> Result<(), TransferError> {
        let bytes = parts.iter().fold(0_usize, |bytes, part| bytes.saturating_add(part.len()));
        if self.open.len().saturating_add(bytes) > CHUNK_BYTES && !self.open.is_empty() {
            self.cut()?;
        }
        for part in parts {
            self.open.extend_from_slice(part);
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<(), TransferError> {
        let bytes = std::mem::take(&mut self.open);
        let file = format!("{}-{:05}.chunk", self.prefix, self.chunks.len());
        let path = self.folder.join(&file);
        write_atomic(&path, &bytes).map_err(TransferError::file(&path))?;
        let sha256 = hex::encode(db3_primitives::sha256(&[&bytes]));
        self.chunks.push(Chunk { file, bytes: bytes.len() as u64, sha256 });
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Chunk>, TransferError> {
        if !self.open.is_empty() {
            self.cut()?;
        }
        Ok(self.chunks)
    }
}

struct Rest<'a> {
    bytes: &'a [u8],
    file: &'a str,
}

impl<'a> Rest<'a> {
    fn length<const N: usize>(&mut self) -> Result<usize, TransferError> {
        let bytes = self.take(N)?;
        Ok(bytes.iter().fold(0, |length: usize, byte| length.wrapping_shl(8) | usize::from(*byte)))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], TransferError> {
        let (head, rest) = self
            .bytes
            .split_at_checked(bytes)
            .ok_or_else(|| TransferError::malformed(self.file, "ends in the middle of an entry"))?;
        self.bytes = rest;
        Ok(head)
    }
}
