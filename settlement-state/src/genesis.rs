//! The first version of the settlement chain.
//!
//! Genesis gives every account its money and says what credit it wants where. It issues no ceiling: it leaves a round
//! running, which the first block goes on with, and which issues them through the outboxes, as every round does.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use db3_carry::{Channel, Peer};
use db3_governance::{GovernanceLeaf, Validator, ValidatorError};
use db3_primitives::leaf::settlement::{DUE_VALUE, FEE_POOL};
use db3_primitives::limits::CEILING_TAI_MAX;
use db3_primitives::{
    Address, BalanceLeaf, BlockTime, ChainId, Epoch, LineLeaf, NetworkName, PayoutLeaf, PriceTable, RoundLeaf,
    SettlementLeaf, ShardId, ShardLeaf, ShardMap, SupplyLeaf, Tai, key,
};
use db3_state_tree::{BatchError, Tree};

use crate::round;
use crate::state::{SettlementState, StateError};

/// All that decides the settlement chain's first version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The network.
    pub network: NetworkName,
    /// How many shards it has.
    pub shards: u32,
    /// Length of an epoch in seconds of block time.
    pub epoch_secs: NonZeroU64,
    /// Time of the first block.
    pub genesis_time: BlockTime,
    /// What a transaction costs.
    pub prices: PriceTable,
    /// How far ahead of block time a transaction may expire, in seconds, ≥ 1.
    pub expiry_max_secs: u64,
    /// How much credit one tai of collateral gives: numerator.
    pub factor_num: u64,
    /// Its denominator.
    pub factor_den: NonZeroU64,
    /// Who gets what the division of a pool leaves over.
    pub treasury: Address,
    /// How many epochs after that of the block's time a heartbeat lets a shard charge, ≥ 1.
    pub lease_epochs: u64,
    /// How long after an epoch's end its round waits for all shards.
    pub deadline_secs: u64,
    /// How many epochs something may be outstanding before the account is delinquent.
    pub grace_epochs: u64,
    /// How many epochs until collateral pays, ≥ `grace_epochs`.
    pub seize_epochs: u64,
    /// How many epochs until the rest is written off, ≥ `seize_epochs`.
    pub write_off_epochs: u64,
    /// How many lines one block visits during a round.
    pub round_accounts_max: u32,
    /// The accounts, each once. What they have together is the supply.
    pub accounts: Vec<GenesisAccount>,
    /// Who shares each shard's pool, by power; one list a shard.
    pub payouts: Vec<Vec<(Address, u64)>>,
    /// Who shares the fees of this chain, by power.
    pub own_payouts: Vec<(Address, u64)>,
    /// Where trust in each shard begins; one a shard, in order.
    pub peers: Vec<Peer>,
    /// Who validates this chain, and who operates them; empty for a chain that nobody governs.
    pub validators: Vec<Validator>,
}

/// One account of a genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Its address.
    pub account: Address,
    /// What it may spend.
    pub balance: Tai,
    /// What stands behind its credit.
    pub collateral: Tai,
    /// Credit without collateral.
    pub trust: Tai,
    /// How much unpaid credit it wants on which shards, each once.
    pub wants: Vec<(ShardId, Tai)>,
}

