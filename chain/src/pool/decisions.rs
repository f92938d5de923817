//! What operators decided and waits for a block. Only what the next block could accept has a place, and there is room for a
//! few: two of one number are possible, and one of them stays without effect.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use db3_governance::SignedProposal;
use db3_primitives::{Height, Identifier, Rejection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::deliveries::{DeliveryState, SubmittedDelivery};
use crate::lock;
use crate::signal::Signal;

/// Decisions that wait.
const WAITING_MAX: usize = 4;
/// Decisions that may be checked at once.
const CHECKS_MAX: usize = 2;

const FULL: Rejection = Rejection::Overloaded { what: "other decisions of operators wait for a block" };

struct Pending {
    id: Identifier,
    signed: SignedProposal,
    /// The consensus transaction that holds it.
    tx: Bytes,
    state: watch::Sender<DeliveryState>,
}

/// The decisions that wait.
pub(crate) struct Decisions {
    waiting: Mutex<Vec<Pending>>,
    checks: Arc<Semaphore>,
    signal: Arc<Signal>,
}

impl Decisions {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        Self { waiting: Mutex::default(), checks: Arc::new(Semaphore::new(CHECKS_MAX)), signal }
    }

    /// A place for one that is checked, which may cost as many signatures as there are operators; none where too many are.
    pub(crate) fn check(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.checks).try_acquire_owned().ok()
    }

    /// Whether the decision that this transaction holds waits.
    pub(crate) fn holds(&self, tx: &[u8]) -> bool {
        lock(&self.waiting).iter().any(|pending| pending.tx == tx)
    }

    /// Whether one that comes from elsewhere could wait. The same body with other signatures, of which anybody can make many
    /// once enough are known, would bring nothing.
    pub(crate) fn check_room(&self, id: &Identifier) -> Result<(), Rejection> {
        let waiting = lock(&self.waiting);
        if waiting.iter().any(|pending| pending.id == *id) {
            return Err(Rejection::Overloaded { what: "the decision waits for a block, with other signatures" });
        }
        if waiting.len() >= WAITING_MAX { Err(FULL) } else { Ok(()) }
    }

    /// Takes a decision that was found good. Other signatures of the same body are the same decision.
    pub(crate) fn insert(&self, signed: SignedProposal, tx: Bytes) -> Result<SubmittedDelivery, Rejection> {
        let id = signed.proposal.id();
        let mut waiting = lock(&self.waiting);
        if let Some(same) = waiting.iter().find(|pending| pending.id == id) {
            return Ok(SubmittedDelivery { id, state: same.state.subscribe() });
        }
        if waiting.len() >= WAITING_MAX {
            return Err(FULL);
        }
        let (sender, state) = watch::channel(DeliveryState::Pending);
        waiting.push(Pending { id, signed, tx, state: sender });
        drop(waiting);
        self.signal.raise();
        Ok(SubmittedDelivery { id, state })
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.waiting).is_empty()
    }

    /// The consensus transactions of all that wait, those that came first first.
    pub(crate) fn transactions(&self) -> Vec<Bytes> {
        lock(&self.waiting).iter().map(|pending| pending.tx.clone()).collect()
    }

    /// After a block: what it accepted and what no later one can accept stops waiting. `useless` says why, of a decision
    /// that the block did not accept.
    pub(crate) fn settle(
        &self,
        height: Height,
        accepted: &[Identifier],
        useless: impl Fn(&SignedProposal) -> Option<Rejection>,
    ) {
        let mut ends = Vec::new();
        lock(&self.waiting).retain_mut(|pending| {
            let end = if accepted.contains(&pending.id) {
                Some(DeliveryState::Done(height))
            } else {
                useless(&pending.signed).map(DeliveryState::Dropped)
            };
            let Some(end) = end else { return true };
            ends.push((pending.state.clone(), end));
            false
        });
        for (state, end) in ends {
            state.send_replace(end);
        }
    }
}
