//! The state-sync calls: what this node gives to others, and a state that comes from others.
//!
//! A snapshot is named by the hash of its manifest, which travels as its metadata. A state that comes is held in memory
//! until the last chunk; only a whole one, with the root that `CometBFT`'s light client has proven, is written and
//! becomes the newest version. An offer forgets whatever came before it.

use std::sync::Arc;

use bytes::Bytes;
use db3_primitives::{BlockTime, Hash32, sha256};
use tendermint_proto::v0_38::abci::response_apply_snapshot_chunk::Result as Applied;
use tendermint_proto::v0_38::abci::response_offer_snapshot::Result as Offered;
use tendermint_proto::v0_38::abci::{
    RequestApplySnapshotChunk, RequestLoadSnapshotChunk, RequestOfferSnapshot, ResponseApplySnapshotChunk,
    ResponseListSnapshots, ResponseLoadSnapshotChunk, ResponseOfferSnapshot, Snapshot,
};

use super::Inner;
use crate::error::FatalError;
use crate::lock;
use crate::machine::Machine;
use crate::pool::mempool::{Funds, SettledBlock};
use crate::transfer::snapshot::FORMAT;
use crate::transfer::{Bounds, ChunkFault, Restored, Restoring};
use crate::version::VersionOf;

/// How far this machine's clock may be behind the chain's time. `CometBFT` takes no block of one that is further behind.
const CLOCK_BEHIND_SECS: u64 = 60;

impl<M: Machine> Inner<M> {
    /// What others may fetch.
    pub(super) fn list_snapshots(&self) -> ResponseListSnapshots {
        let snapshots = self.sync_files.snapshots().into_iter().filter_map(|snapshot| {
            Some(Snapshot {
                height: snapshot.height.get(),
                format: FORMAT,
                chunks: u32::try_from(snapshot.chunks()).ok()?,
                hash: Bytes::copy_from_slice(&snapshot.hash),
                metadata: Bytes::from(snapshot.manifest),
            })
        });
        ResponseListSnapshots { snapshots: snapshots.collect() }
    }

    /// A chunk of one of them; nothing where it is gone.
    pub(super) fn load_chunk(&self, request: &RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk {
        let index = usize::try_from(request.chunk).unwrap_or(usize::MAX);
        let snapshots = self.sync_files.snapshots();
        let snapshot = snapshots.iter().find(|snapshot| snapshot.height.get() == request.height);
        let chunk = snapshot.filter(|_| request.format == FORMAT).and_then(|snapshot| snapshot.chunk(index));
        ResponseLoadSnapshotChunk { chunk: chunk.map(Bytes::from).unwrap_or_default() }
    }

    /// Begins with a state that others offer.
    pub(super) fn offer(&self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot {
        *lock(&self.restoring) = None;
        let result = self.begin_restoring(request);
        ResponseOfferSnapshot { result: result.into() }
    }

    fn begin_restoring(&self, request: RequestOfferSnapshot) -> Offered {
        let Some(snapshot) = request.snapshot else { return Offered::Reject };
        if snapshot.format != FORMAT {
            return Offered::RejectFormat;
        }
        let above = self.config.sync_above;
        if snapshot.height <= above {
            tracing::info!(height = snapshot.height, above, "state_sync.offer: not far enough; one that is will come");
            return Offered::Reject;
        }
        let root: Result<Hash32, _> = request.app_hash.as_ref().try_into();
        let (Ok(root), true) = (root, snapshot.hash == sha256(&[&snapshot.metadata]).as_slice()) else {
            return Offered::Reject;
        };
        let chunks = usize::try_from(snapshot.chunks).unwrap_or(usize::MAX);
        let chain_id = self.genesis.chain_id();
        let latest = self.clock.now().secs.saturating_add(CLOCK_BEHIND_SECS);
        let bounds = Bounds {
            memory: self.config.sync_memory_bytes,
            earliest: self.genesis.time(),
            latest: BlockTime::from_secs(latest),
        };
        match Restoring::begin(&snapshot.metadata, chain_id.as_str(), snapshot.height, chunks, root, bounds) {
            Ok(restoring) => {
                tracing::info!(height = snapshot.height, chunks, "state_sync.offer");
                *lock(&self.restoring) = Some(restoring);
                Offered::Accept
            }
            Err(error) => {
                tracing::warn!(height = snapshot.height, %error, "state_sync.offer: refused");
                Offered::Reject
            }
        }
    }

    /// Takes the next chunk; after the last one the state is the newest version, and on the disk.
    pub(super) fn apply_chunk(
        &self,
        request: &RequestApplySnapshotChunk,
    ) -> Result<ResponseApplySnapshotChunk, FatalError> {
        let answer = |result: Applied| ResponseApplySnapshotChunk { result: result.into(), ..Default::default() };
        let mut restoring = lock(&self.restoring);
        let Some(state) = restoring.as_mut() else { return Ok(answer(Applied::RejectSnapshot)) };
        match state.add(usize::try_from(request.index).unwrap_or(usize::MAX), &request.chunk) {
            Ok(false) => return Ok(answer(Applied::Accept)),
            Ok(true) => {}
            Err(ChunkFault::Hash) => {
                tracing::warn!(index = request.index, sender = request.sender, "state_sync.apply: a false chunk");
                return Ok(ResponseApplySnapshotChunk {
                    result: Applied::Retry.into(),
                    refetch_chunks: vec![request.index],
                    reject_senders: vec![request.sender.clone()],
                });
            }
            Err(error @ ChunkFault::Order { .. }) => {
                tracing::warn!(index = request.index, %error, "state_sync.apply");
                return Ok(answer(Applied::RetrySnapshot));
            }
            Err(ChunkFault::Content(error)) => {
                *restoring = None;
                tracing::warn!(index = request.index, %error, "state_sync.apply: a false snapshot");
                return Ok(answer(Applied::RejectSnapshot));
            }
        }
        let Some(state) = restoring.take() else { return Ok(answer(Applied::RejectSnapshot)) };
        drop(restoring);
        match state.finish::<M>() {
            Ok(restored) => {
                self.adopt(restored)?;
                Ok(answer(Applied::Accept))
            }
            Err(error) => {
                tracing::warn!(%error, "state_sync.apply: a false snapshot");
                Ok(answer(Applied::RejectSnapshot))
            }
        }
    }

    /// Makes a state the newest version and the snapshot on the disk. A kill before its end leaves the state as it was
    /// before, and the entries of logs, which are the chain's in any case.
    fn adopt(&self, restored: Restored<M>) -> Result<(), FatalError> {
        restored.write_logs(&self.store)?;
        let Restored { meta, state, .. } = restored;
        drop((lock(&self.executed).take(), lock(&self.decided).take()));
        drop(std::mem::take(&mut *lock(&self.unproven)));
        let after = SettledBlock {
            time: meta.time,
            state: &state.clone(),
            receipts: &[],
            mutations: &[],
            refused: Vec::new(),
            // Of the blocks between nothing is known.
            funds: Funds::Repriced,
        };
        self.mempool.settle(&after, || self.versions.commit(VersionOf::new(meta.height, meta.time, state)));
        let version = self.versions.committed();
        self.wait_for_header(Arc::clone(&version));
        self.snapshotter.offer(version);
        let made = self.snapshotter.make().map_err(|detail| FatalError::Engine { detail })?;
        if made != meta.height {
            let detail = format!("the state of height {} came, and that of {made} is on the disk", meta.height);
            return Err(FatalError::Engine { detail });
        }
        self.measure();
        tracing::info!(height = %meta.height, root = hex::encode(meta.root), "state_sync.adopted");
        Ok(())
    }
}
