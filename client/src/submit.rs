//! Sending signed bytes so that they take effect once at most.
//!
//! The same bytes are sent again until somebody answers: a chain answers the same bytes with the same receipt, so that
//! this can never apply them twice. What is refused after an attempt that nobody answered may still be on its way; it
//! counts as refused only where that is proven, and else its outcome is unknown.

use std::time::Duration;

use bytes::Bytes;
use db3_primitives::{Address, Identifier, Nonce, SignedEnvelope};
use db3_proto::{envelope_message, v1};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::chain::{Backoff, Chain};
use crate::error::{ClientError, Refusal};
use crate::order::Lane;
use crate::receipt::{Receipt, ReceiptState, WaitMode};
use crate::window;
use crate::wire::{Attempt, chain as chain_service, settlement, shard, timed};

/// A signed mutation or transaction on its way.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub id: Identifier,
    pub account: Address,
    pub lane: Lane,
    pub nonce: Nonce,
    pub expire_unix_secs: u64,
    pub envelope: SignedEnvelope,
}

/// Numbers of the rejections that say that a nonce cannot be used.
const NONCE_USED: u32 = 207;
const EXPIRED: u32 = 201;
/// The longest that one attempt waits for an answer before the same bytes are sent again.
const ATTEMPT_MAX: Duration = Duration::from_secs(20);

/// Sends it and waits for what becomes of it.
pub(crate) async fn submit(chain: &Chain, signed: &Signed, wait: WaitMode) -> Result<Receipt, ClientError> {
    let message = envelope_message(&signed.envelope);
    let begin = Instant::now();
    let above = chain.newest_height();
    let mut backoff = Backoff::new();
    let mut maybe_sent = false;
    let mut in_block = None;
    loop {
        let left = chain.options.timeout.saturating_sub(begin.elapsed()).min(ATTEMPT_MAX);
        let (url, channel) = chain.endpoint();
        // The node is told a little less, so that its answer "pending" still arrives.
        let limit = left.saturating_sub(Duration::from_millis(200)).max(Duration::from_millis(50));
        let attempt = send_once(channel.clone(), &signed.lane, message.clone(), wait, limit);
        let attempt = Attempt::of(timeout(left, attempt).await.ok());
        let detail = match attempt {
            Attempt::Answered(answer) => {
                chain.note_answer();
                let receipt = receipt_of(chain, signed, answer)?;
                match judge(chain, signed, receipt, wait, maybe_sent.then_some(above)).await? {
                    Judged::Done(receipt) => return Ok(receipt),
                    Judged::Committed(receipt) => in_block = Some(receipt),
                    Judged::Pending => {}
                }
                // In a block or in the pool: whatever happens to this connection, it may be applied.
                maybe_sent = true;
                "it is still pending".to_owned()
            }
            Attempt::Refused(refusal) => {
                chain.note_answer();
                return refused(chain, signed, refusal, maybe_sent.then_some(above)).await;
            }
            Attempt::Unclear(detail) if maybe_sent => return Err(unknown(signed, detail)),
            Attempt::Unclear(detail) => return Err(ClientError::malformed(&chain.id, detail)),
            Attempt::Busy { retry_after, detail } => {
                chain.note_answer();
                backoff.at_least(retry_after);
                detail
            }
            Attempt::Lost { detail, sent } => {
                maybe_sent |= sent;
                chain.try_next_endpoint();
                detail
            }
        };
        let pause = backoff.next();
        if chain.gives_up(begin, pause)
            && !(maybe_sent && begin.elapsed().saturating_add(pause) < chain.options.timeout)
        {
            return match in_block {
                // It is committed, and only its proof is late.
                Some(receipt) => Ok(receipt),
                None if maybe_sent => Err(unknown(signed, detail)),
                None => Err(chain.unreachable(url, detail)),
            };
        }
        sleep(pause).await;
    }
}

fn unknown(signed: &Signed, detail: String) -> ClientError {
    ClientError::OutcomeUnknown { id: signed.id, detail }
}

/// One call, to the service that takes it; the answer is the receipt.
async fn send_once(
    channel: Channel,
    lane: &Lane,
    message: v1::SignedEnvelope,
    wait: WaitMode,
    limit: Duration,
) -> Result<Response<Option<v1::Receipt>>, Status> {
    match lane {
        Lane::Namespace(_) => {
            let request = v1::SubmitMutationRequest { mutation: Some(message), wait: wait.into() };
            let answer = shard(channel).submit_mutation(timed(request, limit)).await?;
            Ok(answer.map(|answer| answer.receipt))
        }
        Lane::Money => {
            let request = v1::SubmitTransactionRequest { transaction: Some(message), wait: wait.into() };
            let answer = settlement(channel).submit_transaction(timed(request, limit)).await?;
            Ok(answer.map(|answer| answer.receipt))
        }
    }
}

