//! Where light blocks come from.

use std::future::Future;

use tendermint_proto::v0_38::types::ConsensusParams;

/// A light block as the RPC gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncBlock {
    /// `tendermint.types.LightBlock`.
    pub light_block: Vec<u8>,
    /// The validators' priorities as proposers, in their order. Without the right ones a node that synced would take
    /// another validator for the proposer.
    pub priorities: Vec<i64>,
}

/// Why a source gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The height is above the newest.
    #[error("height {height} must be less than or equal to the current blockchain height {newest}")]
    TooHigh {
        /// What was asked for.
        height: u64,
        /// The newest.
        newest: u64,
    },
    /// The height is no longer kept.
    #[error("height {height} is not available, lowest height is {oldest}")]
    Pruned {
        /// What was asked for.
        height: u64,
        /// The oldest that is kept.
        oldest: u64,
    },
    /// The peer does not answer, or not with a light block. (`CometBFT` tries again after these words.)
    #[error("Timeout exceeded: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
}

/// A peer that gives light blocks.
pub trait LightBlockSource: Send + Sync + 'static {
    /// The light block of a height; 0: the newest.
    fn light_block(&self, height: u64) -> impl Future<Output = Result<SyncBlock, SourceError>> + Send;

    /// The consensus parameters of a height.
    fn consensus_params(&self, height: u64) -> impl Future<Output = Result<ConsensusParams, SourceError>> + Send;
}
