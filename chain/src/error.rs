//! What stops a chain, and what keeps it from starting.

use std::any::Any;
use std::path::PathBuf;

use db3_genesis::GenesisError;
use db3_primitives::{Height, Rejection};

use crate::config::ConfigError;
use crate::store::StoreError;

/// Why a chain stopped and must not simply go on: the next step would be a guess. Nodes exit with 70, but where it broke.
#[derive(Debug, thiserror::Error)]
pub enum FatalError {
    /// The files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine asked for something that cannot be.
    #[error("the consensus engine went wrong: {detail}")]
    Engine {
        /// What it asked for.
        detail: String,
    },
    /// The engine was given another genesis.
    #[error("the engine's genesis is of {found}, the node's of {expected}: give both the same file")]
    OtherGenesis {
        /// The node's chain.
        expected: String,
        /// The engine's.
        found: String,
    },
    /// The application panicked in a call, or was sent what is no call: what it has in memory may be half changed, what is
    /// on the disk is not. See [`StopReason::Broken`](crate::StopReason::Broken).
    #[error("{detail} (on top of block {height})")]
    Broken {
        /// Height of the newest committed block.
        height: Height,
        /// What happened.
        detail: String,
    },
    /// The others decided a block that this node cannot judge, and all is noted for it to come again from a snapshot. See
    /// [`StopReason::Stranded`](crate::StopReason::Stranded).
    #[error("{detail}")]
    Stranded {
        /// Which block, and why.
        detail: String,
    },
    /// Votes of this node's key are in blocks, and its signing state knows nothing of them: the next could be a second one.
    #[error(
        "block {height} was signed with this node's key, and {} says that it signed up to height {known}: that file is an older \
         copy, or another process signs with the same key; a second vote for one height costs the validator its power for good. \
         End the other process, or put the newest file there, and start again; if it is lost, the validator needs a new key",
        path.display()
    )]
    SignedElsewhere {
        /// The block.
        height: u64,
        /// What the signing state says.
        known: u64,
        /// The signing state.
        path: PathBuf,
    },
    /// A thread ended that must not: a rule of the state machine is broken, and its message is in the log.
    #[error("the {thread} thread ended: {detail}")]
    Panicked {
        /// The thread.
        thread: &'static str,
        /// What it said.
        detail: String,
    },
}

impl FatalError {
    /// What a thread said when it panicked.
    pub(crate) fn of_panic(thread: &'static str, panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        Self::Panicked { thread, detail: text.unwrap_or("it panicked").to_owned() }
    }
}

/// Why block time was not moved. It stands where it stood.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// No header could carry the time soon after.
    #[error("{secs} seconds are too many: block time stays before the year 9999, so {largest} is the largest step now")]
    TooFar {
        /// What was asked for.
        secs: u64,
        /// The largest step that is possible.
        largest: u64,
    },
    /// Only the embedded engine takes its time from this machine alone.
    #[error("block time is what the validators agree on; only a network on the embedded engine can move it")]
    Agreed,
    /// The files failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a chain does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The genesis document.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The first state of a shard cannot be made.
    #[error("the genesis makes no state: {0}")]
    State(#[from] db3_shard_state::GenesisError),
    /// The first state of a settlement chain cannot be made.
    #[error("the genesis makes no state: {0}")]
    SettlementState(#[from] db3_settlement_state::GenesisError),
    /// The folder is of another kind of chain.
    #[error("this folder is of {found}, not of {expected}: use the other program, or choose another --home")]
    OtherKind {
        /// What this program runs.
        expected: &'static str,
        /// What the genesis is of.
        found: &'static str,
    },
    /// The files; also a folder that is in use.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key is not the validator's.
    #[error(
        "{}: key {found} is not the chain's one validator, {expected}: the embedded engine runs only where its key is; \
         a network of many validators has engine = \"cometbft\" in section [chain] of node.toml",
        path.display()
    )]
    NotTheValidator {
        /// The file.
        path: std::path::PathBuf,
        /// Public key in the file.
        found: String,
        /// Public keys in the genesis.
        expected: String,
    },
    /// The chain came up and stopped.
    #[error(transparent)]
    Fatal(#[from] FatalError),
    /// `CometBFT` cannot be started.
    #[error(transparent)]
    CometBft(#[from] db3_comet::CometError),
    /// The application cannot be served to `CometBFT`.
    #[error("the application cannot be served at {address}: {source}")]
    Serve {
        /// Where.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state is that of a block that `CometBFT` has not.
    #[error(
        "the state in {} is that after block {height}, and CometBFT has no blocks there: put back the folder \
         cometbft/data that belongs to it, or {}",
        home.display(),
        db3_comet::SYNC_ANEW
    )]
    NoBlocks {
        /// The folder.
        home: std::path::PathBuf,
        /// The height.
        height: db3_primitives::Height,
    },
    /// `CometBFT` has lost its newest blocks.
    #[error(
        "CometBFT in {} has blocks up to height {found} alone, and this node has seen block {expected}: put back the folder \
         cometbft/data that belongs to it, or {}",
        home.display(),
        db3_comet::SYNC_ANEW
    )]
    FewBlocks {
        /// The folder.
        home: std::path::PathBuf,
        /// Height of the newest block.
        found: db3_primitives::Height,
        /// Height that it should reach.
        expected: db3_primitives::Height,
    },
    /// A thread could not be started.
    #[error("no thread can be started: {0}")]
    Thread(std::io::Error),
    /// The folder holds something already.
    #[error("{} is not empty: choose another --home, or remove it", .0.display())]
    NotEmpty(std::path::PathBuf),
}

impl StartError {
    /// Whether another process has the folder open.
    #[must_use]
    pub fn is_already_running(&self) -> bool {
        matches!(self, Self::Store(StoreError::Locked { .. }))
    }

    /// Whether starting again cannot help: nodes exit with 70.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Fatal(FatalError::Store(error)) | Self::Store(error) => error.is_fatal(),
            Self::Fatal(_) | Self::FewBlocks { .. } => true,
            Self::Config(_)
            | Self::Genesis(_)
            | Self::State(_)
            | Self::SettlementState(_)
            | Self::OtherKind { .. }
            | Self::NotTheValidator { .. }
            | Self::Thread(_)
            | Self::CometBft(_)
            | Self::Serve { .. }
            | Self::NoBlocks { .. }
            | Self::NotEmpty(_) => false,
        }
    }
}

/// Why a mutation was not taken. Nothing of it is in a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It can never be, as it is.
    #[error("{rejection}")]
    Rejected {
        /// Why.
        rejection: Rejection,
        /// Its identifier, where it could be read.
        id: Option<db3_primitives::MutationId>,
    },
    /// There is no room now; the same bytes may be sent again.
    #[error("the node is overloaded: {what}")]
    Overloaded {
        /// What is full.
        what: &'static str,
    },
    /// The node stops, or its files failed.
    #[error("the node is stopping")]
    Stopping,
}

impl SubmitError {
    /// As a numbered code.
    #[must_use]
    pub fn rejection(&self) -> Rejection {
        match self {
            Self::Rejected { rejection, .. } => rejection.clone(),
            Self::Overloaded { what } => Rejection::Overloaded { what },
            Self::Stopping => Rejection::Stopping,
        }
    }
}
