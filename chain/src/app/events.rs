//! What blocks did, for those who follow: the newest blocks from memory, older ones made again from the store, so that
//! a follower who was away goes on where it stopped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use db3_primitives::{
    BlockTime, EpochClose, Height, LogEntry, Mutation, Operation, RecordKey, Rejection, SignedMutation, TableName,
    VerifiedMutation,
};
use db3_proto::{decode_bundle, decode_mutation};
use tokio::sync::watch;

use crate::lock;
use crate::pool::verdicts::memory_bytes;
use crate::store::blocks::BlockSummary;
use crate::store::receipts::StoredReceipt;
use crate::store::{Store, StoreError};
use crate::version::Versions;

/// Newest blocks whose events stay in memory,
const IN_MEMORY: usize = 64;
/// as far as their mutations take no more than this; the newest one stays in any case.
const IN_MEMORY_BYTES: usize = 64 * 1024 * 1024;

/// What one block did.
#[derive(Debug)]
pub struct BlockEvent {
    /// The block in short.
    pub summary: BlockSummary,
    /// Its mutations with their receipts, in order.
    pub mutations: Vec<EventMutation>,
    /// The epoch whose last statement it wrote.
    pub closed: Option<EpochClose>,
}

/// A mutation of a block and what became of it.
#[derive(Clone, Debug)]
pub struct EventMutation {
    /// What became of it.
    pub receipt: Arc<StoredReceipt>,
    /// What it asked for.
    pub body: MutationBody,
}

/// A mutation as execution had it, or as it was read again from its block.
#[derive(Clone, Debug)]
pub enum MutationBody {
    /// As execution had it.
    Verified(Arc<VerifiedMutation>),
    /// Read again. Its block is final, so its signature was checked then.
    Read(Arc<SignedMutation>),
}

impl MutationBody {
    /// What it asked for.
    #[must_use]
    pub fn mutation(&self) -> &Mutation {
        match self {
            Self::Verified(verified) => verified.mutation(),
            Self::Read(signed) => &signed.content,
        }
    }

    fn memory_bytes(&self) -> usize {
        let bytes = match self {
            Self::Verified(verified) => verified.bytes(),
            Self::Read(signed) => signed.bytes,
        };
        memory_bytes(bytes, self.mutation().operations.len())
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

impl BlockEvent {
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
pub(crate) struct EventLog {
    recent: Mutex<Recent>,
    store: Arc<Store>,
    versions: Arc<Versions>,
}

/// The newest blocks, oldest first.
#[derive(Default)]
struct Recent {
    /// Each with the memory that it takes, about.
    events: VecDeque<(usize, Arc<BlockEvent>)>,
    bytes: usize,
}

impl Recent {
    /// Adds the newest block and takes out those that are too many.
    fn push(&mut self, event: Arc<BlockEvent>, bytes_max: usize) -> Vec<Arc<BlockEvent>> {
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

impl EventLog {
    pub(crate) fn new(store: Arc<Store>, versions: Arc<Versions>) -> Self {
        Self { recent: Mutex::default(), store, versions }
    }

    pub(super) fn push(&self, event: Arc<BlockEvent>) {
        // Freed without the lock.
        let oldest = lock(&self.recent).push(event, IN_MEMORY_BYTES);
        drop(oldest);
    }

    /// The events of a height.
    pub(crate) fn at(&self, height: Height) -> Result<Arc<BlockEvent>, EventError> {
        match self.kept(height) {
            Some(event) => Ok(event),
            None => self.read(height).map(Arc::new),
        }
    }

    fn kept(&self, height: Height) -> Option<Arc<BlockEvent>> {
        let recent = lock(&self.recent);
        recent.events.iter().map(|(_, event)| event).find(|event| event.height() == height).cloned()
    }

    fn read(&self, height: Height) -> Result<BlockEvent, EventError> {
        let unknown = || EventError::Rejected(Rejection::BlockNotFound { height });
        let summary = self.store.summary(height)?.ok_or_else(unknown)?;
        let Some(block) = self.store.block(height)? else {
            let (earliest, latest) = self.store.block_range()?.ok_or_else(unknown)?;
            return Err(EventError::Rejected(Rejection::HeightUnavailable { height, earliest, latest }));
        };
        let damaged = |detail: &Rejection| StoreError::damaged("block", &height.get().to_be_bytes(), detail);
        let mut bodies = Vec::new();
        for tx in block.data.unwrap_or_default().txs {
            // What cannot be read stands in no receipt, but takes its place in the block's order.
            match decode_bundle(&tx) {
                Ok(envelopes) => bodies.extend(envelopes.into_iter().map(decode_mutation)),
                Err(rejection) => bodies.push(Err(rejection)),
            }
        }
        let bodies: Vec<_> = bodies.into_iter().map(|body| body.map(Arc::new)).collect();
        let mut mutations = Vec::new();
        for receipt in self.store.receipts(height, 0, usize::MAX)? {
            let body = usize::try_from(receipt.index).ok().and_then(|index| bodies.get(index));
            let body = body.ok_or_else(|| StoreError::missing("mutation of block", height))?;
            let body = MutationBody::Read(body.as_ref().map_err(damaged)?.clone());
            mutations.push(EventMutation { receipt: Arc::new(receipt), body });
        }
        Ok(BlockEvent { mutations, closed: self.closed_by(&summary)?, summary })
    }

    fn closed_by(&self, summary: &BlockSummary) -> Result<Option<EpochClose>, StoreError> {
        let after = summary.outbox_first.saturating_add(u64::from(summary.outbox_entries));
        let Some(last) = after.checked_sub(1).filter(|_| summary.outbox_entries > 0) else { return Ok(None) };
        let entry = self.store.outbox_entry(last)?.ok_or_else(|| StoreError::missing("outbox entry", last))?;
        match LogEntry::from_bytes(&entry) {
            Ok(LogEntry::EpochClose(close)) => Ok(Some(close)),
            Ok(LogEntry::Statement(_)) => Ok(None),
            Err(error) => Err(StoreError::damaged("outbox entry", &last.to_be_bytes(), error)),
        }
    }
}

/// Follows a chain's blocks, one after the other, none left out.
pub struct EventCursor {
    events: Arc<EventLog>,
    committed: watch::Receiver<Height>,
    ended: watch::Receiver<bool>,
    next: Height,
}

impl EventCursor {
    /// Begins after a height; none: after the newest block.
    pub(crate) fn new(events: Arc<EventLog>, ended: watch::Receiver<bool>, after: Option<Height>) -> Self {
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
    pub async fn next(&mut self) -> Result<Arc<BlockEvent>, EventError> {
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
