//! `SubmitMutation` and `BatchSubmitMutations`.

use db3_node::grpc::{Refusal, Wait, encode};
use db3_primitives::{MutationId, Rejection, limits, mutation_id};
use db3_proto::convert::request::invalid;
use db3_proto::v1;
use tokio::time::Instant;

use super::ShardNode;

impl ShardNode {
    pub(super) async fn submit_mutation(
        &self,
        request: v1::SubmitMutationRequest,
        deadline: Instant,
    ) -> Result<v1::SubmitMutationResponse, Refusal> {
        let wait = Wait::read(request.wait)?;
        let envelope = request.mutation.ok_or_else(missing)?;
        let (id, receipt) = self.node.submit(&envelope, &mutation_id(&envelope.body), wait, deadline).await?;
        Ok(v1::SubmitMutationResponse { id, receipt: Some(receipt) })
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
        let submitted = self.node.chain().submit_batch(envelopes).await;
        let mut outcomes = Vec::with_capacity(count);
        for (claimed, submitted) in claimed.into_iter().zip(submitted) {
            outcomes.push(self.node.settle(claimed, submitted, wait, deadline).await);
        }
        Ok(v1::BatchSubmitMutationsResponse { outcomes })
    }
}

/// A request without a mutation.
pub fn missing() -> Rejection {
    invalid("mutation", "is missing; send a signed envelope")
}
