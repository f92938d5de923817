//! What `CometBFT` may keep in its mempool, above all the bundles of peers: taken in with their mutations, or refused as a
//! whole.
//!
//! Whoever makes a bundle has read and verified all that he puts into it, and what a block or another bundle takes from it
//! meanwhile is no fault of his. So one that cannot be read in part is refused, and one that has lost more than half, by
//! number or by length: what nobody pays for may not take more room on its way than what somebody does.
//!
//! One with a false signature is refused as soon as that is found, and remembered: no later state makes it good. What such
//! bundles cost the engine's thread is a share of its time; while that is used up, no signature of a bundle is looked at.
//! What cannot be read at all is remembered too, of whatever kind it is.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use db3_primitives::{BlockTime, Hash32, Rejection, Tai, Verified, sha256};
use db3_proto::{BlockTx, decode_tx, element_bytes};

use super::Inner;
use super::allowance::Allowance;
use crate::lock;
use crate::machine::Machine;
use crate::pool::verdicts::Looked;

/// One part in so many of its time the engine's thread may spend on false signatures of bundles. It is large because a good
/// bundle that comes meanwhile is refused, and goes no further from here.
const FALSE_PART: u32 = 4;
/// Refused transactions that are remembered.
const REFUSED_MAX: usize = 4_096;

/// Transactions that can never be good, bundles above all: part of them cannot be read, or a signature is false.
pub(crate) struct FalseBundles {
    allowance: Allowance,
    refused: HashMap<Hash32, Rejection>,
    /// Those that were refused first come first.
    order: VecDeque<Hash32>,
}

impl Default for FalseBundles {
    fn default() -> Self {
        let allowance = Allowance::of(FALSE_PART, Instant::now());
        Self { allowance, refused: HashMap::new(), order: VecDeque::new() }
    }
}

impl FalseBundles {
    fn remember(&mut self, tx: Hash32, rejection: Rejection) {
        if self.refused.insert(tx, rejection).is_none() {
            self.order.push_back(tx);
        }
        if self.order.len() > REFUSED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.refused.remove(&oldest);
        }
    }

    /// Whether a transaction is remembered.
    #[cfg(test)]
    pub(crate) fn remembers(&self, tx: &[u8]) -> bool {
        self.refused.contains_key(&sha256(&[tx]))
    }

    /// Uses up what false signatures may cost, by so much more.
    #[cfg(test)]
    pub(crate) fn spend(&mut self, time: std::time::Duration) {
        self.allowance.spend(time);
    }
}

/// How much of a bundle something is.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    mutations: usize,
    bytes: usize,
}

impl Share {
    fn add(&mut self, envelope: &[u8]) {
        self.mutations = self.mutations.saturating_add(1);
        self.bytes = self.bytes.saturating_add(element_bytes(envelope.len()));
    }

    /// Whether it is half of all or more, by number and by length.
    fn is_half_of(self, all: Self) -> bool {
        self.mutations.saturating_mul(2) >= all.mutations && self.bytes.saturating_mul(2) >= all.bytes
    }
}

impl<M: Machine> Inner<M> {
    /// Whether `CometBFT` may keep a transaction in its mempool: a delivery, a decision, or a bundle: a new one if at least
    /// half of it is new and good, one that is known while one of its mutations still waits. So the answer about a bundle
    /// turns once, from yes to no; only one that no block takes is given up, and its mutations come in another one.
    pub(super) fn check_transaction(&self, tx: &[u8], recheck: bool) -> Result<(), Rejection> {
        let hash = sha256(&[tx]);
        if recheck && self.mempool.give_up(&hash) {
            return Err(Rejection::NotReady);
        }
        // This node's own bundles are known before they are handed in; and a second look costs one hash. A decision that waits
        // was found good, and again after every block.
        if self.mempool.asked(&hash) || self.decisions.holds(tx) {
            return Ok(());
        }
        if let Some(rejection) = lock(&self.false_bundles).refused.get(&hash) {
            return Err(rejection.clone());
        }
        match decode_tx(tx).map_err(|rejection| self.never(hash, rejection))? {
            BlockTx::Delivery(delivery) => self.check_delivery_tx(delivery, recheck),
            BlockTx::Governance(signed) => self.check_governance_tx(hash, signed, recheck),
            // Nothing of it waits any more.
            BlockTx::Bundle(_) if recheck => Err(Rejection::NotReady),
            BlockTx::Bundle(envelopes) => self.take_bundle(hash, &envelopes),
        }
    }

    /// Takes in the mutations of a peer's bundle, or none of them.
    fn take_bundle(&self, bundle: Hash32, envelopes: &[&[u8]]) -> Result<(), Rejection> {
        let version = self.versions.committed();
        let now = self.clock.now().max(version.time);
        let (mut all, mut hopeful, mut good) = (Share::default(), Share::default(), Share::default());
        let mut refused = None;
        let (mut candidates, mut looks) = (Vec::with_capacity(envelopes.len()), Vec::with_capacity(envelopes.len()));
        for envelope in envelopes {
            let looked = self.verdicts.look(envelope).map_err(|rejection| self.never(bundle, rejection))?;
            all.add(envelope);
            match self.look_at_bundled(&version.state, &looked, now) {
                Ok(bound) => {
                    hopeful.add(envelope);
                    candidates.push((*envelope, bound));
                    looks.push(looked);
                }
                Err(rejection) => refused = refused.or(Some(rejection)),
            }
        }
        // Where too little is left no signature is looked at.
        if hopeful.is_half_of(all) {
            for ((envelope, bound), verified) in candidates.into_iter().zip(self.verify_bundle(bundle, looks)?) {
                let foreseen = M::foresee(&version.state, verified.content(), verified.bytes(), now);
                let join = |()| self.mempool.join(bundle, verified, envelope, bound, &self.versions);
                match foreseen.and_then(join) {
                    Ok(()) => good.add(envelope),
                    Err(rejection) => refused = refused.or(Some(rejection)),
                }
            }
        }
        match refused {
            Some(rejection) if !good.is_half_of(all) => {
                self.mempool.forget_bundle(&bundle);
                Err(rejection)
            }
            Some(_) | None => {
                self.mempool.asked(&bundle);
                Ok(())
            }
        }
    }

    /// Looks at the signatures of a bundle, as far as that may cost something now.
    fn verify_bundle(&self, bundle: Hash32, looks: Vec<Looked<M>>) -> Result<Vec<Arc<Verified<M::Body>>>, Rejection> {
        let begun = Instant::now();
        if !looks.iter().all(Looked::is_known) && !lock(&self.false_bundles).allowance.is_open(begun) {
            return Err(Rejection::Overloaded {
                what: "false bundles cost too much time; no signature of one is looked at for a while",
            });
        }
        self.verdicts.verify_whole(&bundle, looks, self.threads).map_err(|refusal| {
            lock(&self.false_bundles).allowance.spend(begun.elapsed());
            self.never(bundle, refusal.rejection)
        })
    }

    /// Remembers why a transaction can never be good.
    pub(super) fn never(&self, tx: Hash32, rejection: Rejection) -> Rejection {
        lock(&self.false_bundles).remember(tx, rejection.clone());
        rejection
    }

    /// The cheap checks of a mutation in a peer's bundle. Gives the largest fee that it can cost.
    fn look_at_bundled(&self, state: &M::State, looked: &Looked<M>, now: BlockTime) -> Result<Tai, Rejection> {
        if self.mempool.is_bundled(&looked.id()) {
            return Err(Rejection::Overloaded { what: "the mutation stands in another bundle" });
        }
        M::admit(state, looked.content(), looked.bytes(), now)
    }
}
