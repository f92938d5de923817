//! Admission: the cheap ladder first, then the signature, once; then a place among what waits for a block.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use db3_primitives::{BlockTime, Hash32, MutationId, Rejection, Signed, Tai, sha256};
use db3_proto::{BlockTx, decode_tx};

use super::Inner;
use crate::error::{FatalError, SubmitError};
use crate::machine::Machine;
use crate::pool::{ReceiptState, ReceiptWatch, verdicts};

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

impl<M: Machine> Inner<M> {
    /// Whether a mutation may be decoded at all.
    pub(crate) fn check_size(&self, envelope: &Bytes) -> Result<(), SubmitError> {
        if envelope.len() <= M::ENVELOPE_BYTES_MAX {
            return Ok(());
        }
        let (bytes, max) = (envelope.len() as u64, M::ENVELOPE_BYTES_MAX as u64);
        Err(self.rejected(Rejection::MutationTooLarge { bytes, max }, None))
    }

    /// Takes one mutation: decoded, checked, verified, put among what waits. The same bytes again, and another signature of the
    /// same body, are the same mutation: what became of it is answered, never that its nonce is used.
    pub(crate) fn admit(&self, envelope: Bytes) -> Result<Submitted, SubmitError> {
        if *self.ended.borrow() {
            return Err(SubmitError::Stopping);
        }
        let signed = M::decode(&envelope).map_err(|rejection| self.rejected(rejection, None))?;
        let id = signed.id;
        let submitted = |receipt| Submitted { id, receipt };
        if let Some(state) = self.mempool.watch(&id) {
            return Ok(submitted(ReceiptWatch { state, provable_height: self.versions.provable_height() }));
        }
        match self.take_in(signed, envelope) {
            Ok(receipt) => Ok(submitted(receipt)),
            Err(rejection) => match self.known(&id)? {
                Some(receipt) => Ok(submitted(receipt)),
                None => Err(self.rejected(rejection, Some(id))),
            },
        }
    }

    fn take_in(&self, signed: Signed<M::Body>, envelope: Bytes) -> Result<ReceiptWatch, Rejection> {
        let version = self.versions.committed();
        let now = self.clock.now().max(version.time);
        let bound = M::admit(&version.state, &signed.content, signed.bytes, now)?;
        let hash = verdicts::hash(&envelope);
        let verified = if let Some(verified) = self.verdicts.recall(&hash) {
            verified
        } else {
            let verified = Arc::new(signed.verify().map_err(|(_, rejection)| rejection)?);
            self.verdicts.remember(hash, &verified);
            verified
        };
        M::foresee(&version.state, verified.content(), verified.bytes(), now)?;
        let state = self.mempool.insert(verified, envelope, bound, &self.versions)?;
        Ok(ReceiptWatch { state, provable_height: self.versions.provable_height() })
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
        if self.mempool.holds_bundle(&bundle) {
            return Ok(());
        }
        match decode_tx(tx)? {
            BlockTx::Delivery(delivery) => self.check_delivery_tx(delivery, recheck),
            BlockTx::Governance(signed) => self.check_governance_tx(signed, recheck),
            // Nothing of it waits any more.
            BlockTx::Bundle(_) if recheck => Err(Rejection::NotReady),
            BlockTx::Bundle(envelopes) => self.take_bundle(bundle, tx, &envelopes),
        }
    }

    /// Takes in the mutations of a peer's bundle, or none of them.
    fn take_bundle(&self, bundle: Hash32, tx: &Bytes, envelopes: &[&[u8]]) -> Result<(), Rejection> {
        let version = self.versions.committed();
        let now = self.clock.now().max(version.time);
        let wanted = envelopes.len().div_ceil(2);
        let mut refused = None;
        let mut candidates = Vec::with_capacity(envelopes.len());
        for envelope in envelopes {
            match self.look_at_envelope(&version.state, envelope, now) {
                Ok(bound) => candidates.push((*envelope, bound)),
                Err(rejection) => refused = refused.or(Some(rejection)),
            }
        }
        let mut good = 0_usize;
        // Where too few are left no signature is looked at.
        if candidates.len() >= wanted {
            let bytes: Vec<&[u8]> = candidates.iter().map(|(envelope, _)| *envelope).collect();
            let verdicts = self.verdicts.of_all(&bytes, self.threads);
            for ((envelope, bound), verdict) in candidates.into_iter().zip(verdicts) {
                let joined = verdict.map_err(|refusal| refusal.rejection).and_then(|verified| {
                    M::foresee(&version.state, verified.content(), verified.bytes(), now)?;
                    self.mempool.join(bundle, verified, tx.slice_ref(envelope), bound, &self.versions)
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
            Some(_) | None => Ok(()),
        }
    }

    /// The cheap checks of a mutation in a peer's bundle. Gives the largest fee that it can cost.
    fn look_at_envelope(&self, state: &M::State, envelope: &[u8], now: BlockTime) -> Result<Tai, Rejection> {
        let look = |id: &MutationId, body: &M::Body, bytes: u32| {
            if self.mempool.is_bundled(id) {
                return Err(Rejection::Overloaded { what: "the mutation stands in another bundle" });
            }
            M::admit(state, body, bytes, now)
        };
        if let Some(verified) = self.verdicts.recall(&verdicts::hash(envelope)) {
            return look(&verified.id(), verified.content(), verified.bytes());
        }
        let signed = M::decode(envelope)?;
        look(&signed.id, &signed.content, signed.bytes)
    }
}
