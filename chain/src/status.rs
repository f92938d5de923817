//! What a running chain says of itself.

use db3_primitives::{BlockTime, Epoch, Hash32, Height};

use crate::comet::Consensus;

/// Why a chain makes no more blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// It was asked to stop.
    Shutdown,
    /// What it has in memory may be half changed, what is on the disk is not: shut it down, let go of it and start it
    /// anew, as often as [`Reopenings`] allows.
    Broken {
        /// Height of its newest committed block.
        height: Height,
        /// What happened.
        detail: String,
    },
    /// The machine had no room for what it writes ([`StoreError::is_for_want_of_room`](crate::StoreError)): end the process
    /// with exit code 1, and start it later.
    NoRoom {
        /// What the system said.
        detail: String,
    },
    /// The others decided a block that it cannot judge: shut it down, let go of it and start it anew, and it puts aside what it
    /// has, but what it has signed, and comes again from a snapshot.
    Stranded {
        /// Which block, and why.
        detail: String,
    },
    /// It cannot go on: end the process with exit code 70.
    Fatal {
        /// Why.
        detail: String,
    },
}

/// How often a chain may break on top of one block. What breaks it there may be the next block, which must not be tried
/// for ever.
const BREAKS_MAX: u32 = 3;

/// Counts how often a chain broke.
#[derive(Debug, Default)]
pub struct Reopenings {
    at: Option<(Height, u32)>,
}

impl Reopenings {
    /// What follows from a stop: where a chain broke too often on top of one block, it cannot go on.
    #[must_use]
    pub fn judge(&mut self, reason: StopReason) -> StopReason {
        let StopReason::Broken { height, detail } = reason else { return reason };
        let before = self.at.filter(|(at, _)| *at == height).map_or(0, |(_, count)| count);
        let count = before.saturating_add(1);
        self.at = Some((height, count));
        if count < BREAKS_MAX { StopReason::Broken { height, detail } } else { StopReason::Fatal { detail } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_breaks_three_times_on_one_block_cannot_go_on() {
        let mut reopenings = Reopenings::default();
        let mut fatal = |height: u64| {
            let broken = StopReason::Broken { height: Height::new(height), detail: "a panic".to_owned() };
            matches!(reopenings.judge(broken), StopReason::Fatal { .. })
        };
        assert_eq!([7, 7, 8, 8, 9, 9, 9].map(&mut fatal), [false, false, false, false, false, false, true]);
        assert_eq!(reopenings.judge(StopReason::Shutdown), StopReason::Shutdown);
    }
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
