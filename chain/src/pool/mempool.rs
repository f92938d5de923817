//! Admitted mutations that wait for a block.
//!
//! Bounded in count and bytes. For every account the static bounds of what waits are reserved, so that credit for one
//! mutation does not admit a hundred thousand; of two mutations with one nonce the first waits.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use db3_primitives::{Address, BlockTime, Body, MutationId, Nonce, Rejection, Tai, Verified};
use db3_proto::element_bytes;
use tokio::sync::watch;

use super::receipt::ReceiptState;
use super::verdicts::operation_bytes;
use crate::config::ChainConfig;
use crate::lock;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::signal::Signal;
use crate::store::receipts::StoredReceipt;
use crate::version::Versions;

/// Dropped mutations whose end is remembered.
const FORGET_AFTER: usize = 20_000;

/// A mutation that waits.
pub(crate) struct Pending<M: Machine> {
    pub(crate) verified: Arc<Verified<M::Body>>,
    /// Its envelope, as it goes into a bundle.
    pub(crate) envelope: Bytes,
    bound: Tai,
    state: watch::Sender<ReceiptState>,
}

/// How much of what waits a block may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) bytes: usize,
    pub(crate) mutations: usize,
    pub(crate) operations: usize,
}

/// The mutations that wait.
pub(crate) struct Mempool<M: Machine> {
    pool: Mutex<Pool<M>>,
    mutations_max: usize,
    bytes_max: usize,
    signal: Arc<Signal>,
    metrics: Arc<Metrics>,
}

struct Pool<M: Machine> {
    /// By arrival.
    queue: BTreeMap<u64, Arc<Pending<M>>>,
    arrivals: u64,
    by_id: HashMap<MutationId, u64>,
    /// Nonces that wait, so that each does only once.
    nonces: HashMap<M::Lane, BTreeSet<Nonce>>,
    reserved: HashMap<Address, Tai>,
    by_expiry: BTreeSet<(u64, u64)>,
    bytes: usize,
    /// Their bytes and what their operations take beside them; this is what is bounded.
    memory: usize,
    ended: HashMap<MutationId, ReceiptState>,
    ended_order: VecDeque<MutationId>,
}

impl<M: Machine> Mempool<M> {
    pub(crate) fn new(config: &ChainConfig, signal: Arc<Signal>, metrics: Arc<Metrics>) -> Self {
        let (mutations_max, bytes_max) = (config.mempool_mutations, config.mempool_bytes);
        Self { pool: Mutex::new(Pool::new()), mutations_max, bytes_max, signal, metrics }
    }

    /// Takes a mutation in, or says why not; one that waits already is the same one.
    pub(crate) fn insert(
        &self,
        verified: Arc<Verified<M::Body>>,
        envelope: Bytes,
        bound: Tai,
        versions: &Versions<M>,
    ) -> Result<watch::Receiver<ReceiptState>, Rejection> {
        let mut pool = lock(&self.pool);
        if let Some(pending) = pool.get(&verified.id()) {
            return Ok(pending.state.subscribe());
        }
        if pool.queue.len() >= self.mutations_max {
            return Err(Rejection::Overloaded { what: "too many mutations wait for a block" });
        }
        if pool.memory.saturating_add(memory(&verified, &envelope)) > self.bytes_max {
            return Err(Rejection::Overloaded { what: "too many bytes of mutations wait for a block" });
        }
        pool.check(&verified, bound, versions)?;
        let (state, receiver) = watch::channel(ReceiptState::Pending);
        let was_empty = pool.queue.is_empty();
        pool.add(Pending { verified, envelope, bound, state });
        self.measure(&pool);
        drop(pool);
        if was_empty {
            self.signal.raise();
        }
        Ok(receiver)
    }

