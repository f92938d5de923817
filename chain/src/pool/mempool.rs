//! Admitted mutations that wait for a block.
//!
//! Bounded in count and bytes. For every account the static bounds of what waits are reserved, so that credit for one
//! mutation does not admit a hundred thousand; of two mutations with one nonce the first waits.
//!
//! Under `CometBFT` they travel in bundles: its mempool holds the bundles, this one what is in them.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use db3_primitives::{Address, BlockTime, Body as _, Hash32, MutationId, Rejection, Tai, Verified};
use db3_proto::element_bytes;
use tokio::sync::watch;

use super::receipt::ReceiptState;
use super::waiting::{Pending, Pool, memory};
use crate::config::ChainConfig;
use crate::lock;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::signal::Signal;
use crate::store::receipts::StoredReceipt;
use crate::version::Versions;

/// How much of what waits a block may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) bytes: usize,
    pub(crate) mutations: usize,
    pub(crate) operations: usize,
}

/// A block that was decided, as it matters to what waits.
pub(crate) struct SettledBlock<'a, M: Machine> {
    pub(crate) time: BlockTime,
    /// After it.
    pub(crate) state: &'a M::State,
    pub(crate) receipts: &'a [Arc<StoredReceipt>],
    /// Its mutations, by the index in their receipts.
    pub(crate) mutations: &'a [Option<Arc<Verified<M::Body>>>],
    /// What its proposer left out for good, and how it ended.
    pub(crate) refused: Vec<(MutationId, ReceiptState)>,
    pub(crate) funds: Funds<'a>,
}

/// What a block did to what accounts can pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Funds<'a> {
    /// Those that its receipts charge may have less, and these.
    Lowered(&'a [Address]),
    /// Anybody may have less, and what a mutation costs may have changed.
    Repriced,
}

impl<M: Machine> SettledBlock<'_, M> {
    /// The receipts of what used its nonce.
    fn charged(&self) -> impl Iterator<Item = &Arc<StoredReceipt>> {
        self.receipts.iter().filter(|receipt| receipt.is_charged())
    }
}

/// The mutations that wait.
pub(crate) struct Mempool<M: Machine> {
    pool: Mutex<Pool<M>>,
    mutations_max: usize,
    bytes_max: usize,
    signal: Arc<Signal>,
    metrics: Arc<Metrics>,
}

impl<M: Machine> Mempool<M> {
    pub(crate) fn new(config: &ChainConfig, signal: Arc<Signal>, metrics: Arc<Metrics>) -> Self {
        let (mutations_max, bytes_max) = (config.mempool_mutations, config.mempool_bytes);
        Self { pool: Mutex::new(Pool::new()), mutations_max, bytes_max, signal, metrics }
    }

    /// Takes a mutation in for somebody who asked this node for it, or says why not; one that waits already is the same
    /// one.
    pub(crate) fn insert(
        &self,
        verified: Arc<Verified<M::Body>>,
        envelope: Bytes,
        bound: Tai,
        versions: &Versions<M>,
    ) -> Result<watch::Receiver<ReceiptState>, Rejection> {
        let mut pool = lock(&self.pool);
        if let Some(pending) = pool.get(&verified.id()) {
            pending.claim();
            return Ok(pending.state.subscribe());
        }
        let none_free = pool.bundled.all_bundled();
        let receiver = self.add(&mut pool, verified, envelope, bound, true, versions)?;
        drop(pool);
        if none_free {
            self.signal.raise();
        }
        Ok(receiver)
    }

    /// Takes a mutation of a bundle that a peer made: one that is new, or one that waits and stands in no other bundle.
    pub(crate) fn join(
        &self,
        bundle: Hash32,
        verified: Arc<Verified<M::Body>>,
        envelope: &[u8],
        bound: Tai,
        versions: &Versions<M>,
    ) -> Result<(), Rejection> {
        let mut pool = lock(&self.pool);
        let id = verified.id();
        if pool.arrival(&id).is_none() {
            // A copy: a part of the bundle would keep all of it in memory.
            self.add(&mut pool, verified, Bytes::copy_from_slice(envelope), bound, false, versions)?;
        }
        match pool.arrival(&id).filter(|arrival| pool.bundled.is_free(*arrival)) {
            Some(arrival) => {
                pool.bundled.assign(bundle, arrival);
                Ok(())
            }
            None => Err(Rejection::Overloaded { what: "the mutation stands in another bundle" }),
        }
    }

