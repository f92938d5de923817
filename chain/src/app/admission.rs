//! Admission: the cheap ladder first, then the signature, once; then a place among what waits for a block.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use db3_primitives::{BlockTime, MutationId, Rejection, Tai};
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
}
