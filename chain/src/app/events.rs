//! What blocks did, for those who follow: the newest blocks from memory, older ones made again from the store, so that
//! a follower who was away goes on where it stopped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use db3_primitives::{
    BlockTime, Body as _, EpochClose, Height, Mutation, Operation, RecordKey, Rejection, Signed, TableName, Verified,
};
use db3_proto::{BlockTx, decode_tx};
use tokio::sync::watch;

use crate::blocks::Blocks;
use crate::lock;
use crate::machine::{Machine, ShardMachine};
use crate::pool::verdicts::memory_bytes;
use crate::store::blocks::BlockSummary;
use crate::store::receipts::StoredReceipt;
use crate::store::{Store, StoreError};
use crate::version::Versions;

/// Newest blocks whose events stay in memory,
pub const IN_MEMORY: usize = 64;
/// as far as their mutations take no more than this; the newest one stays in any case.
const IN_MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// What one block of a shard did.
pub type BlockEvent = BlockEventOf<ShardMachine>;
/// A mutation of a shard's block and what became of it.
pub type EventMutation = EventMutationOf<ShardMachine>;
/// A mutation as execution had it, or as it was read again from its block.
pub type MutationBody = MutationBodyOf<ShardMachine>;
/// Follows a shard's blocks.
pub type EventCursor = EventCursorOf<ShardMachine>;

/// What one block did.
#[derive(Debug)]
pub struct BlockEventOf<M: Machine> {
    /// The block in short.
    pub summary: BlockSummary,
    /// Its mutations (on the settlement chain its transactions) with their receipts, in order.
    pub mutations: Vec<EventMutationOf<M>>,
    /// The epoch whose last statement it wrote.
    pub closed: Option<EpochClose>,
}

/// A mutation of a block and what became of it.
#[derive(Clone, Debug)]
pub struct EventMutationOf<M: Machine> {
    /// What became of it.
    pub receipt: Arc<StoredReceipt>,
    /// What it asked for.
    pub body: MutationBodyOf<M>,
}

/// A mutation as execution had it, or as it was read again from its block.
#[derive(Clone, Debug)]
pub enum MutationBodyOf<M: Machine> {
    /// As execution had it.
    Verified(Arc<Verified<M::Body>>),
    /// Read again. Its block is final, so its signature was checked then.
    Read(Arc<Signed<M::Body>>),
}

impl MutationBody {
    /// What it asked for.
    #[must_use]
    pub fn mutation(&self) -> &Mutation {
        self.content()
    }
}

impl<M: Machine> MutationBodyOf<M> {
    /// What it asked for.
    #[must_use]
    pub fn content(&self) -> &M::Body {
        match self {
            Self::Verified(verified) => verified.content(),
            Self::Read(signed) => &signed.content,
        }
    }

    fn memory_bytes(&self) -> usize {
        let bytes = match self {
            Self::Verified(verified) => verified.bytes(),
            Self::Read(signed) => signed.bytes,
        };
        memory_bytes(bytes, self.content().operation_count())
    }
}

/// What one operation did to one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Position of the operation in the mutation.
    pub operation: u32,
    /// Table of the record.
    pub table: &'a TableName,
    /// Its key.
    pub key: &'a RecordKey,
    /// The value written; none where it was deleted.
    pub value: Option<&'a [u8]>,
    /// Version of the record; 0 where it was deleted.
    pub version: u64,
}

impl EventMutation {
    /// What it did to records, in order; nothing unless it was applied.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        // Receipts hold one version per operation exactly where the mutation was applied.
        let operations = self.body.mutation().operations.iter().zip(&self.receipt.versions);
        operations.zip(0_u32..).filter_map(|((operation, version), index)| match operation {
            Operation::Put(write) | Operation::Insert(write) | Operation::Update(write) => Some(Change {
                operation: index,
                table: &write.table,
                key: &write.key,
                value: Some(&write.value),
                version: *version,
            }),
            Operation::Delete { table, key, .. } => {
                Some(Change { operation: index, table, key, value: None, version: *version })
            }
            Operation::CreateNamespace | Operation::CreateTable { .. } => None,
        })
    }
}

impl<M: Machine> BlockEventOf<M> {
    /// The block's height.
    #[must_use]
    pub fn height(&self) -> Height {
        self.summary.height
    }

    /// Memory that its mutations take, about.
    fn memory_bytes(&self) -> usize {
        self.mutations.iter().fold(0, |sum: usize, mutation| sum.saturating_add(mutation.body.memory_bytes()))
    }

    /// The block's time.
    #[must_use]
    pub fn time(&self) -> BlockTime {
        self.summary.time
    }
}

/// Why a block's events cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The block is no longer kept, or there is none of this height.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The files failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain stopped.
    #[error("the node is stopping")]
    Stopped,
}

/// The events of one chain.
pub(crate) struct EventLog<M: Machine> {
    recent: Mutex<Recent<M>>,
    store: Arc<Store>,
    blocks: Arc<Blocks>,
    versions: Arc<Versions<M>>,
}

/// The newest blocks, oldest first.
struct Recent<M: Machine> {
    /// Each with the memory that it takes, about.
    events: VecDeque<(usize, Arc<BlockEventOf<M>>)>,
    bytes: usize,
}