    fn add(
        &self,
        pool: &mut Pool<M>,
        verified: Arc<Verified<M::Body>>,
        envelope: Bytes,
        bound: Tai,
        claimed: bool,
        versions: &Versions<M>,
    ) -> Result<watch::Receiver<ReceiptState>, Rejection> {
        if pool.queue.len() >= self.mutations_max {
            return Err(Rejection::Overloaded { what: "too many mutations wait for a block" });
        }
        if pool.memory.saturating_add(memory(&verified, &envelope)) > self.bytes_max {
            return Err(Rejection::Overloaded { what: "too many bytes of mutations wait for a block" });
        }
        pool.check(&verified, bound, versions)?;
        let (state, receiver) = watch::channel(ReceiptState::Pending);
        pool.add(Pending { verified, envelope, state, claimed: AtomicBool::new(claimed) }, bound);
        self.measure(pool);
        Ok(receiver)
    }

    /// A mutation that waits; from now on this node answers for it.
    pub(crate) fn watch(&self, id: &MutationId) -> Option<watch::Receiver<ReceiptState>> {
        let pool = lock(&self.pool);
        let pending = pool.get(id)?;
        pending.claim();
        Some(pending.state.subscribe())
    }

    /// Whether a mutation waits in a bundle.
    pub(crate) fn is_bundled(&self, id: &MutationId) -> bool {
        let pool = lock(&self.pool);
        pool.arrival(id).is_some_and(|arrival| !pool.bundled.is_free(arrival))
    }

    /// Whether one of a bundle's mutations still waits.
    pub(crate) fn holds_bundle(&self, bundle: &Hash32) -> bool {
        lock(&self.pool).bundled.holds(bundle)
    }

    /// `CometBFT` asks about a bundle, or says that it has it; whether one of its mutations still waits.
    pub(crate) fn asked(&self, bundle: &Hash32) -> bool {
        lock(&self.pool).bundled.asked(bundle)
    }

    /// Gives a bundle up that `CometBFT` has held for long, so that those who refused it meanwhile hear of its mutations
    /// again; whether it did. One that this node was asked for nothing of is left to whoever made it.
    pub(crate) fn give_up(&self, bundle: &Hash32) -> bool {
        let overdue = lock(&self.pool).is_overdue(bundle);
        if overdue {
            self.forget_bundle(bundle);
        }
        overdue
    }

    /// What stands in no bundle, by arrival, up to so many bytes and mutations; and whether that is all of it.
    pub(crate) fn free(&self, bytes_max: usize, mutations_max: usize) -> (Vec<Arc<Pending<M>>>, bool) {
        let pool = lock(&self.pool);
        let mut left = bytes_max;
        let mut taken = Vec::new();
        for pending in pool.bundled.free().filter_map(|arrival| pool.queue.get(&arrival)) {
            match left.checked_sub(element_bytes(pending.envelope.len())) {
                Some(rest) if taken.len() < mutations_max => left = rest,
                Some(_) | None => return (taken, false),
            }
            taken.push(Arc::clone(pending));
        }
        (taken, true)
    }

    /// Bytes of what stands in no bundle, by the average of all that waits; 0 where nothing does.
    pub(crate) fn free_bytes(&self) -> usize {
        let pool = lock(&self.pool);
        let average = pool.bytes.checked_div(pool.queue.len()).unwrap_or_default();
        pool.bundled.free_count().saturating_mul(average)
    }

    /// Notes that a bundle holds these mutations, as far as they wait and stand in no other; whether it holds one.
    pub(crate) fn bundle(&self, bundle: Hash32, ids: impl IntoIterator<Item = MutationId>) -> bool {
        let mut pool = lock(&self.pool);
        for id in ids {
            if let Some(arrival) = pool.arrival(&id) {
                pool.bundled.assign(bundle, arrival);
            }
        }
        pool.bundled.holds(&bundle)
    }

    /// `CometBFT` does not hold a bundle any more: what this node was asked for is free again, the rest is forgotten.
    pub(crate) fn forget_bundle(&self, bundle: &Hash32) {
        let mut pool = lock(&self.pool);
        let freed = pool.bundled.forget(bundle);
        pool.drop_unclaimed(freed);
        self.measure(&pool);
        drop(pool);
        self.signal.raise();
    }

