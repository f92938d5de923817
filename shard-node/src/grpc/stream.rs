//! `StreamMutations`: mutations as they come, outcomes as they are known.
//!
//! What has arrived together is admitted together, so that signatures are verified in batches. The number of
//! mutations that are taken and not yet answered is bounded: beyond it the stream is read no further, and HTTP/2 holds
//! the sender back. A stream that sends nothing while nothing is in flight is ended after a while, so that it does not
//! keep the place of one that has something to send.

use std::time::Duration;

use bytes::Bytes;
use db3_chain::{SubmitError, Submitted};
use db3_primitives::{MutationId, mutation_id};
use db3_proto::v1;
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::writes::{Wait, encode, missing};
use super::{Node, told};

/// Most mutations that are admitted together.
const TOGETHER_MAX: usize = 256;
/// Answers that wait for the caller to read them.
const ANSWERS_MAX: usize = 256;

type Answer = Result<v1::StreamMutationsResponse, Status>;

/// A mutation that was read and is submitted. Its bytes are the chain's to keep, not the stream's.
struct Taken {
    sequence: u64,
    wait: Wait,
    claimed: MutationId,
}

impl Node {
    /// Takes mutations until the caller ends the stream, then answers what is open.
    pub(super) fn stream_mutations(
        &self,
        inbound: Streaming<v1::StreamMutationsRequest>,
        place: OwnedSemaphorePermit,
    ) -> mpsc::Receiver<Answer> {
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let node = self.clone();
        tokio::spawn(async move {
            // The caller is gone when nobody reads the answers.
            tokio::select! {
                () = run(&node, inbound, &answers) => {}
                () = answers.closed() => {}
            }
            drop(place);
        });
        receiver
    }
}

async fn run(node: &Node, inbound: Streaming<v1::StreamMutationsRequest>, answers: &mpsc::Sender<Answer>) {
    let in_flight_max = node.limits.in_flight_per_stream_max;
    let mut inbound = inbound.ready_chunks(TOGETHER_MAX);
    let mut waiting = FuturesUnordered::new();
    let mut stopped = node.stopped.clone();
    let mut open = true;
    let mut idle = deadline(node.limits.idle_stream_time_max);
    while open || !waiting.is_empty() {
        tokio::select! {
            biased;
            Some(answer) = waiting.next(), if !waiting.is_empty() => {
                if answers.send(Ok(answer)).await.is_err() {
                    return;
                }
                idle = deadline(node.limits.idle_stream_time_max);
            }
            () = told(&mut stopped), if open => open = false,
            chunk = next(&mut inbound), if open && waiting.len() < in_flight_max => {
                let Some(chunk) = chunk else { open = false; continue };
                idle = deadline(node.limits.idle_stream_time_max);
                let (taken, envelopes, ended) = sort(node, chunk, answers).await;
                open = open && !ended;
                let submitted = node.chain.submit_batch(envelopes).await;
                let deadline = deadline(node.limits.call_time_max);
                for (taken, submitted) in taken.into_iter().zip(submitted) {
                    waiting.push(answer(node, taken, submitted, deadline));
                }
            }
            () = tokio::time::sleep_until(idle), if open && waiting.is_empty() => {
                // Nobody is left to be told if this fails.
                let _ = answers.send(Err(idle_status(node.limits.idle_stream_time_max))).await;
                return;
            }
        }
    }
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    stream.next().await
}

/// Answers at once what cannot be submitted; gives the rest with its bytes, and says whether the stream has ended.
async fn sort(
    node: &Node,
    chunk: Vec<Result<v1::StreamMutationsRequest, Status>>,
    answers: &mpsc::Sender<Answer>,
) -> (Vec<Taken>, Vec<Bytes>, bool) {
    let mut taken = Vec::with_capacity(chunk.len());
    let mut envelopes = Vec::with_capacity(chunk.len());
    for request in chunk {
        let Ok(v1::StreamMutationsRequest { sequence, mutation, wait }) = request else {
            return (taken, envelopes, true);
        };
        let read = match (Wait::read(wait), mutation) {
            (Ok(wait), Some(envelope)) => Ok((wait, envelope)),
            (Err(rejection), _) => Err(rejection),
            (Ok(_), None) => Err(missing()),
        };
        match read {
            Ok((wait, envelope)) => {
                taken.push(Taken { sequence, wait, claimed: mutation_id(&envelope.body) });
                envelopes.push(encode(&envelope));
            }
            Err(rejection) => {
                let outcome = Some(node.refused(None, &rejection));
                if answers.send(Ok(v1::StreamMutationsResponse { sequence, outcome })).await.is_err() {
                    return (taken, envelopes, true);
                }
            }
        }
    }
    (taken, envelopes, false)
}

async fn answer(
    node: &Node,
    taken: Taken,
    submitted: Result<Submitted, SubmitError>,
    deadline: Instant,
) -> v1::StreamMutationsResponse {
    let outcome = node.settle(taken.claimed, submitted, taken.wait, deadline).await;
    v1::StreamMutationsResponse { sequence: taken.sequence, outcome: Some(outcome) }
}

fn deadline(longest: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(longest).unwrap_or(now)
}

fn idle_status(longest: Duration) -> Status {
    Status::deadline_exceeded(format!(
        "this stream sent nothing for {} ms and everything it had sent is answered; open another when there is more",
        longest.as_millis()
    ))
}