impl<M: Machine> Recent<M> {
    /// Adds the newest block and takes out those that are too many.
    fn push(&mut self, event: Arc<BlockEventOf<M>>, bytes_max: usize) -> Vec<Arc<BlockEventOf<M>>> {
        let bytes = event.memory_bytes();
        self.bytes = self.bytes.saturating_add(bytes);
        self.events.push_back((bytes, event));
        let mut oldest = Vec::new();
        while self.events.len() > IN_MEMORY || (self.bytes > bytes_max && self.events.len() > 1) {
            let Some((bytes, event)) = self.events.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(bytes);
            oldest.push(event);
        }
        oldest
    }
}

impl<M: Machine> EventLog<M> {
    pub(crate) fn new(store: Arc<Store>, blocks: Arc<Blocks>, versions: Arc<Versions<M>>) -> Self {
        let recent = Recent { events: VecDeque::new(), bytes: 0 };
        Self { recent: Mutex::new(recent), store, blocks, versions }
    }

    pub(super) fn push(&self, event: Arc<BlockEventOf<M>>) {
        // Freed without the lock.
        let oldest = lock(&self.recent).push(event, IN_MEMORY_BYTES);
        drop(oldest);
    }

    /// The events of a height. May wait for the engine: see [`crate::blocks`].
    pub(crate) fn at(&self, height: Height) -> Result<Arc<BlockEventOf<M>>, EventError> {
        match self.kept(height) {
            Some(event) => Ok(event),
            None => self.read(height).map(Arc::new),
        }
    }

    fn kept(&self, height: Height) -> Option<Arc<BlockEventOf<M>>> {
        let recent = lock(&self.recent);
        recent.events.iter().map(|(_, event)| event).find(|event| event.height() == height).cloned()
    }

    fn read(&self, height: Height) -> Result<BlockEventOf<M>, EventError> {
        let unknown = || EventError::Rejected(Rejection::BlockNotFound { height });
        let summary = self.store.summary(height)?.ok_or_else(unknown)?;
        let Some(block) = self.blocks.block(height)? else {
            let (earliest, latest) = self.store.block_range()?.ok_or_else(unknown)?;
            return Err(EventError::Rejected(Rejection::HeightUnavailable { height, earliest, latest }));
        };
        let damaged = |detail: &Rejection| StoreError::damaged("block", &height.get().to_be_bytes(), detail);
        let mut bodies = Vec::new();
        let mut deliveries = 0_usize;
        for tx in block.data.unwrap_or_default().txs {
            // What cannot be read stands in no receipt, but takes its place in the block's order.
            match decode_tx(&tx) {
                Ok(BlockTx::Bundle(envelopes)) => bodies.extend(envelopes.into_iter().map(M::decode)),
                Ok(BlockTx::Delivery(_)) => deliveries = deliveries.saturating_add(1),
                Ok(BlockTx::Governance(_)) => {}
                Err(rejection) => bodies.push(Err(rejection)),
            }
        }
        let bodies: Vec<_> = bodies.into_iter().map(|body| body.map(Arc::new)).collect();
        // Deliveries without effect stand before the mutations.
        let refused_deliveries = deliveries.saturating_sub(usize::try_from(summary.deliveries).unwrap_or(usize::MAX));
        let mut mutations = Vec::new();
        for receipt in self.store.receipts(height, 0, usize::MAX)? {
            let index = usize::try_from(receipt.index).ok().and_then(|index| index.checked_sub(refused_deliveries));
            let body = index.and_then(|index| bodies.get(index));
            let body = body.ok_or_else(|| StoreError::missing("mutation of block", height))?;
            let body = MutationBodyOf::Read(body.as_ref().map_err(damaged)?.clone());
            mutations.push(EventMutationOf { receipt: Arc::new(receipt), body });
        }
        Ok(BlockEventOf { mutations, closed: M::closed_by(&self.store, &summary)?, summary })
    }
}

/// Follows a chain's blocks, one after the other, none left out.
pub struct EventCursorOf<M: Machine> {
    events: Arc<EventLog<M>>,
    committed: watch::Receiver<Height>,
    ended: watch::Receiver<bool>,
    next: Height,
}

impl<M: Machine> EventCursorOf<M> {
    /// Begins after a height; none: after the newest block.
    pub(crate) fn new(events: Arc<EventLog<M>>, ended: watch::Receiver<bool>, after: Option<Height>) -> Self {
        let committed = events.versions.committed_height();
        let after = after.unwrap_or_else(|| *committed.borrow());
        Self { events, committed, ended, next: after.next().unwrap_or(after) }
    }

    /// Height of the block that comes next.
    #[must_use]
    pub fn next_height(&self) -> Height {
        self.next
    }

    /// The next block's events, as soon as the block is committed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Arc<BlockEventOf<M>>, EventError> {
        let next = self.next;
        tokio::select! {
            // What is committed is told even when no further block comes.
            biased;
            reached = self.committed.wait_for(|height| *height >= next) => reached.map_err(|_| EventError::Stopped)?,
            _ = self.ended.wait_for(|ended| *ended) => return Err(EventError::Stopped),
        };
        let event = if let Some(event) = self.events.kept(next) {
            event
        } else {
            let events = Arc::clone(&self.events);
            tokio::task::spawn_blocking(move || events.at(next)).await.map_err(|_| EventError::Stopped)??
        };
        self.next = next.next().unwrap_or(next);
        Ok(event)
    }
}
