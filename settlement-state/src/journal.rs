//! Every movement of money in a block, as it happens: from one purse into another, so that what one loses the other
//! gains (rule I5). The check at the block's end adds these up and holds them against the leaves.

use std::fmt;

use db3_primitives::{Address, ShardId, Tai};

/// Where money can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purse {
    /// An account's balance.
    Balance(Address),
    /// An account's collateral.
    Collateral(Address),
    /// What was paid to a shard's validators and is not paid out.
    Pool(ShardId),
    /// The fees that are not paid out.
    Fees,
}

/// Money that went from one purse into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Movement {
    pub(crate) from: Purse,
    pub(crate) to: Purse,
    pub(crate) amount: Tai,
}

impl fmt::Display for Purse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balance(account) => write!(f, "balance of {account}"),
            Self::Collateral(account) => write!(f, "collateral of {account}"),
            Self::Pool(shard) => write!(f, "pool of shard {shard}"),
            Self::Fees => write!(f, "pool of fees"),
        }
    }
}
