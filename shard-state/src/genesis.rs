//! The first version of a shard: no records, no accounts, no lease. Whatever anybody may spend arrives from the
//! settlement chain, through the log that its peer entry opens.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use db3_carry::{Channel, Peer, PeerError};
use db3_governance::{GovernanceLeaf, Validator, ValidatorError};
use db3_primitives::limits::{BLOCK_MUTATIONS_MAX, CLOSE_ACCOUNTS_PER_BLOCK_MAX, EPOCH_SECS_MAX, EPOCH_SECS_MIN};
use db3_primitives::{BlockTime, ChainId, ChainLeaf, Epoch, Height, NetworkName, PriceTable, ShardId, ShardMap, key};
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
    /// Accounts that a block visits for a close, 1 to [`CLOSE_ACCOUNTS_PER_BLOCK_MAX`].
    pub close_accounts_max: u32,
    /// How far ahead of block time a mutation may expire, in seconds, ≥ 1.
    pub expiry_max_secs: u64,
    /// The settlement chain: where trust in it begins.
    pub settlement: Peer,
    /// Who validates it, and who operates them; empty for a shard that nobody governs.
    pub validators: Vec<Validator>,
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
    /// The chain that is to be heard is another than the network's settlement chain.
    #[error("the peer is {peer}: a shard of this network hears {expected}")]
    Settlement {
        /// The chain given.
        peer: String,
        /// The network's settlement chain.
        expected: ChainId,
    },
    /// The peer is none.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The validators are none.
    #[error(transparent)]
    Validators(#[from] ValidatorError),
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
        let settlement = ChainId::settlement(&genesis.network);
        if genesis.settlement.root.chain_id() != settlement.as_str() {
            let peer = genesis.settlement.root.chain_id().to_owned();
            return Err(GenesisError::Settlement { peer, expected: settlement });
        }
        let mut leaves = BTreeMap::new();
        leaves.insert(key::chain(), Some(chain.to_bytes()));
        leaves.insert(key::open_epoch(), Some(OpenBooks::begin(open, Height::new(1)).to_leaf().to_bytes()));
        if !genesis.validators.is_empty() {
            leaves.insert(key::governance(), Some(GovernanceLeaf::new(&genesis.validators)?.to_bytes()));
        }
        let channel = Channel::new(genesis.settlement.clone())?;
        leaves.extend(channel.leaves().into_iter().map(|(key, leaf)| (key, Some(leaf))));
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
        // Until the first heartbeat arrives nothing may be charged.
        lease_epoch: 0,
        block_mutations_max: BLOCK_MUTATIONS_MAX,
        expiry_max_secs,
        close_accounts_max,
    })
}

fn check_limit(name: &'static str, value: u64, max: u64) -> Result<(), GenesisError> {
    if (1..=max).contains(&value) { Ok(()) } else { Err(GenesisError::Limit { name, value, min: 1, max }) }
}
