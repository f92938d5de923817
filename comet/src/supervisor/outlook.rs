//! What is asked more seldom: how far the peers are, and whether the own validator signs.
//!
//! A node in consensus whose peers are ahead is sent the next block within seconds by any of them that has it, and a process
//! that was just started fetches what any of them has before it takes part in consensus. So one that was started, takes
//! part, and stands still behind its peers lacks a block that none of them keeps: no further start helps.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use super::health::Health;
use crate::rpc::{Rpc, RpcError, Status};

/// How often it looks.
const LOOK_TIME: Duration = Duration::from_secs(3);
/// No question takes longer: the answer waits for a block that is executed.
const PATIENCE: Duration = Duration::from_secs(1);
/// What was heard longer ago says nothing: while a block is executed there is no answer.
const FRESH: Duration = Duration::from_secs(10);
/// Peers that are no further ahead are at work on what this node works on, or about to send it.
const AHEAD: u64 = 2;

#[derive(Default)]
pub(super) struct Outlook {
    looked: Option<Instant>,
    /// When there was an answer last.
    heard: Option<Instant>,
    /// Height of the process when it was first asked.
    first: Option<u64>,
}

impl Outlook {
    /// Looks, if it is time. An answer that does not come changes nothing.
    pub(super) async fn look(&mut self, rpc: &Rpc, status: &Status, health: &watch::Sender<Health>) {
        self.first.get_or_insert(status.height);
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_TIME) {
            return;
        }
        self.looked = Some(Instant::now());
        let asked = async {
            let peers = rpc.peer_heights().await?;
            let signed =
                status.power > 0 && status.height > 0 && rpc.has_signed(status.height, &status.address).await?;
            Ok::<_, RpcError>((peers, signed))
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok((peers, signed))) => {
                self.heard = Some(Instant::now());
                health.send_modify(|health| {
                    health.peers_height = decided_by_most(peers);
                    if signed {
                        health.signed = status.height;
                    }
                });
            }
            Ok(Err(error)) => tracing::debug!(%error, "comet.outlook"),
            Err(_) => {}
        }
    }

    /// Why no start helps, where the process has stood still for long enough since its own.
    pub(super) fn is_behind(&self, status: &Status, health: &Health) -> Option<String> {
        let stands = self.first == Some(status.height) && !status.catching_up;
        let fresh = self.heard.is_some_and(|heard| heard.elapsed() < FRESH);
        (stands && fresh && health.peers_height >= status.height.saturating_add(AHEAD)).then(|| {
            format!(
                "no peer sends block {}: they are at {} and no longer keep it",
                status.height.saturating_add(1),
                health.peers_height
            )
        })
    }
}

/// The newest height that more than half of the peers have decided: one that lies moves nothing. 0 without peers.
fn decided_by_most(mut peers: Vec<u64>) -> u64 {
    peers.sort_unstable_by_key(|height| std::cmp::Reverse(*height));
    let most = peers.len().checked_div(2).and_then(|at| peers.get(at));
    // They work on the height after it.
    most.map_or(0, |height| height.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_of_several_that_says_too_much_moves_nothing() {
        assert_eq!(decided_by_most(vec![]), 0);
        assert_eq!(decided_by_most(vec![8]), 7);
        assert_eq!(decided_by_most(vec![8, 1_000_000]), 7);
        assert_eq!(decided_by_most(vec![8, 1_000_000, 9]), 8);
        assert_eq!(decided_by_most(vec![1, 8, 9, 1_000_000]), 7);
    }

    #[test]
    fn a_process_that_stands_where_it_began_behind_its_peers_is_behind_for_good() {
        let status = |height: u64, catching_up: bool| Status {
            height,
            base: 1,
            catching_up,
            node_id: String::new(),
            address: String::new(),
            power: 0,
        };
        let outlook = Outlook { heard: Some(Instant::now()), first: Some(5), ..Outlook::default() };
        let health = |peers_height| Health { peers_height, ..Health::starting() };
        let told = outlook.is_behind(&status(5, false), &health(7)).unwrap_or_default();
        assert!(told.contains("block 6") && told.contains("at 7"), "{told}");
        assert_eq!(outlook.is_behind(&status(5, false), &health(6)), None, "they work on the same");
        assert_eq!(outlook.is_behind(&status(5, true), &health(7)), None, "it fetches blocks");
        assert_eq!(outlook.is_behind(&status(6, false), &health(90)), None, "it has had a block since");
        let busy = Outlook { heard: None, ..outlook };
        assert_eq!(busy.is_behind(&status(5, false), &health(90)), None, "it executes a block");
    }
}
