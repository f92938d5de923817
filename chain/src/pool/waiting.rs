//! The tables of what waits: by arrival, by identifier, by nonce, by expiry, and what is reserved for each account. They
//! change together, under the one lock of [`Mempool`](super::Mempool).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use db3_primitives::{Address, BlockTime, Body, Hash32, MutationId, Nonce, Rejection, Tai, Verified};
use tokio::sync::watch;

use super::bundled::Bundled;
use super::receipt::ReceiptState;
use super::verdicts::operation_bytes;
use crate::machine::Machine;
use crate::version::Versions;

/// Dropped mutations whose end is remembered.
const FORGET_AFTER: usize = 20_000;

/// A mutation that waits.
pub(crate) struct Pending<M: Machine> {
    pub(crate) verified: Arc<Verified<M::Body>>,
    /// Its envelope, as it goes into a bundle.
    pub(crate) envelope: Bytes,
    pub(super) state: watch::Sender<ReceiptState>,
    /// Somebody asked this node for it. What only came with a peer's bundle goes with that bundle.
    pub(super) claimed: AtomicBool,
}

impl<M: Machine> Pending<M> {
    pub(super) fn claim(&self) {
        self.claimed.store(true, Ordering::Relaxed);
    }

    fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::Relaxed)
    }
}

/// What waits of one account.
#[derive(Default)]
struct OfAccount {
    /// What each may cost, by arrival,
    bounds: BTreeMap<u64, Tai>,
    /// and all together.
    reserved: Tai,
}

/// What waits.
pub(super) struct Pool<M: Machine> {
    /// By arrival.
    pub(super) queue: BTreeMap<u64, Arc<Pending<M>>>,
    arrivals: u64,
    by_id: HashMap<MutationId, u64>,
    /// Nonces that wait, so that each does only once.
    nonces: HashMap<M::Lane, BTreeMap<Nonce, u64>>,
    accounts: HashMap<Address, OfAccount>,
    by_expiry: BTreeSet<(u64, u64)>,
    pub(super) bytes: usize,
    /// Their bytes and what their operations take beside them; this is what is bounded.
    pub(super) memory: usize,
    pub(super) bundled: Bundled,
    pub(super) ended: HashMap<MutationId, ReceiptState>,
    ended_order: VecDeque<MutationId>,
}

pub(super) fn memory<B: Body>(verified: &Verified<B>, envelope: &Bytes) -> usize {
    envelope.len().saturating_add(operation_bytes(verified.content().operation_count()))
}

impl OfAccount {
    fn reserve(&mut self, arrival: u64, bound: Tai) {
        self.release(arrival);
        // Bounds that were admitted add up to what their account had left at most.
        self.reserved = self.reserved.checked_add(bound).unwrap_or(self.reserved);
        self.bounds.insert(arrival, bound);
    }

    fn release(&mut self, arrival: u64) {
        if let Some(bound) = self.bounds.remove(&arrival) {
            self.reserved = self.reserved.saturating_sub(bound);
        }
    }

    /// The one that came last, what it may cost, and what the others may.
    fn newest(&self) -> Option<(u64, Tai, Tai)> {
        let (arrival, bound) = self.bounds.last_key_value()?;
        Some((*arrival, *bound, self.reserved.saturating_sub(*bound)))
    }
}

impl<M: Machine> Pool<M> {
    pub(super) fn new() -> Self {
        Self {
            queue: BTreeMap::new(),
            arrivals: 0,
            by_id: HashMap::new(),
            nonces: HashMap::new(),
            accounts: HashMap::new(),
            by_expiry: BTreeSet::new(),
            bytes: 0,
            memory: 0,
            bundled: Bundled::default(),
            ended: HashMap::new(),
            ended_order: VecDeque::new(),
        }
    }

    /// Where a mutation stands by arrival.
    pub(super) fn arrival(&self, id: &MutationId) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    pub(super) fn get(&self, id: &MutationId) -> Option<&Arc<Pending<M>>> {
        self.by_id.get(id).and_then(|arrival| self.queue.get(arrival))
    }

    /// Whether it fits the newest state and what waits: its nonce, and its bound within what its account has left. (A block
    /// may have come since it was looked at.)
    pub(super) fn check(
        &self,
        verified: &Verified<M::Body>,
        bound: Tai,
        versions: &Versions<M>,
    ) -> Result<(), Rejection> {
        let body = verified.content();
        let state = &versions.committed().state;
        let (account, nonce) = (body.account(), body.nonce());
        if self.nonces.get(&M::lane(body)).is_some_and(|nonces| nonces.contains_key(&nonce)) {
            return Err(Rejection::NonceUsed { nonce, next: M::next_nonce(state, body) });
        }
        M::check_nonce(state, body)?;
        let reserved = self.accounts.get(&account).map_or(Tai::ZERO, |of| of.reserved);
        M::check_funds(state, body, reserved, bound)
    }

