//! Following a chain's blocks for one stream: from memory as they come, from the files after a break.
//!
//! A block that is no longer in memory is read and decoded anew for every stream, so that only a few streams may do so
//! at once; the others wait for their turn. It must never read on for a caller who is gone.

use std::sync::Arc;

use db3_chain::{BlockEvent, EventCursor, EventError};
use db3_primitives::Height;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Node;

/// Blocks behind the newest from which on a block counts as old. The chain keeps about as many in memory.
const RECENT: u64 = 64;

/// The blocks of one stream, one ahead of what is sent. Waiting for the next one may be given up and taken up again.
pub type Blocks = mpsc::Receiver<Result<Arc<BlockEvent>, EventError>>;

impl Node {
    /// Follows blocks after a height. Ends when the receiver is dropped, or after an error.
    pub(super) fn follow(&self, after: Height) -> Blocks {
        let (blocks, receiver) = mpsc::channel(1);
        let (node, events) = (self.clone(), self.chain.subscribe(Some(after)));
        tokio::spawn(async move { feed(&node, events, &blocks).await });
        receiver
    }

    /// The moment of a stream's next sign of life; none: never.
    pub(super) fn next_beat(&self) -> Option<Instant> {
        Instant::now().checked_add(self.limits.heartbeat)
    }
}

async fn feed(node: &Node, mut events: EventCursor, blocks: &mpsc::Sender<Result<Arc<BlockEvent>, EventError>>) {
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
pub async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
