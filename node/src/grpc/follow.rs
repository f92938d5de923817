//! Following a chain's blocks for one stream: from memory as they come, from the files after a break.
//!
//! A block that is no longer in memory is read and decoded anew for every stream, so that only a few streams may do so
//! at once; the others wait for their turn. It must never read on for a caller who is gone.

use std::sync::Arc;

use db3_chain::{BlockEventOf, EventCursorOf, EventError, IN_MEMORY};
use db3_primitives::{Height, Rejection};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::Status;

use super::refusal::Refusal;
use super::{Node, told};
use crate::kind::Kind;

/// Blocks behind the newest from which on a block counts as old: as many as the chain keeps in memory.
const RECENT: u64 = IN_MEMORY as u64;

type Next<K> = Result<Arc<BlockEventOf<<K as Kind>::Machine>>, EventError>;

/// What a stream has to do next.
pub enum Step<K: Kind> {
    /// Tell of this block.
    Block(Arc<BlockEventOf<K::Machine>>),
    /// Give a sign of life.
    Beat,
    /// Say why it ends, and end.
    End(Status),
    /// End: nobody reads any more.
    Gone,
}

/// A chain as one stream follows it: its blocks, one ahead of what is sent, and the moments of its signs of life.
pub struct Follower<K: Kind> {
    blocks: mpsc::Receiver<Next<K>>,
    stopped: watch::Receiver<bool>,
    heartbeat: std::time::Duration,
    /// None: never.
    beat: Option<Instant>,
}

impl<K: Kind> Node<K> {
    /// Follows blocks after a height. Reading ends when the follower is dropped, or after an error.
    pub(crate) fn follow(&self, after: Height) -> Follower<K> {
        let (blocks, receiver) = mpsc::channel(1);
        let (node, events) = (self.clone(), self.chain.subscribe(Some(after)));
        tokio::spawn(async move { feed(&node, events, &blocks).await });
        let heartbeat = self.limits.heartbeat;
        let beat = Instant::now().checked_add(heartbeat);
        Follower { blocks: receiver, stopped: self.stopped.clone(), heartbeat, beat }
    }
}

impl<K: Kind> Follower<K> {
    /// The next step of a stream that writes to `messages`. Waiting for it may be given up and taken up again.
    pub async fn next<T>(&mut self, messages: &mpsc::Sender<T>) -> Step<K> {
        tokio::select! {
            biased;
            () = told(&mut self.stopped) => Step::End(end_of_stream(EventError::Stopped)),
            () = messages.closed() => Step::Gone,
            () = sleep_until(self.beat) => {
                self.beat = Instant::now().checked_add(self.heartbeat);
                Step::Beat
            }
            next = self.blocks.recv() => match next.unwrap_or(Err(EventError::Stopped)) {
                Ok(event) => Step::Block(event),
                Err(error) => Step::End(end_of_stream(error)),
            },
        }
    }
}

/// Why a stream of events ends.
fn end_of_stream(error: EventError) -> Status {
    match error {
        EventError::Rejected(rejection) => Refusal::Rejection(rejection).into(),
        EventError::Store(error) => Refusal::Store(error).into(),
        EventError::Stopped => Refusal::Rejection(Rejection::Stopping).into(),
    }
}

async fn feed<K: Kind>(node: &Node<K>, mut events: EventCursorOf<K::Machine>, blocks: &mpsc::Sender<Next<K>>) {
    loop {
        // Fails when nobody follows any more.
        let Ok(room) = blocks.reserve().await else { return };
        let oldest_recent = node.chain.committed().height.get().saturating_sub(RECENT);
        let next = if events.next_height().get() < oldest_recent {
            tokio::select! {
                biased;
                () = blocks.closed() => return,
                turn = node.history_reads.acquire() => {
                    let Ok(_turn) = turn else { return };
                    // Awaited to its end, so that the turn is not given on while the files are still read.
                    events.next().await
                }
            }
        } else {
            tokio::select! {
                biased;
                () = blocks.closed() => return,
                next = events.next() => next,
            }
        };
        let ended = next.is_err();
        room.send(next);
        if ended {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Ends at a moment; never if there is none.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