fn receipt_of(chain: &Chain, signed: &Signed, answer: Option<v1::Receipt>) -> Result<Receipt, ClientError> {
    let message = answer.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no receipt"))?;
    let receipt = Receipt::from_message(&chain.id, message)?;
    if receipt.id == signed.id {
        Ok(receipt)
    } else {
        Err(ClientError::malformed(&chain.id, format!("the receipt is of {}, not of {}", receipt.id, signed.id)))
    }
}

/// What an answer means for whoever waits.
enum Judged {
    /// It is what was waited for.
    Done(Receipt),
    /// It is in a block, whose root is not provable yet.
    Committed(Receipt),
    /// The same bytes must be sent again.
    Pending,
}

async fn judge(
    chain: &Chain,
    signed: &Signed,
    receipt: Receipt,
    wait: WaitMode,
    sent_above: Option<u64>,
) -> Result<Judged, ClientError> {
    match receipt.state {
        ReceiptState::Applied | ReceiptState::Failed => {
            chain.wrote_at(receipt.height);
            let provable = receipt.provable_height > 0 || wait != WaitMode::Provable;
            Ok(if provable { Judged::Done(receipt) } else { Judged::Committed(receipt) })
        }
        ReceiptState::Pending if matches!(wait, WaitMode::Checked | WaitMode::Unspecified) => Ok(Judged::Done(receipt)),
        ReceiptState::Pending | ReceiptState::Unknown | ReceiptState::Unspecified => Ok(Judged::Pending),
        ReceiptState::Expired => {
            let refusal = Refusal {
                code: EXPIRED,
                name: "EXPIRED".to_owned(),
                message: "the mutation expired before a block took it".to_owned(),
                remedy: "Sign it again with a later expiry; its nonce is unused.".to_owned(),
                ..Refusal::default()
            };
            refused(chain, signed, Box::new(refusal), sent_above).await.map(Judged::Done)
        }
    }
}

/// What a refusal means for bytes that may have reached somebody before, in a block above `sent_above`.
async fn refused(
    chain: &Chain,
    signed: &Signed,
    refusal: Box<Refusal>,
    sent_above: Option<u64>,
) -> Result<Receipt, ClientError> {
    let refusal = Box::new(Refusal { mutation_id: Some(signed.id), ..*refusal });
    let Some(above) = sent_above.filter(|_| refusal.class() != db3_primitives::Class::Malformed) else {
        return Err(ClientError::Rejected(refusal));
    };
    let found = receipt(chain, signed.id).await.ok();
    // A node that came from a snapshot meanwhile has no receipts of the blocks before it.
    let may_be_older = found
        .as_ref()
        .is_some_and(|receipt| receipt.known_from.iter().any(|(_, from)| *from > above.saturating_add(1)));
    if let Some(receipt) = found.filter(Receipt::is_in_block) {
        chain.wrote_at(receipt.height);
        return Ok(receipt);
    }
    let is_dead = match refusal.code {
        // Another mutation has the nonce, and this one can never be applied any more.
        NONCE_USED if !may_be_older => true,
        _ => is_proven_dead(chain, signed).await.unwrap_or(false),
    };
    if is_dead {
        Err(ClientError::Rejected(refusal))
    } else {
        Err(unknown(signed, format!("an earlier attempt got no answer, then: {refusal}")))
    }
}

/// Whether the mutation can never be applied: its nonce is proven unused under a header at or after its expiry.
async fn is_proven_dead(chain: &Chain, signed: &Signed) -> Result<bool, ClientError> {
    if chain.options.unverified {
        return Ok(false);
    }
    let (window, point) = window::proven(chain, &signed.account, &signed.lane).await?;
    Ok(point.time.secs >= signed.expire_unix_secs && !window.is_used(signed.nonce))
}

/// What a chain knows of a mutation now: where a node's receipts begin with a snapshot, the others are asked as well.
pub(crate) async fn receipt(chain: &Chain, id: Identifier) -> Result<Receipt, ClientError> {
    let request = v1::GetReceiptRequest { id: Bytes::copy_from_slice(id.as_bytes()) };
    let ask = |channel: Channel, limit: Duration| {
        let request = request.clone();
        async move { chain_service(channel).get_receipt(timed(request, limit)).await }
    };
    let begins = |answer: &v1::GetReceiptResponse| {
        answer.receipt.as_ref().map(|receipt| receipt.history_from_height).filter(|from| *from > 0)
    };
    let answer = chain.call_whole(ask, begins).await?;
    let message = answer.receipt.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no receipt"))?;
    Receipt::from_message(&chain.id, message)
}
