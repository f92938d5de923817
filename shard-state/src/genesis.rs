//! The first version of a shard.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use db3_primitives::limits::{BLOCK_MUTATIONS_MAX, CLOSE_ACCOUNTS_PER_BLOCK_MAX, EPOCH_SECS_MAX, EPOCH_SECS_MIN};
use db3_primitives::{
    AccountLeaf, Address, BlockTime, ChainLeaf, Epoch, Height, NetworkName, PriceTable, ShardId, ShardMap, Tai, key,
};
use db3_state_tree::{BatchError, Tree};

use crate::books::OpenBooks;
use crate::state::{ShardState, StateError};

/// All that decides a shard's first version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The network.
    pub network: NetworkName,
    /// Which of its shards this is.
    pub shard: ShardId,
    /// How many shards it has.
    pub shards: u32,
    /// Length of an epoch in seconds of block time.
    pub epoch_secs: NonZeroU64,
    /// The epoch of this time is open in the first block, whose height is 1.
    pub genesis_time: BlockTime,
    /// What things cost.
    pub prices: PriceTable,
    /// The last epoch in which the shard may charge.
    pub lease_epoch: u64,
    /// Accounts that a block visits for a close, 1 to [`CLOSE_ACCOUNTS_PER_BLOCK_MAX`].
    pub close_accounts_max: u32,
    /// How far ahead of block time a mutation may expire, in seconds, ≥ 1.
    pub expiry_max_secs: u64,
    /// Ceiling of every account that may spend here.
    pub lines: Vec<(Address, Tai)>,
}

/// Why a genesis makes no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The number of shards.
    #[error("{shards} shards: a network has 1 to {max}", max = db3_primitives::limits::SHARDS_MAX)]
    Shards {
        /// The number given.
        shards: u32,
    },
    /// The shard's own number.
    #[error("shard {shard} of {shards}: they are numbered from 0")]
    Shard {
        /// The number given.
        shard: ShardId,
        /// How many there are.
        shards: u32,
    },
    /// The length of an epoch.
    #[error("epochs of {epoch_secs} s: they take {EPOCH_SECS_MIN} to {EPOCH_SECS_MAX} s")]
    EpochSecs {
        /// The length given.
        epoch_secs: NonZeroU64,
    },
    /// A limit of the chain.
    #[error("{name} is {value}: it must be {min} to {max}")]
    Limit {
        /// Which one.
        name: &'static str,
        /// The value given.
        value: u64,
        /// The least that makes sense.
        min: u64,
        /// The protocol's maximum.
        max: u64,
    },
    /// A lease that ends before the first block.
    #[error("the lease ends with epoch {lease}, but the first block is in epoch {first}")]
    Lease {
        /// The lease given.
        lease: Epoch,
        /// Epoch of the genesis time.
        first: Epoch,
    },
    /// Two lines for one account.
    #[error("{account} has two lines")]
    LineTwice {
        /// The account.
        account: Address,
    },
    /// Ceilings whose sum is no amount, so that sums over accounts could overflow.
    #[error("the ceilings add up to more than 2^128 - 1 tai, at the line of {account}")]
    CeilingsOverflow {
        /// The account whose line is too much.
        account: Address,
    },
    /// The leaves make no tree.
    #[error(transparent)]
    Tree(#[from] BatchError),
    /// The tree makes no state.
    #[error(transparent)]
    State(#[from] StateError),
}

impl ShardState {
    /// The version before the first block.
    pub fn genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        let chain = chain_leaf(genesis)?;
        let open = Epoch::of(genesis.genesis_time.secs, genesis.epoch_secs);
        let lease = Epoch::new(genesis.lease_epoch);
        if lease < open {
            return Err(GenesisError::Lease { lease, first: open });
        }
        let mut leaves = BTreeMap::new();
        leaves.insert(key::chain(), Some(chain.to_bytes()));
        leaves.insert(key::open_epoch(), Some(OpenBooks::begin(open, Height::new(1)).to_leaf().to_bytes()));
        let mut sum = Tai::ZERO;
        for (account, ceiling) in &genesis.lines {
            sum = sum.checked_add(*ceiling).ok_or(GenesisError::CeilingsOverflow { account: *account })?;
            let leaf = AccountLeaf::with_ceiling(*ceiling).to_bytes();
            if leaves.insert(key::account(account), Some(leaf)).is_some() {
                return Err(GenesisError::LineTwice { account: *account });
            }
        }
        Ok(Self::from_tree(Tree::new().apply(leaves.into_iter().collect())?)?)
    }
}

fn chain_leaf(genesis: &Genesis) -> Result<ChainLeaf, GenesisError> {
    let Genesis { shard, shards, epoch_secs, close_accounts_max, expiry_max_secs, .. } = *genesis;
    let shard_map = ShardMap::new(1, shards).map_err(|_| GenesisError::Shards { shards })?;
    if shard.get() >= shards {
        return Err(GenesisError::Shard { shard, shards });
    }
    if !(EPOCH_SECS_MIN..=EPOCH_SECS_MAX).contains(&epoch_secs.get()) {
        return Err(GenesisError::EpochSecs { epoch_secs });
    }
    check_limit("expiry_max_secs", expiry_max_secs, u64::MAX)?;
    check_limit("close_accounts_max", u64::from(close_accounts_max), u64::from(CLOSE_ACCOUNTS_PER_BLOCK_MAX))?;
    Ok(ChainLeaf {
        network: genesis.network.clone(),
        shard,
        epoch_secs,
        prices: genesis.prices,
        shard_map,
        lease_epoch: genesis.lease_epoch,
        block_mutations_max: BLOCK_MUTATIONS_MAX,
        expiry_max_secs,
        close_accounts_max,
    })
}

fn check_limit(name: &'static str, value: u64, max: u64) -> Result<(), GenesisError> {
    if (1..=max).contains(&value) { Ok(()) } else { Err(GenesisError::Limit { name, value, min: 1, max }) }
}
