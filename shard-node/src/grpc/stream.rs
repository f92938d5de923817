//! `StreamMutations`: mutations as they come, outcomes as they are known.
//!
//! What has arrived together is admitted together, so that signatures are verified in batches. The number of
//! mutations that are taken and not yet answered is bounded: beyond it the stream is read no further, and HTTP/2 holds
//! the sender back. A stream that sends nothing while nothing is in flight is ended after a while, so that it does not
//! keep the place of one that has something to send.

use std::time::Duration;

use bytes::Bytes;
use db3_chain::{SubmitError, Submitted};
use db3_node::grpc::{Node, Wait, encode};
use db3_node::unreadable;
use db3_primitives::{MutationId, Rejection, mutation_id};
use db3_proto::status::to_status;
use db3_proto::v1;
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::ShardNode;
use super::writes::missing;
use crate::kind::ShardKind;

const CALL: &str = "/db3.v1.ShardService/StreamMutations";
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

impl ShardNode {
    /// Takes mutations until the caller ends the stream, then answers what is open.
    pub(super) fn stream_mutations(
        &self,
        inbound: Streaming<v1::StreamMutationsRequest>,
        place: OwnedSemaphorePermit,
    ) -> mpsc::Receiver<Answer> {
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let node = self.node.clone();
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

async fn run(node: &Node<ShardKind>, inbound: Streaming<v1::StreamMutationsRequest>, answers: &mpsc::Sender<Answer>) {
    let in_flight_max = node.limits().in_flight_per_stream_max;
    let mut inbound = inbound.ready_chunks(TOGETHER_MAX);
    let mut waiting = FuturesUnordered::new();
    let mut open = true;
    let mut last_word = None;
    let mut idle = deadline(node.limits().idle_stream_time_max);
    while open || !waiting.is_empty() {
        tokio::select! {
            biased;
            Some(answer) = waiting.next(), if !waiting.is_empty() => {
                if answers.send(Ok(answer)).await.is_err() {
                    return;
                }
                idle = deadline(node.limits().idle_stream_time_max);
            }
            () = node.told(), if open => open = false,
            chunk = next(&mut inbound), if open && waiting.len() < in_flight_max => {
                let Some(chunk) = chunk else { open = false; continue };
                idle = deadline(node.limits().idle_stream_time_max);
                let sorted = sort(node, chunk, answers).await;
                open = open && !sorted.ended;
                last_word = sorted.refusal;
                let submitted = node.chain().submit_batch(sorted.envelopes).await;
                let deadline = deadline(node.limits().call_time_max);
                for (taken, submitted) in sorted.taken.into_iter().zip(submitted) {
                    waiting.push(answer(node, taken, submitted, deadline));
                }
            }
            () = tokio::time::sleep_until(idle), if open && waiting.is_empty() => {
                // Nobody is left to be told if this fails.
                let _ = answers.send(Err(idle_status(node.limits().idle_stream_time_max))).await;
                return;
            }
        }
    }
    if let Some(refusal) = last_word {
        // What was taken before is answered by now.
        let _ = answers.send(Err(to_status(&refusal))).await;
    }
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    stream.next().await
}

/// What has arrived together, sorted.
#[derive(Default)]
struct Sorted {
    /// What is to be submitted, and its bytes.
    taken: Vec<Taken>,
    envelopes: Vec<Bytes>,
    /// Whether the stream has ended.
    ended: bool,
    /// Why, if it could not be read on.
    refusal: Option<Rejection>,
}

/// Answers at once what cannot be submitted, and gives the rest with its bytes.
async fn sort(
    node: &Node<ShardKind>,
    chunk: Vec<Result<v1::StreamMutationsRequest, Status>>,
    answers: &mpsc::Sender<Answer>,
) -> Sorted {
    let mut sorted = Sorted::default();
    for request in chunk {
        let v1::StreamMutationsRequest { sequence, mutation, wait } = match request {
            Ok(request) => request,
            // Nothing after a message that cannot be read can be read.
            Err(status) => return Sorted { ended: true, refusal: unreadable(CALL, &status), ..sorted },
        };
        let read = match (Wait::read(wait), mutation) {
            (Ok(wait), Some(envelope)) => Ok((wait, envelope)),
            (Err(rejection), _) => Err(rejection),
            (Ok(_), None) => Err(missing()),
        };
        match read {
            Ok((wait, envelope)) => {
                sorted.taken.push(Taken { sequence, wait, claimed: mutation_id(&envelope.body) });
                sorted.envelopes.push(encode(&envelope));
            }
            Err(rejection) => {
                let outcome = Some(node.refused(None, &rejection));
                if answers.send(Ok(v1::StreamMutationsResponse { sequence, outcome })).await.is_err() {
                    return Sorted { ended: true, ..sorted };
                }
            }
        }
    }
    sorted
}

async fn answer(
    node: &Node<ShardKind>,
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
