//! Queries over what blocks left: bills and their proofs, epochs, the outbox, blocks.

use std::sync::Arc;

use db3_primitives::{ChainId, Epoch, EpochClose, Hash32, Height, Rejection, key};
use tendermint_proto::v0_38::types::Block;

use crate::app::{BlockEventOf, EventError};
use crate::handle::{Chain, ChainHandle};
use crate::machine::Machine;
use crate::store::StoreError;
use crate::store::bills::BillRow;
use crate::store::epochs::EpochRow;
use crate::store::logs::{Log, OutboxPart};
use crate::version::{Version, VersionOf};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// What was asked for is not there.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The files failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<EventError> for QueryError {
    fn from(error: EventError) -> Self {
        match error {
            EventError::Rejected(rejection) => Self::Rejected(rejection),
            EventError::Store(error) => Self::Store(error),
            EventError::Stopped => Self::Rejected(Rejection::Stopping),
        }
    }
}

/// That a bill stands in its epoch's log, and where the state says what that log's root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillProof {
    /// Position in the log.
    pub leaf_index: u64,
    /// Size of the log that is proven.
    pub tree_size: u64,
    /// Root of the log at that size.
    pub root: Hash32,
    /// Siblings from the bill to the root.
    pub hashes: Vec<Hash32>,
    /// Key of the leaf in the state that says so: the open epoch's frontier, the close being written, or the hash of
    /// the close.
    pub tree_key: Vec<u8>,
    /// The close whose hash stands at `tree_key`; none where the epoch is not closed yet.
    pub close: Option<EpochClose>,
}

/// A piece of an outbox and what a delivery of it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxPage {
    /// Index of the first entry.
    pub first: u64,
    /// Entries, as hashed.
    pub entries: Vec<Vec<u8>>,
    /// Size of the log in the version asked.
    pub size: u64,
    /// Roots of the subtrees right of the last entry, up to `size`.
    pub right: Vec<Hash32>,
}

impl ChainHandle {
    /// The proof that a bill stands in its epoch's log as `version` knows it; none where the version is older than the
    /// bill, or where this node has no history that far back.
    pub fn bill_proof(&self, row: &BillRow, version: &Version) -> Result<Option<BillProof>, StoreError> {
        let state = &version.state;
        let open = state.open_bills();
        let emission = state.emission();
        let (tree_size, root, tree_key, close) = if state.open_epoch().0 == row.epoch {
            (open.size(), open.root(), key::open_epoch(), None)
        } else if let Some(leaf) = emission.filter(|leaf| leaf.first <= row.epoch && row.epoch <= leaf.last) {
            (leaf.bill_count, leaf.bills_root, key::emission(), None)
        } else {
            let Some((last, _)) = state.epoch_hash(row.epoch) else { return Ok(None) };
            let Some(EpochRow { close, .. }) = self.store().epoch(row.epoch)? else { return Ok(None) };
            (close.bill_count, close.bills_root, key::epoch(last), Some(close))
        };
        if row.log_index >= tree_size {
            return Ok(None);
        }
        let Some(hashes) = self.store().bill_proof(row, tree_size)? else { return Ok(None) };
        Ok(Some(BillProof { leaf_index: row.log_index, tree_size, root, hashes, tree_key, close }))
    }

    /// The close that covers an epoch; none while it is open or its close is being written. An epoch that the chain has
    /// not reached is not found; one whose close was acknowledged before the snapshot that this node came from is older
    /// than its history.
    pub fn epoch(&self, epoch: Epoch) -> Result<Option<EpochRow>, QueryError> {
        let row = self.store().epoch(epoch)?;
        let state = &self.committed().state;
        let covers = |first: Epoch, last: Epoch| first <= epoch && epoch <= last;
        let (open, _) = state.open_epoch();
        let pending = open == epoch || state.emission().is_some_and(|leaf| covers(leaf.first, leaf.last));
        if row.is_some() || pending {
            return Ok(row);
        }
        let begins = self.history_begins()?.filter(|_| state.epoch_hash(epoch).is_some());
        let what = || format!("the close of epoch {epoch}, if it was one of this chain");
        Err(QueryError::Rejected(match begins {
            Some(from) => Rejection::HistoryMissing { what: what(), from },
            None => Rejection::EpochNotFound { epoch },
        }))
    }
}

impl<M: Machine> Chain<M> {
    /// At most `limit` entries for a chain from `first`, as far as `version` knows them. Of a node that came from a snapshot,
    /// those that the other chain had acknowledged there are refused as older than its history.
    pub fn outbox(
        &self,
        version: &VersionOf<M>,
        destination: &ChainId,
        first: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<OutboxPage, QueryError> {
        let log = M::outbox(&version.state, destination)
            .ok_or_else(|| Rejection::ChainUnknown { chain_id: destination.clone() })?;
        let size = log.size();
        let first = first.min(size);
        let log = Log::Outbox(destination.clone());
        let Some(OutboxPart { entries, right }) = self.store().outbox_part(&log, first, size, limit, bytes_max)? else {
            let what = format!("entry {first} of the outbox to {destination}");
            // Who came from a snapshot has a height where its history begins.
            let from = self.history_begins()?.unwrap_or(self.committed().height);
            return Err(Rejection::HistoryMissing { what, from }.into());
        };
        Ok(OutboxPage { first, entries, size, right })
    }

    /// Heights of the oldest and the newest block that are kept, as far as they are committed.
    pub fn block_range(&self) -> Result<Option<(Height, Height)>, StoreError> {
        let committed = self.committed().height;
        let range = self.store().block_range()?.map(|(first, last)| (first, last.min(committed)));
        Ok(range.filter(|(first, last)| first <= last))
    }

    /// A block above the newest committed one is written but perhaps not on the disk. After a crash another one could
    /// be signed in its place, so nobody may see it.
    fn check_committed(&self, height: Height) -> Result<(), Rejection> {
        if height > self.committed().height { Err(Rejection::BlockNotFound { height }) } else { Ok(()) }
    }

    /// A block, as it was proposed. May wait for the engine that keeps it: call it on a thread that may block.
    pub fn block(&self, height: Height) -> Result<Block, QueryError> {
        self.check_committed(height)?;
        self.inner().blocks.block(height)?.ok_or(QueryError::Rejected(Rejection::BlockNotFound { height }))
    }

    /// What a block did.
    pub fn block_event(&self, height: Height) -> Result<Arc<BlockEventOf<M>>, QueryError> {
        self.check_committed(height)?;
        Ok(self.inner().events.at(height)?)
    }

    /// The priorities as proposers of the validators of a height, in their order, for a node that comes from a
    /// snapshot; none where they are not known. May wait for the engine that keeps them.
    #[must_use]
    pub fn proposer_priorities(&self, height: Height) -> Vec<i64> {
        self.inner().blocks.priorities(height)
    }

    /// Header, commit and validators of a height, `tendermint.types.LightBlock`. May wait for the engine that keeps it:
    /// call it on a thread that may block.
    pub fn light_block(&self, height: Height) -> Result<Vec<u8>, QueryError> {
        self.check_committed(height)?;
        self.inner().blocks.light_block(height)?.ok_or(QueryError::Rejected(Rejection::BlockNotFound { height }))
    }
}