    /// The same of all bundles: `CometBFT` begins anew.
    pub(crate) fn forget_bundles(&self) {
        let mut pool = lock(&self.pool);
        let freed = pool.bundled.forget_all();
        pool.drop_unclaimed(freed);
        self.measure(&pool);
        drop(pool);
        self.signal.raise();
    }

    /// How a mutation ended that waited once and that no block holds, if it is remembered.
    pub(crate) fn ended(&self, id: &MutationId) -> Option<ReceiptState> {
        lock(&self.pool).ended.get(id).cloned()
    }

    /// Number and bytes of what waits.
    pub(crate) fn size(&self) -> (usize, usize) {
        let pool = lock(&self.pool);
        (pool.queue.len(), pool.bytes)
    }

    /// What a block may take, by arrival. It waits on until [`Self::settle`].
    pub(crate) fn select(&self, room: Room) -> Vec<Arc<Pending<M>>> {
        let pool = lock(&self.pool);
        let (mut bytes, mut operations) = (room.bytes, room.operations);
        let mut selected = Vec::new();
        for pending in pool.queue.values().take(room.mutations) {
            let left = bytes.checked_sub(element_bytes(pending.envelope.len()));
            let left = left.zip(operations.checked_sub(pending.verified.content().operation_count()));
            let Some((bytes_left, operations_left)) = left else { break };
            (bytes, operations) = (bytes_left, operations_left);
            selected.push(Arc::clone(pending));
        }
        selected
    }

    /// After a block: `publish` makes its version the newest, and what stops waiting is told to whoever watches it: the
    /// mutations that the block holds, those whose nonce it used otherwise, those that it refused, those that expired by its
    /// time, and those that their account cannot pay any more. What stood in a bundle that `CometBFT` lost is free again,
    /// if this node was asked for it.
    pub(crate) fn settle(&self, block: &SettledBlock<'_, M>, publish: impl FnOnce()) {
        let mut ends = Vec::with_capacity(block.receipts.len());
        {
            let mut pool = lock(&self.pool);
            publish();
            for receipt in block.charged() {
                if let Some(pending) = pool.remove(&receipt.id) {
                    ends.push((pending, ReceiptState::Done(Arc::clone(receipt))));
                    continue;
                }
                let index = usize::try_from(receipt.index).ok();
                let Some(Some(used)) = index.and_then(|index| block.mutations.get(index)) else { continue };
                let body = used.content();
                if let Some(pending) = pool.take_overtaken(body) {
                    let (nonce, next) = (body.nonce(), M::next_nonce(block.state, body));
                    let state = ReceiptState::Rejected(Rejection::NonceUsed { nonce, next });
                    pool.end(pending.verified.id(), state.clone());
                    ends.push((pending, state));
                }
            }
            for (id, state) in &block.refused {
                if let Some(pending) = pool.remove(id) {
                    pool.end(*id, state.clone());
                    ends.push((pending, state.clone()));
                }
            }
            while let Some(pending) = pool.take_expired(block.time) {
                pool.end(pending.verified.id(), ReceiptState::Expired);
                ends.push((pending, ReceiptState::Expired));
            }
            // Others may hold it until it expires, and a line may be raised: nothing final can be said of it.
            ends.extend(unpayable(&mut pool, block).into_iter().map(|pending| (pending, ReceiptState::Unknown)));
            let lost = pool.bundled.after_block();
            pool.drop_unclaimed(lost);
            self.measure(&pool);
        }
        for (pending, state) in ends {
            pending.state.send_replace(state);
        }
    }

    fn measure(&self, pool: &Pool<M>) {
        self.metrics.mempool_mutations.set(pool.queue.len() as u64);
        self.metrics.mempool_bytes.set(pool.bytes as u64);
    }
}

/// What accounts cannot pay any more after a block.
fn unpayable<M: Machine>(pool: &mut Pool<M>, block: &SettledBlock<'_, M>) -> Vec<Arc<Pending<M>>> {
    let (accounts, mut taken) = match block.funds {
        Funds::Lowered(others) => {
            let charged = block.charged().map(|receipt| receipt.account);
            (charged.chain(others.iter().copied()).collect(), Vec::new())
        }
        Funds::Repriced => {
            let over = pool.reprice(block.state, block.time);
            (pool.accounts(), over)
        }
    };
    for account in accounts {
        taken.extend(pool.take_unpayable(&account, block.state));
    }
    taken
}
