//! `SubmitMutation` and `BatchSubmitMutations`.
//!
//! An error means that this call put nothing in a block. Whatever a block holds is an answer with its receipt, applied
//! or failed, and so is a deadline that passes while the mutation waits: its receipt says "pending". It must never be
//! an error then, because the mutation may still be written.

use bytes::Bytes;
use db3_chain::{ReceiptState, SubmitError, Submitted};
use db3_primitives::{MutationId, Rejection, limits, mutation_id};
use db3_proto::convert::request::invalid;
use db3_proto::status::to_mutation_error;
use db3_proto::v1;
use prost::Message as _;
use tokio::time::Instant;

use super::Node;
use super::receipts::Fate;
use super::refusal::Refusal;

/// How long a writer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until admission has passed.
    Checked,
    /// Until its block is on disk.
    Committed,
    /// Until the header with its root exists.
    Provable,
}

impl Wait {
    /// Reads the request's number; unspecified is checked.
    pub fn read(number: i32) -> Result<Self, Rejection> {
        match v1::WaitMode::try_from(number) {
            Ok(v1::WaitMode::Unspecified | v1::WaitMode::Checked) => Ok(Self::Checked),
            Ok(v1::WaitMode::Committed) => Ok(Self::Committed),
            Ok(v1::WaitMode::Provable) => Ok(Self::Provable),
            Err(_) => Err(invalid("wait", format!("{number} is no way to wait; use checked, committed or provable"))),
        }
    }
}

impl Node {
    pub(super) async fn submit_mutation(
        &self,
        request: v1::SubmitMutationRequest,
        deadline: Instant,
    ) -> Result<v1::SubmitMutationResponse, Refusal> {
        let wait = Wait::read(request.wait)?;
        let envelope = request.mutation.ok_or_else(missing)?;
        let claimed = mutation_id(&envelope.body);
        let submitted =
            self.chain.submit(encode(&envelope)).await.map_err(|error| self.refuse(error.rejection(), &claimed))?;
        match self.outcome(submitted, wait, deadline).await {
            (id, Fate::Known(receipt)) => Ok(v1::SubmitMutationResponse { id: id_bytes(&id), receipt: Some(*receipt) }),
            (id, Fate::Refused(rejection)) => Err(self.refuse(rejection, &id)),
        }
    }

    pub(super) async fn batch_submit_mutations(
        &self,
        request: v1::BatchSubmitMutationsRequest,
        deadline: Instant,
    ) -> Result<v1::BatchSubmitMutationsResponse, Rejection> {
        let wait = Wait::read(request.wait)?;
        let count = request.mutations.len();
        if count > limits::BATCH_SUBMIT_MUTATIONS_MAX {
            return Err(Rejection::TooManyItems {
                count: count as u64,
                max: limits::BATCH_SUBMIT_MUTATIONS_MAX as u64,
            });
        }
        let claimed: Vec<MutationId> = request.mutations.iter().map(|envelope| mutation_id(&envelope.body)).collect();
        let envelopes = request.mutations.iter().map(encode).collect();
        let submitted = self.chain.submit_batch(envelopes).await;
        let mut outcomes = Vec::with_capacity(count);
        for (claimed, submitted) in claimed.into_iter().zip(submitted) {
            outcomes.push(self.settle(claimed, submitted, wait, deadline).await);
        }
        Ok(v1::BatchSubmitMutationsResponse { outcomes })
    }

    /// What to answer of one of several mutations.
    pub(super) async fn settle(
        &self,
        claimed: MutationId,
        submitted: Result<Submitted, SubmitError>,
        wait: Wait,
        deadline: Instant,
    ) -> v1::MutationOutcome {
        match submitted {
            Ok(submitted) => match self.outcome(submitted, wait, deadline).await {
                (id, Fate::Known(receipt)) => v1::MutationOutcome {
                    id: id_bytes(&id),
                    outcome: Some(v1::mutation_outcome::Outcome::Receipt(*receipt)),
                },
                (id, Fate::Refused(rejection)) => self.refused(Some(&id), &rejection),
            },
            Err(error) => self.refused(Some(&claimed), &error.rejection()),
        }
    }

    /// The answer for one of several mutations that was refused. It has no identifier where the body could not be read.
    pub(super) fn refused(&self, id: Option<&MutationId>, rejection: &Rejection) -> v1::MutationOutcome {
        let unread = matches!(rejection, Rejection::EnvelopeMalformed { .. } | Rejection::BodyMalformed { .. });
        let id = id.filter(|_| !unread);
        let error = to_mutation_error(rejection, self.explain(rejection, id));
        v1::MutationOutcome {
            id: id.map_or_else(Bytes::new, id_bytes),
            outcome: Some(v1::mutation_outcome::Outcome::Error(error)),
        }
    }

    async fn outcome(&self, submitted: Submitted, wait: Wait, deadline: Instant) -> (MutationId, Fate) {
        let Submitted { id, mut receipt } = submitted;
        let state = match wait {
            Wait::Checked => receipt.now(),
            Wait::Committed => receipt.committed(deadline).await,
            Wait::Provable => receipt.provable(deadline).await,
        };
        // A mutation that was just admitted is pending, whatever the index of receipts has caught up to.
        let state = if matches!(state, ReceiptState::Unknown) { ReceiptState::Pending } else { state };
        (id, self.fate(&id, state))
    }
}

/// The envelope's bytes as the chain keeps them.
pub fn encode(envelope: &v1::SignedEnvelope) -> Bytes {
    Bytes::from(envelope.encode_to_vec())
}

/// A request without a mutation.
pub fn missing() -> Rejection {
    invalid("mutation", "is missing; send a signed envelope")
}

fn id_bytes(id: &MutationId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}
