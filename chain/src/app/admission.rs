//! Admission: the cheap ladder first, then the signature, once; then a place among what waits for a block.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use db3_primitives::{BlockTime, Hash32, MutationId, Rejection, Tai, sha256};
use db3_proto::{BlockTx, decode_tx};
use tokio::sync::watch;

use super::Inner;
use crate::error::{FatalError, SubmitError};
use crate::machine::Machine;
use crate::pool::verdicts::Looked;
use crate::pool::{ReceiptState, ReceiptWatch};

/// The clock that block times are taken from: the system's and an offset, which only a devnet ever moves.
#[derive(Default)]
pub(crate) struct Clock {
    offset_secs: AtomicU64,
}

impl Clock {
    pub(crate) fn new(offset_secs: u64) -> Self {
        Self { offset_secs: AtomicU64::new(offset_secs) }
    }

    pub(crate) fn now(&self) -> BlockTime {
        // A system clock before 1970 reads as 1970; block times go on from the newest block's.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let offset = self.offset_secs.load(Ordering::SeqCst);
        BlockTime { secs: now.as_secs().saturating_add(offset), nanos: now.subsec_nanos() }
    }

    pub(crate) fn offset_secs(&self) -> u64 {
        self.offset_secs.load(Ordering::SeqCst)
    }

    pub(crate) fn set_offset_secs(&self, secs: u64) {
        self.offset_secs.store(secs, Ordering::SeqCst);
    }
}

/// A mutation that was taken, and the watch of what becomes of it.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// Its identifier.
    pub id: MutationId,
    /// What becomes of it.
    pub receipt: ReceiptWatch,
}

/// What the cheap checks found about a mutation.
enum Entry<M: Machine> {
    /// It waits already, or a block holds it.
    Known(Submitted),
    /// It is new, and may cost this.
    New(Looked<M>, Tai),
}

impl<M: Machine> Inner<M> {
    /// Whether a mutation may be decoded at all.
    pub(crate) fn check_size(&self, envelope: &Bytes) -> Result<(), SubmitError> {
        if envelope.len() <= M::ENVELOPE_BYTES_MAX {
            return Ok(());
        }
        let (bytes, max) = (envelope.len() as u64, M::ENVELOPE_BYTES_MAX as u64);
        Err(self.rejected(Rejection::MutationTooLarge { bytes, max }, None))
    }

    /// Takes mutations: decoded, checked, verified together, put among what waits; an answer for each, in order. The
    /// same bytes again, and another signature of the same body, are the same mutation: what became of it is answered,
    /// never that its nonce is used.
    pub(crate) fn admit(&self, envelopes: Vec<Bytes>) -> Vec<Result<Submitted, SubmitError>> {
        let version = self.versions.committed();
        let now = self.clock.now().max(version.time);
        let mut answers = Vec::with_capacity(envelopes.len());
        let (mut checked, mut rest) = (Vec::new(), Vec::new());
        for (place, envelope) in envelopes.into_iter().enumerate() {
            let decision = self.look_at_new(&version.state, &envelope, now);
            answers.push(decision.map(|decided| match decided {
                Entry::Known(submitted) => Some(submitted),
                Entry::New(looked, bound) => {
                    rest.push((place, envelope, looked.id(), bound));
                    checked.push(looked);
                    None
                }
            }));
        }
        // The thread that asks is one of as many as there are cores.
        for (verdict, (place, envelope, id, bound)) in self.verdicts.verify(checked, 1).into_iter().zip(rest) {
            let taken = verdict.map_err(|refusal| refusal.rejection).and_then(|verified| {
                M::foresee(&version.state, verified.content(), verified.bytes(), now)?;
                self.mempool.insert(verified, envelope, bound, &self.versions)
            });
            let answer = match taken {
                Ok(state) => Ok(Some(self.submitted(id, state))),
                Err(rejection) => self.told(id, rejection).map(Some),
            };
            if let Some(to) = answers.get_mut(place) {
                *to = answer;
            }
        }
        answers.into_iter().map(|answer| answer.and_then(|taken| taken.ok_or(SubmitError::Stopping))).collect()
    }

    /// The checks that cost less than a signature, and what is known of the mutation already.
    fn look_at_new(&self, state: &M::State, envelope: &[u8], now: BlockTime) -> Result<Entry<M>, SubmitError> {
        if *self.ended.borrow() {
            return Err(SubmitError::Stopping);
        }
        let looked = self.verdicts.look(envelope).map_err(|rejection| self.rejected(rejection, None))?;
        let id = looked.id();
        if let Some(state) = self.mempool.watch(&id) {
            return Ok(Entry::Known(self.submitted(id, state)));
        }
        match M::admit(state, looked.content(), looked.bytes(), now) {
            Ok(bound) => Ok(Entry::New(looked, bound)),
            Err(rejection) => self.told(id, rejection).map(Entry::Known),
        }
    }

