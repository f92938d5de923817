//! A snapshot that comes from others chunk by chunk, in order. Each chunk must be the one that the manifest names before
//! a byte of it is looked at; the whole must have the root that was proven, and logs that fold to what the state
//! names. Until then it is only in memory, and never more than this node allows ([`Bounds`]).

use db3_primitives::limits::GRPC_MESSAGE_BYTES_MAX;
use db3_primitives::{BlockTime, Hash32};

use super::TransferError;
use super::chunk::{Chunk, FILE_BYTES_MAX, is_chunk};
use super::logs::Logs;
use super::size::Due;
use super::snapshot::{Manifest, add_entries, add_leaves, parse_manifest};
use crate::machine::{At, Machine};
use crate::open::state_of;
use crate::store::logs::Log;
use crate::store::snapshot::{SnapshotMeta, TreeBuilder};

const MANIFEST: &str = "the offered manifest";

/// What a snapshot may be, whatever its manifest says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of memory that its state and logs may take.
    pub(crate) memory: u64,
    /// No state is older: the time of genesis.
    pub(crate) earliest: BlockTime,
    /// None is younger: this machine's time, and what its clock may be behind.
    pub(crate) latest: BlockTime,
}

/// A state of which some chunks are there.
pub(crate) struct Restoring {
    meta: SnapshotMeta,
    chunks: Vec<(Part, Chunk)>,
    next: usize,
    builder: TreeBuilder,
    logs: Logs,
    due: Due,
}

/// What a chunk is of.
enum Part {
    State,
    Log(Log),
}

/// A whole state with its logs.
pub(crate) struct Restored<M: Machine> {
    pub(crate) meta: SnapshotMeta,
    pub(crate) state: M::State,
    logs: Logs,
}

/// Why a chunk was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChunkFault {
    /// Another chunk is due.
    #[error("chunk {due} is due")]
    Order {
        /// That one.
        due: usize,
    },
    /// It is not the one that the manifest names: whoever sent it sent something else.
    #[error("it is not what the manifest names")]
    Hash,
    /// It is, and holds no run of leaves or entries: the snapshot is false.
    #[error(transparent)]
    Content(#[from] TransferError),
}

impl Restoring {
    /// Begins with a manifest. `root` is the one that a header proves for `height`.
    pub(crate) fn begin(
        manifest: &[u8],
        chain_id: &str,
        height: u64,
        chunks: usize,
        root: Hash32,
        bounds: Bounds,
    ) -> Result<Self, TransferError> {
        let wrong = |detail: String| TransferError::malformed(MANIFEST, detail);
        if manifest.len() > GRPC_MESSAGE_BYTES_MAX {
            return Err(wrong(format!("has {} bytes, at most {GRPC_MESSAGE_BYTES_MAX} are taken", manifest.len())));
        }
        let manifest = parse_manifest(MANIFEST, manifest)?;
        let meta = manifest.meta()?;
        if manifest.chain_id != chain_id || meta.height.get() != height || meta.root != root {
            let found = format!("is of {} at height {}, root {}", manifest.chain_id, manifest.height, manifest.root);
            return Err(wrong(format!("{found}; expected {chain_id} at {height}, root {}", hex::encode(root))));
        }
        if meta.time < bounds.earliest || meta.time > bounds.latest {
            let (earliest, latest) = (bounds.earliest.rfc3339(), bounds.latest.rfc3339());
            return Err(wrong(format!("is of {}, expected {earliest} to {latest}", meta.time.rfc3339())));
        }
        let due = Due::of(&manifest)?;
        let memory = due.memory(&manifest);
        if memory > bounds.memory {
            return Err(wrong(format!(
                "names a state that takes {memory} bytes of memory, at most {} are allowed: a network whose state is so \
                 large needs a greater sync_memory_bytes in section [chain] of config/node.toml",
                bounds.memory
            )));
        }
        let mut logs = Logs::of(At { height: meta.height, time: meta.time });
        let parts = parts(manifest, &mut logs)?;
        if parts.len() != chunks {
            return Err(wrong(format!("names {} chunks, {chunks} were offered", parts.len())));
        }
        if let Some((_, chunk)) = parts.iter().find(|(_, chunk)| chunk.bytes > FILE_BYTES_MAX) {
            return Err(wrong(format!("names a chunk of {} bytes", chunk.bytes)));
        }
        Ok(Self { meta, chunks: parts, next: 0, builder: TreeBuilder::default(), logs, due })
    }

    /// Takes the next chunk. Gives whether it was the last.
    pub(crate) fn add(&mut self, index: usize, bytes: &[u8]) -> Result<bool, ChunkFault> {
        let due = self.next;
        let (part, chunk) = self.chunks.get(due).filter(|_| index == due).ok_or(ChunkFault::Order { due })?;
        if !is_chunk(chunk, bytes) {
            return Err(ChunkFault::Hash);
        }
        match part {
            Part::State => add_leaves(&mut self.builder, chunk, bytes, &mut self.due)?,
            Part::Log(log) => add_entries(&mut self.logs, log, chunk, bytes, None, &mut self.due)?,
        }
        self.next = due.saturating_add(1);
        Ok(self.next == self.chunks.len())
    }

    /// The whole, if it is the state that was proven.
    pub(crate) fn finish<M: Machine>(self) -> Result<Restored<M>, TransferError> {
        let Self { meta, builder, logs, due, .. } = self;
        due.end()?;
        let state = state_of::<M>(builder.finish(&meta)?)?;
        logs.check::<M>(MANIFEST, &state)?;
        Ok(Restored { meta, state, logs })
    }
}

impl<M: Machine> Restored<M> {
    /// Writes the entries of its logs, not synced. They are the chain's, whatever becomes of the state.
    pub(crate) fn write_logs(&self, store: &crate::store::Store) -> Result<(), crate::store::StoreError> {
        self.logs.write::<M>(store, &self.state)
    }
}

fn parts(manifest: Manifest, logs: &mut Logs) -> Result<Vec<(Part, Chunk)>, TransferError> {
    let mut parts: Vec<_> = manifest.state.into_iter().map(|chunk| (Part::State, chunk)).collect();
    for files in manifest.logs {
        let log: Log = files.log.parse().map_err(|error: String| TransferError::malformed(MANIFEST, error))?;
        if let Some(begins) = files.begins {
            logs.begin(MANIFEST, log.clone(), &begins)?;
        }
        parts.extend(files.chunks.into_iter().map(|chunk| (Part::Log(log.clone()), chunk)));
    }
    Ok(parts)
}
