//! What one node does not have because its history begins with a snapshot, asked of the chain's other endpoints.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::chain::Chain;
use crate::error::{ClientError, Refusal};
use crate::wire::Attempt;

/// How long an answer may be on its way.
const ANSWER_MARGIN: Duration = Duration::from_millis(300);
/// A read that waits longer for one node than this tries the next.
const ATTEMPT_MAX: Duration = Duration::from_secs(15);

/// An answer or a refusal that lacks what is older than the history of the node that gave it.
pub(crate) struct Short<T> {
    /// The node's place among the endpoints.
    pub place: usize,
    /// Height where its history begins.
    pub from: u64,
    /// What it said.
    pub end: Result<T, Box<Refusal>>,
}

impl Chain {
    /// A call that is answered by the first endpoint in turn which lacks nothing, or by the one that lacks least; `lacks` says
    /// of an answer where the history begins that it comes from, if something may be missing.
    pub async fn call_whole<T, C, F>(&self, call: C, lacks: impl Fn(&T) -> Option<u64>) -> Result<T, ClientError>
    where
        C: Fn(Channel, Duration) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let (place, answer) = self.call_placed(&call).await?;
        let Some(from) = lacks(&answer) else { return Ok(answer) };
        let (_, answer) = self.elsewhere(&call, lacks, Short { place, from, end: Ok(answer) }).await?;
        Ok(answer)
    }

    /// Asks the other endpoints in turn, each once. `lacks` says of an answer where the history begins that it comes from, if
    /// something may be missing. The first node that has all is asked from now on too; where there is none, what the one
    /// said whose history begins first is the outcome.
    pub async fn elsewhere<T, C, F>(
        &self,
        call: &C,
        lacks: impl Fn(&T) -> Option<u64>,
        short: Short<T>,
    ) -> Result<(usize, T), ClientError>
    where
        C: Fn(Channel, Duration) -> F,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let begin = Instant::now();
        let first = short.place;
        let mut best = short;
        for step in 1..self.endpoint_count() {
            let left = self.options.timeout.saturating_sub(begin.elapsed());
            let place = first.wrapping_add(step);
            let (_, channel) = self.endpoint_at(place);
            let other = match attempt(channel, left, call).await {
                Attempt::Answered(answer) => match lacks(&answer) {
                    None => {
                        self.use_endpoint(place);
                        return Ok((place, answer));
                    }
                    Some(from) => Short { place, from, end: Ok(answer) },
                },
                Attempt::Refused(refusal) => match (refusal.history_from, refusal.heights) {
                    (Some(from), _) => Short { place, from, end: Err(refusal) },
                    // It is behind.
                    (None, Some(_)) => continue,
                    (None, None) => return Err(self.refused(refusal)),
                },
                // Whoever does not answer now is as good as not there: the first one did.
                Attempt::Busy { .. } | Attempt::Lost { .. } | Attempt::Unclear(_) => continue,
            };
            if other.from < best.from {
                best = other;
            }
        }
        match best.end {
            Ok(answer) => Ok((best.place, answer)),
            Err(refusal) => Err(self.refused(refusal)),
        }
    }
}

/// One attempt of a call at one endpoint, with the time that is left.
pub(crate) async fn attempt<T, C, F>(channel: &Channel, left: Duration, call: &C) -> Attempt<T>
where
    C: Fn(Channel, Duration) -> F,
    F: Future<Output = Result<Response<T>, Status>>,
{
    let limit = left.min(ATTEMPT_MAX);
    // The node is told a little less, so that what it says when the time is over still arrives.
    let told = limit.saturating_sub(ANSWER_MARGIN.min(limit.mul_f32(0.25)));
    Attempt::of(timeout(limit, call(channel.clone(), told)).await.ok())
}