    pub(super) fn add(&mut self, pending: Pending<M>, bound: Tai) {
        let arrival = self.arrivals;
        self.arrivals = arrival.saturating_add(1);
        let body = pending.verified.content();
        self.accounts.entry(body.account()).or_default().reserve(arrival, bound);
        self.nonces.entry(M::lane(body)).or_default().insert(body.nonce(), arrival);
        self.by_expiry.insert((body.expire_unix_secs(), arrival));
        self.bytes = self.bytes.saturating_add(pending.envelope.len());
        self.memory = self.memory.saturating_add(memory(&pending.verified, &pending.envelope));
        self.by_id.insert(pending.verified.id(), arrival);
        self.bundled.add(arrival);
        self.queue.insert(arrival, Arc::new(pending));
    }

    pub(super) fn remove(&mut self, id: &MutationId) -> Option<Arc<Pending<M>>> {
        let arrival = self.by_id.remove(id)?;
        let pending = self.queue.remove(&arrival)?;
        self.bundled.remove(arrival);
        let body = pending.verified.content();
        self.by_expiry.remove(&(body.expire_unix_secs(), arrival));
        self.bytes = self.bytes.saturating_sub(pending.envelope.len());
        self.memory = self.memory.saturating_sub(memory(&pending.verified, &pending.envelope));
        if let Some(of) = self.accounts.get_mut(&body.account()) {
            of.release(arrival);
            if of.bounds.is_empty() {
                self.accounts.remove(&body.account());
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

    /// Takes out the mutation that waits with a nonce that another one has used.
    pub(super) fn take_overtaken(&mut self, body: &M::Body) -> Option<Arc<Pending<M>>> {
        let arrival = self.nonces.get(&M::lane(body))?.get(&body.nonce())?;
        let id = self.queue.get(arrival)?.verified.id();
        self.remove(&id)
    }

    /// The accounts that something waits of.
    pub(super) fn accounts(&self) -> Vec<Address> {
        self.accounts.keys().copied().collect()
    }

    /// Takes out what an account cannot pay any more beside what came before it, the newest first.
    pub(super) fn take_unpayable(&mut self, account: &Address, state: &M::State) -> Vec<Arc<Pending<M>>> {
        let mut taken = Vec::new();
        while let Some((arrival, bound, others)) = self.accounts.get(account).and_then(OfAccount::newest) {
            let Some(newest) = self.queue.get(&arrival) else { break };
            if M::check_funds(state, newest.verified.content(), others, bound).is_ok() {
                break;
            }
            let id = newest.verified.id();
            taken.extend(self.remove(&id));
        }
        taken
    }

    /// Prices may have changed: reserves what each may cost now, and takes out what is above its own limit.
    pub(super) fn reprice(&mut self, state: &M::State, time: BlockTime) -> Vec<Arc<Pending<M>>> {
        let mut over = Vec::new();
        for (arrival, pending) in &self.queue {
            let body = pending.verified.content();
            match M::admit(state, body, pending.verified.bytes(), time) {
                Ok(bound) => self.accounts.entry(body.account()).or_default().reserve(*arrival, bound),
                Err(Rejection::FeeOverLimit { .. }) => over.push(pending.verified.id()),
                // What else stands against it, time or funds may mend; and funds are looked at next.
                Err(_) => {}
            }
        }
        over.iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Whether this node was asked for one of the mutations of a bundle that no block takes.
    pub(super) fn is_overdue(&self, bundle: &Hash32) -> bool {
        let is_claimed = |arrival| self.queue.get(arrival).is_some_and(|pending| pending.is_claimed());
        self.bundled.overdue(bundle).is_some_and(|waiting| waiting.iter().any(is_claimed))
    }

    /// Forgets those of some mutations that nobody asked this node for.
    pub(super) fn drop_unclaimed(&mut self, arrivals: impl IntoIterator<Item = u64>) {
        for arrival in arrivals {
            let unclaimed = self.queue.get(&arrival).filter(|pending| !pending.is_claimed());
            if let Some(id) = unclaimed.map(|pending| pending.verified.id()) {
                // Nobody watches it.
                let _ = self.remove(&id);
            }
        }
    }

    pub(super) fn take_expired(&mut self, time: BlockTime) -> Option<Arc<Pending<M>>> {
        let (expire, arrival) = self.by_expiry.first().copied()?;
        if expire > time.secs {
            return None;
        }
        let id = self.queue.get(&arrival)?.verified.id();
        self.remove(&id)
    }

    pub(super) fn end(&mut self, id: MutationId, state: ReceiptState) {
        self.ended.insert(id, state);
        self.ended_order.push_back(id);
        while self.ended_order.len() > FORGET_AFTER {
            if let Some(id) = self.ended_order.pop_front() {
                self.ended.remove(&id);
            }
        }
    }
}