    /// Why a mutation is not taken, unless a block holds it already: then what became of it.
    fn told(&self, id: MutationId, rejection: Rejection) -> Result<Submitted, SubmitError> {
        match self.known(&id)? {
            Some(receipt) => Ok(Submitted { id, receipt }),
            None => Err(self.rejected(rejection, Some(id))),
        }
    }

    fn submitted(&self, id: MutationId, state: watch::Receiver<ReceiptState>) -> Submitted {
        Submitted { id, receipt: ReceiptWatch { state, provable_height: self.versions.provable_height() } }
    }

    /// A mutation that a block holds already. (Its signature was good then, and what is asked for is the same body.)
    fn known(&self, id: &MutationId) -> Result<Option<ReceiptWatch>, SubmitError> {
        let receipt = self.store.receipt(id).map_err(|error| {
            self.fail(FatalError::Store(error));
            SubmitError::Stopping
        })?;
        let settled =
            |receipt| ReceiptWatch::settled(ReceiptState::Done(Arc::new(receipt)), self.versions.provable_height());
        Ok(receipt.map(settled))
    }

    pub(super) fn rejected(&self, rejection: Rejection, id: Option<MutationId>) -> SubmitError {
        self.metrics.rejected(&rejection);
        match rejection {
            Rejection::Overloaded { what } => SubmitError::Overloaded { what },
            rejection => SubmitError::Rejected { rejection, id },
        }
    }

    /// Whether `CometBFT` may keep a transaction in its mempool: a delivery, or a bundle: a new one if at least half of
    /// its mutations are new and good, one that is known while one of them still waits. So the answer about a bundle
    /// turns once, from yes to no.
    pub(super) fn check_transaction(&self, tx: &Bytes, recheck: bool) -> Result<(), Rejection> {
        let bundle = sha256(&[tx]);
        // This node's own bundles are known before they are handed in; and a second look costs one hash.
        if self.mempool.asked(&bundle) {
            return Ok(());
        }
        match decode_tx(tx)? {
            BlockTx::Delivery(delivery) => self.check_delivery_tx(delivery, recheck),
            BlockTx::Governance(signed) => self.check_governance_tx(signed, recheck),
            // Nothing of it waits any more.
            BlockTx::Bundle(_) if recheck => Err(Rejection::NotReady),
            BlockTx::Bundle(envelopes) => self.take_bundle(bundle, &envelopes),
        }
    }

    /// Takes in the mutations of a peer's bundle, or none of them.
    fn take_bundle(&self, bundle: Hash32, envelopes: &[&[u8]]) -> Result<(), Rejection> {
        let version = self.versions.committed();
        let now = self.clock.now().max(version.time);
        let wanted = envelopes.len().div_ceil(2);
        let mut refused = None;
        let (mut candidates, mut looks) = (Vec::with_capacity(envelopes.len()), Vec::with_capacity(envelopes.len()));
        for envelope in envelopes {
            match self.look_at_envelope(&version.state, envelope, now) {
                Ok((looked, bound)) => {
                    candidates.push((*envelope, bound));
                    looks.push(looked);
                }
                Err(rejection) => refused = refused.or(Some(rejection)),
            }
        }
        let mut good = 0_usize;
        // Where too few are left no signature is looked at.
        if candidates.len() >= wanted {
            let verdicts = self.verdicts.verify(looks, self.threads);
            for ((envelope, bound), verdict) in candidates.into_iter().zip(verdicts) {
                let joined = verdict.map_err(|refusal| refusal.rejection).and_then(|verified| {
                    M::foresee(&version.state, verified.content(), verified.bytes(), now)?;
                    self.mempool.join(bundle, verified, envelope, bound, &self.versions)
                });
                match joined {
                    Ok(()) => good = good.saturating_add(1),
                    Err(rejection) => refused = refused.or(Some(rejection)),
                }
            }
        }
        match refused {
            Some(rejection) if good < wanted => {
                self.mempool.forget_bundle(&bundle);
                Err(rejection)
            }
            Some(_) | None => {
                self.mempool.asked(&bundle);
                Ok(())
            }
        }
    }

    /// The cheap checks of a mutation in a peer's bundle. Gives what it is and the largest fee that it can cost.
    fn look_at_envelope(
        &self,
        state: &M::State,
        envelope: &[u8],
        now: BlockTime,
    ) -> Result<(Looked<M>, Tai), Rejection> {
        let looked = self.verdicts.look(envelope)?;
        if self.mempool.is_bundled(&looked.id()) {
            return Err(Rejection::Overloaded { what: "the mutation stands in another bundle" });
        }
        let bound = M::admit(state, looked.content(), looked.bytes(), now)?;
        Ok((looked, bound))
    }
}
