//! How the process is.

use std::time::{Duration, Instant};

use crate::rpc::Status;

/// How the process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Height of its newest block; 0 before the first.
    pub height: u64,
    /// Height of the oldest block that it keeps; 0 before the first.
    pub base: u64,
    /// Whether it fetches blocks or a snapshot from others.
    pub catching_up: bool,
    /// Peers that it is connected with.
    pub peers: usize,
    /// The newest height that more than half of them have, as they say; 0 without peers.
    pub peers_height: u64,
    /// Power of the key that it signs with, at its height; 0 where that is no validator's.
    pub power: u64,
    /// The newest height of which this node has seen that it was signed with that key, since the start.
    pub signed: u64,
    /// Whether it answered when it was asked last.
    pub answers: bool,
    /// Since when its height is what it is.
    pub since: Instant,
    /// How often it was started again.
    pub restarts: u64,
    /// Its process; none while it does not run.
    pub pid: Option<u32>,
    /// What that means.
    pub state: HealthState,
}

/// What is to be thought of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// It was started and has not answered yet.
    Starting,
    /// Its height grows.
    Advancing,
    /// It runs, and for longer than the settings allow its height has not grown, or it has not answered.
    Stalled,
    /// It runs, and its peers are ahead and keep none of the blocks that it lacks: no start helps. What is to be done.
    Behind(String),
    /// It does not run: the others decided a block with evidence from before its first block, which it can neither judge nor
    /// pass. No start helps; why.
    Stranded(String),
    /// It does not run, and is about to be started again; why.
    Failed(String),
    /// The other validators have another root: the node must end with exit code 70, and must not be started again.
    Fatal(String),
    /// It was stopped.
    Stopped,
}

impl Health {
    pub(super) fn starting() -> Self {
        Self {
            height: 0,
            base: 0,
            catching_up: true,
            peers: 0,
            peers_height: 0,
            power: 0,
            signed: 0,
            answers: false,
            since: Instant::now(),
            restarts: 0,
            pid: None,
            state: HealthState::Starting,
        }
    }

    /// Whether blocks are made, and this node is not behind.
    #[must_use]
    pub fn is_advancing(&self) -> bool {
        self.state == HealthState::Advancing && !self.catching_up
    }

    /// Takes an answer of the process. Gives whether its height grew.
    pub(super) fn take(&mut self, status: &Status, peers: usize, stalled_after: Duration) -> bool {
        let grew = status.height > self.height;
        if grew {
            self.since = Instant::now();
        }
        self.height = status.height;
        self.base = status.base;
        self.catching_up = status.catching_up;
        self.peers = peers;
        self.power = status.power;
        self.answers = true;
        if matches!(self.state, HealthState::Failed(_)) {
            self.state = HealthState::Starting;
        }
        let first = self.state == HealthState::Starting && !grew;
        if self.since.elapsed() >= stalled_after {
            if !matches!(self.state, HealthState::Behind(_)) {
                self.state = HealthState::Stalled;
            }
        } else if !first {
            self.state = HealthState::Advancing;
        }
        grew
    }

    /// Takes that it gave no answer: after as long as a height may take, nobody may think that it makes blocks.
    pub(super) fn take_silence(&mut self, stalled_after: Duration) {
        self.answers = false;
        if self.since.elapsed() >= stalled_after {
            self.state = HealthState::Stalled;
        }
    }
}

/// Why a process ended, or is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is to be started again.
    Again(String),
    /// The same, at once.
    AtOnce(String),
    /// It must not be started again.
    Fatal(String),
    /// No signer connected; it is to be started again.
    Unsigned(String),
    /// It has a state and no block, as state sync leaves them when it is killed.
    Unfinished(String),
    /// It cannot judge the evidence in a block that the others decided.
    Stranded(String),
    /// The node stops.
    Stop,
}
