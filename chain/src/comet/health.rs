//! How consensus does, as this node sees it.

/// Whether blocks come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsensusState {
    /// The engine has made no block since it was started.
    #[default]
    Starting,
    /// Blocks come.
    Advancing,
    /// No block has come for a while: too few validators answer, or this node reaches too few of them.
    Stalled,
    /// The others are ahead, and nobody keeps the blocks that this node lacks: it must come by a snapshot.
    Behind,
    /// The others decided a block that this node cannot judge, and it does not come by a snapshot by itself.
    Stranded,
    /// The engine does not run; it is started again after a pause.
    Failed,
}

impl ConsensusState {
    /// As answers name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Advancing => "advancing",
            Self::Stalled => "stalled",
            Self::Behind => "behind",
            Self::Stranded => "stranded",
            Self::Failed => "failed",
        }
    }
}

/// How consensus does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consensus {
    /// Whether blocks come.
    pub state: ConsensusState,
    /// Whether the node fetches old blocks or a snapshot and takes no part yet.
    pub catching_up: bool,
    /// Nodes that it is connected with.
    pub peers: u32,
    /// How often the engine was started again.
    pub restarts: u64,
}

impl Consensus {
    /// As the solo engine is: its blocks come when there is something to do.
    pub(crate) const SOLO: Self = Self { state: ConsensusState::Advancing, catching_up: false, peers: 0, restarts: 0 };

    /// Whether mutations that are taken now will be in a block soon.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.state == ConsensusState::Advancing && !self.catching_up
    }
}
