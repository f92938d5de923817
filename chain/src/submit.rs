//! How mutations enter a running chain, and what is known of them afterwards.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use db3_carry::Delivery;
use db3_governance::{Proposal, SignedProposal};
use db3_primitives::{Height, MutationId};
use tokio::sync::oneshot;

use crate::app::{Bearer, Submitted};
use crate::error::SubmitError;
use crate::handle::Chain;
use crate::machine::Machine;
use crate::pool::{ReceiptState, SubmittedDelivery};
use crate::store::StoreError;

/// Mutations that one verification thread takes at a time: signatures of one account are verified together.
const SHARE_MAX: usize = 128;

impl<M: Machine> Chain<M> {
    /// Takes a signed mutation: `envelope` is an encoded `SignedEnvelope`. Returns when it is verified and waits for a
    /// block, or with what is known of it if it is not new.
    pub async fn submit(&self, envelope: Bytes) -> Result<Submitted, SubmitError> {
        self.submit_batch(vec![envelope]).await.pop().unwrap_or(Err(SubmitError::Stopping))
    }

    /// Takes many, verified on all cores; one result each, in order.
    pub async fn submit_batch(&self, envelopes: Vec<Bytes>) -> Vec<Result<Submitted, SubmitError>> {
        let mut results: Vec<_> = std::iter::repeat_n(Err(SubmitError::Stopping), envelopes.len()).collect();
        // What is too large is told so at once: it takes no place in the queue.
        let mut taken = Vec::with_capacity(envelopes.len());
        for (envelope, result) in envelopes.into_iter().zip(&mut results) {
            match self.inner().check_size(&envelope) {
                Ok(()) => taken.push((envelope, result)),
                Err(error) => *result = Err(error),
            }
        }
        let share = taken.len().div_ceil(self.inner().threads.max(1)).clamp(1, SHARE_MAX);
        let mut taken = taken.into_iter();
        let mut answers = Vec::with_capacity(taken.len().div_ceil(share));
        loop {
            let (job, places): (Vec<Bytes>, Vec<_>) = taken.by_ref().take(share).unzip();
            let Some(mutations) = NonZeroUsize::new(job.len()) else { break };
            answers.push((places, self.verify(mutations, job)));
        }
        for (places, answer) in answers {
            let answers = match answer {
                Ok(answer) => answer.await.unwrap_or_default(),
                Err(error) => std::iter::repeat_n(Err(error), places.len()).collect(),
            };
            // A job that left no answer was dropped: the node stops.
            for (place, answer) in places.into_iter().zip(answers) {
                *place = answer;
            }
        }
        results
    }

    fn verify(
        &self,
        mutations: NonZeroUsize,
        envelopes: Vec<Bytes>,
    ) -> Result<oneshot::Receiver<Vec<Result<Submitted, SubmitError>>>, SubmitError> {
        let (sender, receiver) = oneshot::channel();
        let inner = Arc::clone(self.inner());
        let bytes = envelopes.iter().fold(0_usize, |bytes, envelope| bytes.saturating_add(envelope.len()));
        let job = move || {
            // Who no longer waits needs no answer; the mutations are taken all the same.
            let _ = sender.send(inner.admit(envelopes));
        };
        match self.verifiers().submit(mutations, bytes, Box::new(job)) {
            Ok(()) => Ok(receiver),
            Err(_) => Err(SubmitError::Overloaded { what: "too many mutations wait to be verified" }),
        }
    }

    /// Takes a delivery of another chain's entries. Returns when it is checked and waits for a block; one that brings
    /// what is there already is refused as [`DeliveryStale`](db3_primitives::Rejection::DeliveryStale).
    pub async fn submit_delivery(&self, delivery: Delivery) -> Result<SubmittedDelivery, SubmitError> {
        self.submit_delivery_of(Bearer::Stranger, delivery).await
    }

    /// The same, where it is known who brings it.
    pub async fn submit_delivery_of(
        &self,
        bearer: Bearer,
        delivery: Delivery,
    ) -> Result<SubmittedDelivery, SubmitError> {
        self.inner().submit_delivery(delivery, bearer).await
    }

    /// Takes a proposal that enough operators have signed. Returns when it is checked and waits for a block.
    pub async fn submit_governance(&self, signed: SignedProposal) -> Result<SubmittedDelivery, SubmitError> {
        self.inner().submit_governance(signed).await
    }

    /// Whether the next block could accept a proposal if enough operators had signed it. Gives the height at which its change
    /// would take effect. Nothing is kept of it.
    pub async fn rehearse_governance(&self, proposal: Proposal) -> Result<Height, SubmitError> {
        self.inner().rehearse_governance(proposal).await
    }

    /// What is known of a mutation.
    pub fn receipt(&self, id: &MutationId) -> Result<ReceiptState, StoreError> {
        let inner = self.inner();
        if let Some(state) = inner.mempool.watch(id) {
            return Ok(state.borrow().clone());
        }
        Ok(match inner.store.receipt(id)? {
            Some(receipt) => ReceiptState::Done(Arc::new(receipt)),
            None => inner.mempool.ended(id).unwrap_or(ReceiptState::Unknown),
        })
    }

    /// Watches a mutation that waits or has ended; none where nothing is known of it.
    pub fn watch(&self, id: &MutationId) -> Result<Option<crate::ReceiptWatch>, StoreError> {
        let inner = self.inner();
        let provable_height = inner.versions.provable_height();
        if let Some(state) = inner.mempool.watch(id) {
            return Ok(Some(crate::ReceiptWatch { state, provable_height }));
        }
        let state = self.receipt(id)?;
        Ok(state.is_final().then(|| crate::ReceiptWatch::settled(state, provable_height)))
    }
}
