//! Many signed mutations in one call. What the node is too busy for is sent again.

use bytes::Bytes;
use db3_proto::status::CallError;
use db3_proto::v1;
use tokio::time::{Instant, sleep, timeout};

use crate::chain::Backoff;
use crate::client::Client;
use crate::error::ClientError;
use crate::receipt::Receipt;
use crate::wire::{Attempt, shard, timed};

/// Signed mutations for one shard.
#[derive(Clone, Debug)]
pub(crate) struct BatchCall {
    pub shard: u32,
    pub mutations: Vec<v1::SignedEnvelope>,
}

/// Sends them all and waits until blocks hold them. The first that is refused ends it.
pub(crate) async fn submit_batch(client: &Client, call: &BatchCall) -> Result<Vec<Receipt>, ClientError> {
    let chain = client.shard(call.shard)?;
    let begin = Instant::now();
    let mut backoff = Backoff::new();
    let mut left = call.mutations.clone();
    let mut receipts = Vec::with_capacity(left.len());
    loop {
        let request = v1::BatchSubmitMutationsRequest { mutations: left.clone(), wait: v1::WaitMode::Committed.into() };
        let limit = chain.options.timeout.saturating_sub(begin.elapsed());
        let (url, channel) = chain.endpoint();
        let mut service = shard(channel.clone());
        let detail = match Attempt::of(timeout(limit, service.batch_submit_mutations(timed(request, limit))).await.ok())
        {
            Attempt::Answered(answer) => {
                chain.note_answer();
                left = sort_out(&chain.id, left, answer, &mut receipts)?;
                if left.is_empty() {
                    return Ok(receipts);
                }
                "the node is busy".to_owned()
            }
            Attempt::Refused(refusal) => return Err(ClientError::Rejected(refusal)),
            Attempt::Unclear(detail) => return Err(ClientError::malformed(&chain.id, detail)),
            Attempt::Busy { retry_after, detail } => {
                backoff.at_least(retry_after);
                detail
            }
            Attempt::Lost { detail, .. } => detail,
        };
        let pause = backoff.next();
        if chain.gives_up(begin, pause) {
            return Err(chain.unreachable(url, detail));
        }
        sleep(pause).await;
    }
}

/// Takes the receipts of those that a block holds, and returns the others.
fn sort_out(
    chain_id: &str,
    sent: Vec<v1::SignedEnvelope>,
    answer: v1::BatchSubmitMutationsResponse,
    receipts: &mut Vec<Receipt>,
) -> Result<Vec<v1::SignedEnvelope>, ClientError> {
    use v1::mutation_outcome::Outcome;
    if answer.outcomes.len() != sent.len() {
        return Err(ClientError::malformed(
            chain_id,
            "the answer has another number of outcomes than mutations were sent",
        ));
    }
    let mut again = Vec::new();
    for (mutation, outcome) in sent.into_iter().zip(answer.outcomes) {
        match outcome.outcome {
            Some(Outcome::Receipt(message)) => {
                let receipt = Receipt::from_message(chain_id, message)?;
                if receipt.is_in_block() { receipts.push(receipt) } else { again.push(mutation) }
            }
            Some(Outcome::Error(error)) => match Attempt::<Bytes>::of_error(CallError::from(error)) {
                Attempt::Refused(refusal) => return Err(ClientError::Rejected(refusal)),
                Attempt::Unclear(detail) => return Err(ClientError::malformed(chain_id, detail)),
                Attempt::Busy { .. } | Attempt::Lost { .. } | Attempt::Answered(_) => again.push(mutation),
            },
            None => return Err(ClientError::malformed(chain_id, "an outcome is empty")),
        }
    }
    Ok(again)
}
