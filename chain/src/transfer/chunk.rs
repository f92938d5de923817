//! The chunks of a snapshot: files of runs, named with their length and hash by the manifest.

use std::fs;
use std::path::Path;

use db3_genesis::write_atomic;
use serde::{Deserialize, Serialize};

use super::TransferError;

/// A chunk is cut before it passes this.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// A file of a snapshot is not larger than this.
pub(super) const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;

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

/// Reads a chunk, which must be what the manifest says.
pub(super) fn read_chunk(snapshot: &Path, chunk: &Chunk) -> Result<Vec<u8>, TransferError> {
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
    if !is_chunk(chunk, &bytes) {
        return Err(TransferError::malformed(path.display(), "its hash is not the manifest's: the file is damaged"));
    }
    Ok(bytes)
}

/// Whether bytes are the chunk that a manifest names.
pub(super) fn is_chunk(chunk: &Chunk, bytes: &[u8]) -> bool {
    bytes.len() as u64 == chunk.bytes && hex::encode(db3_primitives::sha256(&[bytes])) == chunk.sha256
}

/// Writes chunks one after the other.
pub(super) struct ChunkWriter<'a> {
    folder: &'a Path,
    prefix: String,
    open: Vec<u8>,
    chunks: Vec<Chunk>,
}

impl<'a> ChunkWriter<'a> {
    /// Chunks `<prefix>-<number>.chunk` in a folder.
    pub(super) fn new(folder: &'a Path, prefix: impl Into<String>) -> Self {
        Self { folder, prefix: prefix.into(), open: Vec::new(), chunks: Vec::new() }
    }

    /// Adds a run, which is not cut.
    pub(super) fn add(&mut self, parts: &[&[u8]]) -> Result<(), TransferError> {
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

    /// The chunks that were written.
    pub(super) fn finish(mut self) -> Result<Vec<Chunk>, TransferError> {
        if !self.open.is_empty() {
            self.cut()?;
        }
        Ok(self.chunks)
    }
}

/// What is left of a chunk.
pub(super) struct Rest<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) file: &'a str,
}

impl<'a> Rest<'a> {
    /// A length of so many bytes.
    pub(super) fn length<const N: usize>(&mut self) -> Result<usize, TransferError> {
        let bytes = self.take(N)?;
        Ok(bytes.iter().fold(0, |length: usize, byte| length.wrapping_shl(8) | usize::from(*byte)))
    }

    /// So many bytes.
    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], TransferError> {
        let (head, rest) = self
            .bytes
            .split_at_checked(bytes)
            .ok_or_else(|| TransferError::malformed(self.file, "ends in the middle of an entry"))?;
        self.bytes = rest;
        Ok(head)
    }
}