/// Why a genesis makes no settlement chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The number of shards.
    #[error("{shards} shards: a network has 1 to {max}", max = db3_primitives::limits::SHARDS_MAX)]
    Shards {
        /// The number given.
        shards: u32,
    },
    /// A list that must have one entry for every shard.
    #[error("{what} has {count} entries: give one for each of the {shards} shards, in order")]
    PerShard {
        /// Which list.
        what: &'static str,
        /// Entries given.
        count: usize,
        /// Shards.
        shards: u32,
    },
    /// A peer at another shard's place.
    #[error("peer {shard} is {found}: it must be {expected}")]
    PeerMisplaced {
        /// Its place.
        shard: ShardId,
        /// Whose it is.
        found: String,
        /// Whose place it is.
        expected: ChainId,
    },
    /// A parameter that no chain can have.
    #[error("{field} holds a value that no settlement chain can have")]
    Parameter {
        /// Which one.
        field: &'static str,
    },
    /// Two entries for one account.
    #[error("{account} stands twice among the accounts")]
    AccountTwice {
        /// The account.
        account: Address,
    },
    /// Two wants of one account on one shard, or one on a shard that is not there.
    #[error("{account} wants credit on shard {shard}, which is named twice or is none of the {shards} shards")]
    Want {
        /// The account.
        account: Address,
        /// The shard.
        shard: ShardId,
        /// Shards.
        shards: u32,
    },
    /// More money than sums can hold.
    #[error(
        "the accounts have more than {CEILING_TAI_MAX} tai together, or one wants or is trusted with more than that"
    )]
    TooMuchMoney,
    /// Recipients that no pool can have.
    #[error("the recipients of pool {pool}: {detail}")]
    Payouts {
        /// The shard, or "fees".
        pool: String,
        /// What is wrong.
        detail: String,
    },
    /// The leaves make no tree.
    #[error(transparent)]
    Tree(#[from] BatchError),
    /// The validators are none.
    #[error(transparent)]
    Validators(#[from] ValidatorError),
    /// The tree makes no state.
    #[error(transparent)]
    State(#[from] StateError),
}

type Leaves = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl SettlementState {
    /// The version before the first block.
    pub fn genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        let chain = chain_leaf(genesis)?;
        let epoch = Epoch::of(genesis.genesis_time.secs, genesis.epoch_secs);
        let mut leaves = Leaves::new();
        leaves.insert(key::chain(), Some(chain.to_bytes()));
        leaves.insert(key::round(), Some(first_round(epoch).to_bytes()));
        let supply = put_accounts(genesis, &mut leaves)?;
        let supply = SupplyLeaf { supply, ..SupplyLeaf::default() };
        leaves.insert(key::supply(), Some(supply.to_bytes()));
        put_shards(genesis, &chain, epoch, &mut leaves)?;
        put_payouts(genesis, &mut leaves)?;
        if !genesis.validators.is_empty() {
            leaves.insert(key::governance(), Some(GovernanceLeaf::new(&genesis.validators)?.to_bytes()));
        }
        Ok(Self::from_tree(Tree::new().apply(leaves.into_iter().collect())?)?)
    }
}

fn chain_leaf(genesis: &Genesis) -> Result<SettlementLeaf, GenesisError> {
    let shards = genesis.shards;
    let chain = SettlementLeaf {
        network: genesis.network.clone(),
        epoch_secs: genesis.epoch_secs,
        prices: genesis.prices,
        shard_map: ShardMap::new(1, shards).map_err(|_| GenesisError::Shards { shards })?,
        expiry_max_secs: genesis.expiry_max_secs,
        factor_num: genesis.factor_num,
        factor_den: genesis.factor_den,
        treasury: genesis.treasury,
        lease_epochs: genesis.lease_epochs,
        deadline_secs: genesis.deadline_secs,
        grace_epochs: genesis.grace_epochs,
        seize_epochs: genesis.seize_epochs,
        write_off_epochs: genesis.write_off_epochs,
        round_accounts_max: genesis.round_accounts_max,
    };
    chain.check().map_err(|field| GenesisError::Parameter { field })?;
    Ok(chain)
}

/// The round that the first block goes on with. What is before genesis counts as settled.
fn first_round(epoch: Epoch) -> RoundLeaf {
    let settled = epoch.get().checked_sub(1).map(Epoch::new);
    RoundLeaf { settled, rounds: 0, running: Some(round::begin(settled.unwrap_or_default())) }
}

/// Writes the accounts and their lines, and tells what they have together.
fn put_accounts(genesis: &Genesis, leaves: &mut Leaves) -> Result<Tai, GenesisError> {
    let bounded = |amount: Tai| if amount <= CEILING_TAI_MAX { Ok(amount) } else { Err(GenesisError::TooMuchMoney) };
    let mut supply = Tai::ZERO;
    for GenesisAccount { account, balance, collateral, trust, wants } in &genesis.accounts {
        for amount in [balance, collateral] {
            supply = bounded(supply.checked_add(*amount).ok_or(GenesisError::TooMuchMoney)?)?;
        }
        let leaf = BalanceLeaf {
            balance: *balance,
            collateral: *collateral,
            trust: bounded(*trust)?,
            ..BalanceLeaf::default()
        };
        if leaves.insert(key::balance(account), Some(leaf.to_bytes())).is_some() {
            return Err(GenesisError::AccountTwice { account: *account });
        }
        for (shard, want) in wants {
            let line = LineLeaf { want: bounded(*want)?, ..LineLeaf::default() };
            let twice = leaves.insert(key::line(account, *shard), Some(line.to_bytes())).is_some();
            if twice || shard.get() >= genesis.shards {
                return Err(GenesisError::Want { account: *account, shard: *shard, shards: genesis.shards });
            }
            leaves.insert(key::due(account), Some(DUE_VALUE.to_vec()));
        }
    }
    Ok(supply)
}

/// Writes what is known of each shard: the lease that the first round will issue, which none of a shard's genesis may
/// pass, and the channel from it.
fn put_shards(
    genesis: &Genesis,
    chain: &SettlementLeaf,
    epoch: Epoch,
    leaves: &mut Leaves,
) -> Result<(), GenesisError> {
    per_shard("peers", genesis.peers.len(), genesis.shards)?;
    let lease = Epoch::new(epoch.get().saturating_add(chain.lease_epochs));
    for (shard, peer) in (0..genesis.shards).map(ShardId::new).zip(&genesis.peers) {
        let leaf = ShardLeaf { lease, ..ShardLeaf::default() };
        leaves.insert(key::shard(shard), Some(leaf.to_bytes()));
        let expected = ChainId::shard(&genesis.network, shard);
        let misplaced = |found: String| GenesisError::PeerMisplaced { shard, found, expected: expected.clone() };
        let channel = Channel::new(peer.clone()).map_err(|error| misplaced(error.to_string()))?;
        if *channel.source() != expected {
            return Err(misplaced(channel.source().to_string()));
        }
        leaves.extend(channel.leaves().into_iter().map(|(key, leaf)| (key, Some(leaf))));
    }
    Ok(())
}

fn put_payouts(genesis: &Genesis, leaves: &mut Leaves) -> Result<(), GenesisError> {
    per_shard("payouts", genesis.payouts.len(), genesis.shards)?;
    let shards = (0..genesis.shards).map(|shard| (ShardId::new(shard), shard.to_string()));
    let pools = shards.zip(&genesis.payouts).chain([((FEE_POOL, "fees".to_owned()), &genesis.own_payouts)]);
    for ((pool, name), recipients) in pools {
        let leaf = PayoutLeaf::new(recipients)
            .map_err(|error| GenesisError::Payouts { pool: name, detail: error.to_string() })?;
        leaves.insert(key::payout(pool), Some(leaf.to_bytes()));
    }
    Ok(())
}

fn per_shard(what: &'static str, count: usize, shards: u32) -> Result<(), GenesisError> {
    if usize::try_from(shards).is_ok_and(|shards| shards == count) {
        return Ok(());
    }
    Err(GenesisError::PerShard { what, count, shards })
}