    /// A mutation that waits.
    pub(crate) fn watch(&self, id: &MutationId) -> Option<watch::Receiver<ReceiptState>> {
        lock(&self.pool).get(id).map(|pending| pending.state.subscribe())
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

    /// After a block: `publish` makes its version the newest, the mutations that it holds, those that it refused and
    /// those that expired by its time stop waiting, and whoever watches them is told.
    pub(crate) fn settle(
        &self,
        time: BlockTime,
        receipts: &[Arc<StoredReceipt>],
        refused: Vec<(MutationId, ReceiptState)>,
        publish: impl FnOnce(),
    ) {
        let mut ends = Vec::with_capacity(receipts.len());
        {
            let mut pool = lock(&self.pool);
            publish();
            for receipt in receipts.iter().filter(|receipt| receipt.is_charged()) {
                if let Some(pending) = pool.remove(&receipt.id) {
                    ends.push((pending, ReceiptState::Done(Arc::clone(receipt))));
                }
            }
            for (id, state) in refused {
                if let Some(pending) = pool.remove(&id) {
                    pool.end(id, state.clone());
                    ends.push((pending, state));
                }
            }
            while let Some(pending) = pool.take_expired(time) {
                pool.end(pending.verified.id(), ReceiptState::Expired);
                ends.push((pending, ReceiptState::Expired));
            }
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

fn memory<B: Body>(verified: &Verified<B>, envelope: &Bytes) -> usize {
    envelope.len().saturating_add(operation_bytes(verified.content().operation_count()))
}

impl<M: Machine> Pool<M> {
    fn new() -> Self {
        Self {
            queue: BTreeMap::new(),
            arrivals: 0,
            by_id: HashMap::new(),
            nonces: HashMap::new(),
            reserved: HashMap::new(),
            by_expiry: BTreeSet::new(),
            bytes: 0,
            memory: 0,
            ended: HashMap::new(),
            ended_order: VecDeque::new(),
        }
    }

    fn get(&self, id: &MutationId) -> Option<&Arc<Pending<M>>> {
        self.by_id.get(id).and_then(|arrival| self.queue.get(arrival))
    }

    /// Whether it fits beside what waits: its nonce, and its bound within what its account has left.
    fn check(&self, verified: &Verified<M::Body>, bound: Tai, versions: &Versions<M>) -> Result<(), Rejection> {
        let body = verified.content();
        let state = &versions.committed().state;
        let (account, nonce) = (body.account(), body.nonce());
        if self.nonces.get(&M::lane(body)).is_some_and(|nonces| nonces.contains(&nonce)) {
            return Err(Rejection::NonceUsed { nonce, next: M::next_nonce(state, body) });
        }
        let reserved = self.reserved.get(&account).copied().unwrap_or(Tai::ZERO);
        M::check_funds(state, body, reserved, bound)
    }

    fn add(&mut self, pending: Pending<M>) {
        let arrival = self.arrivals;
        self.arrivals = arrival.saturating_add(1);
        let body = pending.verified.content();
        let reserved = self.reserved.entry(body.account()).or_default();
        // Bounds that were admitted add up to what their account had left at most.
        *reserved = reserved.checked_add(pending.bound).unwrap_or(*reserved);
        self.nonces.entry(M::lane(body)).or_default().insert(body.nonce());
        self.by_expiry.insert((body.expire_unix_secs(), arrival));
        self.bytes = self.bytes.saturating_add(pending.envelope.len());
        self.memory = self.memory.saturating_add(memory(&pending.verified, &pending.envelope));
        self.by_id.insert(pending.verified.id(), arrival);
        self.queue.insert(arrival, Arc::new(pending));
    }

    fn remove(&mut self, id: &MutationId) -> Option<Arc<Pending<M>>> {
        let arrival = self.by_id.remove(id)?;
        let pending = self.queue.remove(&arrival)?;
        let body = pending.verified.content();
        self.by_expiry.remove(&(body.expire_unix_secs(), arrival));
        self.bytes = self.bytes.saturating_sub(pending.envelope.len());
        self.memory = self.memory.saturating_sub(memory(&pending.verified, &pending.envelope));
        if let Some(reserved) = self.reserved.get_mut(&body.account()) {
            *reserved = reserved.saturating_sub(pending.bound);
            if *reserved == Tai::ZERO {
                self.reserved.remove(&body.account());
            }
        }
        let lane = M::lane(body);
        if let Some(nonces) = self.nonces.get_mut(&lane) {
            nonces.remove(&body.nonce());
            if nonces.is_empty() {
                self.nonces.remove(&lane);
            }
        }
        Some(pending)
    }

    fn take_expired(&mut self, time: BlockTime) -> Option<Arc<Pending<M>>> {
        let (expire, arrival) = self.by_expiry.first().copied()?;
        if expire > time.secs {
            return None;
        }
        let id = self.queue.get(&arrival)?.verified.id();
        self.remove(&id)
    }

    fn end(&mut self, id: MutationId, state: ReceiptState) {
        self.ended.insert(id, state);
        self.ended_order.push_back(id);
        while self.ended_order.len() > FORGET_AFTER {
            if let Some(id) = self.ended_order.pop_front() {
                self.ended.remove(&id);
            }
        }
    }
}
