//! Admission: the cheap ladder first, then the signature, once; then a place among what waits for a block.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use db3_primitives::{BlockTime, MutationId, Rejection, Signed};
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

    /// Whether `CometBFT` may keep a transaction in its mempool: a delivery, or a bundle, a new one if at least half of
    /// its mutations are new and good, one that is looked at again while one of them still waits.
    pub(super) fn check_transaction(&self, tx: &Bytes, recheck: bool) -> Result<(), Rejection> {
        let envelopes = match decode_tx(tx)? {
            BlockTx::Delivery(delivery) => return self.check_delivery_tx(delivery, recheck),
            BlockTx::Bundle(envelopes) => envelopes,
        };
        let count = envelopes.len();
        let mut good = 0_usize;
        let mut first = None;
        for envelope in envelopes {
            let checked = if recheck { self.still_waits(envelope) } else { self.take_new(tx.slice_ref(envelope)) };
            match checked {
                Ok(()) => good = good.saturating_add(1),
                Err(rejection) => first = first.or(Some(rejection)),
            }
        }
        let wanted = if recheck { 1 } else { count.div_ceil(2) };
        match first {
            Some(rejection) if good < wanted => Err(rejection),
            Some(_) | None => Ok(()),
        }
    }

    fn still_waits(&self, envelope: &[u8]) -> Result<(), Rejection> {
        let verified = self.verdicts.recall(&verdicts::hash(envelope));
        let id = match verified {
            Some(verified) => verified.id(),
            None => M::decode(envelope)?.id,
        };
        match self.mempool.watch(&id) {
            Some(_) => Ok(()),
            None => Err(Rejection::NotReady),
        }
    }

    fn take_new(&self, envelope: Bytes) -> Result<(), Rejection> {
        let signed = M::decode(&envelope)?;
        if self.mempool.watch(&signed.id).is_some() {
            return Err(Rejection::Overloaded { what: "the mutation waits already" });
        }
        self.take_in(signed, envelope).map(|_| ())
    }
}
