//! The first state of either kind of chain, as it stands in the file and as the state machine takes it; and the checks
//! that both kinds share.

use std::fmt::Display;
use std::num::NonZeroU64;

use db3_primitives::{BlockTime, ChainId, NetworkName, ShardId, limits};
use serde::Serialize;

use crate::{ChainKind, GenesisError, GenesisOperator, Operator, SettlementGenesis, ShardGenesis};

/// `app_state`. The field `kind` of either says which it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AppState {
    /// Of a shard chain.
    Shard(ShardGenesis),
    /// Of the settlement chain.
    Settlement(SettlementGenesis),
}

/// What a state machine starts from, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GenesisState {
    /// A shard's.
    Shard(db3_shard_state::Genesis),
    /// The settlement chain's.
    Settlement(db3_settlement_state::Genesis),
}

impl AppState {
    /// Which kind of chain begins with it.
    #[must_use]
    pub fn kind(&self) -> ChainKind {
        match self {
            Self::Shard(_) => ChainKind::Shard,
            Self::Settlement(_) => ChainKind::Settlement,
        }
    }

    /// The network's name, checked.
    pub fn network(&self) -> Result<NetworkName, GenesisError> {
        match self {
            Self::Shard(state) => check_network(&state.network),
            Self::Settlement(state) => check_network(&state.network),
        }
    }

    /// Number of the shard; 0 for the settlement chain.
    #[must_use]
    pub fn index(&self) -> u32 {
        match self {
            Self::Shard(state) => state.shard,
            Self::Settlement(_) => 0,
        }
    }

    /// The identifier of the chain that begins with it.
    pub fn chain_id(&self) -> Result<ChainId, GenesisError> {
        let network = self.network()?;
        Ok(match self {
            Self::Shard(state) => ChainId::shard(&network, ShardId::new(state.shard)),
            Self::Settlement(_) => ChainId::settlement(&network),
        })
    }

    /// Who stands behind the validators, as the file says it; empty for a chain without governance.
    #[must_use]
    pub fn operators(&self) -> &[GenesisOperator] {
        match self {
            Self::Shard(state) => &state.operators,
            Self::Settlement(state) => &state.operators,
        }
    }

    /// Checks every field and gives what the state machine starts from. `operators` are the checked ones of
    /// [`AppState::operators`], with their validators' power.
    pub fn check(&self, time: BlockTime, operators: &[Operator]) -> Result<GenesisState, GenesisError> {
        Ok(match self {
            Self::Shard(state) => GenesisState::Shard(state.check(time, operators)?),
            Self::Settlement(state) => GenesisState::Settlement(state.check(time, operators)?),
        })
    }
}

impl From<ShardGenesis> for AppState {
    fn from(state: ShardGenesis) -> Self {
        Self::Shard(state)
    }
}

impl From<SettlementGenesis> for AppState {
    fn from(state: SettlementGenesis) -> Self {
        Self::Settlement(state)
    }
}

pub(crate) fn check_format(format: u32, expected: u32) -> Result<(), GenesisError> {
    if format == expected {
        return Ok(());
    }
    let expected = format!("expected {expected}; make the genesis with this version of the program");
    Err(GenesisError::field("app_state.format", format, expected))
}

pub(crate) fn check_network(network: &str) -> Result<NetworkName, GenesisError> {
    network.parse().map_err(|_| {
        let expected = format!("expected 1 to {} of a-z 0-9 -", limits::NETWORK_NAME_BYTES_MAX);
        GenesisError::field("app_state.network", network, expected)
    })
}

pub(crate) fn check_shards(shards: u32) -> Result<(), GenesisError> {
    check_range("shards", shards, limits::SHARDS_MAX)
}

pub(crate) fn check_epoch_secs(secs: u64) -> Result<NonZeroU64, GenesisError> {
    let (min, max) = (limits::EPOCH_SECS_MIN, limits::EPOCH_SECS_MAX);
    NonZeroU64::new(secs)
        .filter(|secs| (min..=max).contains(&secs.get()))
        .ok_or_else(|| GenesisError::field("app_state.epoch_secs", secs, format!("expected {min} to {max} seconds")))
}

/// That a field of `app_state` is 1 to `max`.
pub(crate) fn check_range<N: Into<u64> + Display + Copy>(name: &str, value: N, max: N) -> Result<(), GenesisError> {
    if (1..=max.into()).contains(&value.into()) {
        return Ok(());
    }
    Err(GenesisError::field(format!("app_state.{name}"), value, format!("expected 1 to {max}")))
}
