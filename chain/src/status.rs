//! What a running chain says of itself.

use db3_primitives::{BlockTime, Epoch, Hash32, Height};

use crate::comet::Consensus;

/// Why a chain makes no more blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// It was asked to stop.
    Shutdown,
    /// It cannot go on: end the process with exit code 70.
    Fatal {
        /// Why.
        detail: String,
    },
}

/// Where a chain and its node stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainStatus {
    /// Newest block.
    pub height: Height,
    /// Its time.
    pub block_time: BlockTime,
    /// Root of the state after it.
    pub root: Hash32,
    /// Newest height that can be proven.
    pub provable_height: Height,
    /// Oldest height whose state can be read.
    pub earliest_height: Height,
    /// Hash of the newest block; none before the first.
    pub block_hash: Option<[u8; 32]>,
    /// Height from which on there are bills, receipts and rows about blocks; none before the first.
    pub history_from_height: Option<Height>,
    /// The open epoch.
    pub open_epoch: Epoch,
    /// Leaves of the state tree.
    pub state_leaves: u64,
    /// Mutations that wait for a block.
    pub pool_mutations: u64,
    /// Their bytes.
    pub pool_bytes: u64,
    /// Height of the snapshot on the disk.
    pub snapshot_height: Height,
    /// Oldest and newest block that are kept; none before the first.
    pub blocks: Option<(Height, Height)>,
    /// What drives the chain: "solo" or "cometbft".
    pub engine: &'static str,
    /// How consensus does.
    pub consensus: Consensus,
    /// Whether mutations that it takes will soon be in a block.
    pub ready: bool,
}
