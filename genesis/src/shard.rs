//! The `app_state` of a shard chain's genesis: what the first state holds.
//!
//! JSON; integers that may exceed 53 bits and amounts are decimal strings, amounts in tai. The fields stand here as
//! they are in the file; [`ShardGenesis::check`] turns them into what the state machine accepts. There are no credit
//! lines: they arrive from the settlement chain, which is why it is named here.

use std::num::NonZeroU64;

use db3_primitives::{BlockTime, ChainId, NetworkName, PriceTable, ShardId, limits};
use serde::{Deserialize, Serialize};

use crate::{GenesisError, GenesisOperator, Operator, PeerEntry, Prices, app_state};

/// The only layout of `app_state` so far.
const FORMAT: u32 = 2;

/// The word `shard`, which tells this `app_state` from a settlement chain's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShardKind {
    /// The only value.
    #[serde(rename = "shard")]
    Shard,
}

/// What the first state of a shard chain holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardGenesis {
    /// `shard`.
    pub kind: ShardKind,
    /// Layout of this object; 2.
    pub format: u32,
    /// Name of the network, for example `devnet`.
    pub network: String,
    /// This chain's number among the shards, from 0.
    pub shard: u32,
    /// How many shards share the slots.
    pub shards: u32,
    /// Length of an epoch in seconds of block time.
    pub epoch_secs: u64,
    /// Most accounts visited per block while a close is emitted.
    pub close_accounts_max: u32,
    /// Most seconds that an expiry may lie ahead of block time.
    pub expiry_max_secs: u64,
    /// What things cost.
    pub prices: Prices,
    /// The chains that this one hears from: the settlement chain alone.
    pub peers: Vec<PeerEntry>,
    /// Who stands behind each validator, in the validators' order; empty for a chain without governance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<GenesisOperator>,
}

impl ShardGenesis {
    /// A genesis with price table 1, the default limits and no operators.
    #[must_use]
    pub fn new(
        network: &NetworkName,
        shard: ShardId,
        shards: u32,
        epoch_secs: NonZeroU64,
        settlement: PeerEntry,
    ) -> Self {
        Self {
            kind: ShardKind::Shard,
            format: FORMAT,
            network: network.as_str().to_owned(),
            shard: shard.get(),
            shards,
            epoch_secs: epoch_secs.get(),
            close_accounts_max: limits::CLOSE_ACCOUNTS_PER_BLOCK_MAX,
            expiry_max_secs: limits::EXPIRY_AHEAD_SECS_MAX,
            prices: Prices::from(&PriceTable::v1()),
            peers: vec![settlement],
            operators: Vec::new(),
        }
    }

    /// Checks every field and gives what the state machine starts from. `operators` are the checked ones.
    pub fn check(&self, time: BlockTime, operators: &[Operator]) -> Result<db3_shard_state::Genesis, GenesisError> {
        app_state::check_format(self.format, FORMAT)?;
        let network = app_state::check_network(&self.network)?;
        app_state::check_shards(self.shards)?;
        if self.shard >= self.shards {
            return Err(GenesisError::field(
                "app_state.shard",
                self.shard,
                format!("expected less than app_state.shards, {}", self.shards),
            ));
        }
        let epoch_secs = app_state::check_epoch_secs(self.epoch_secs)?;
        app_state::check_range("close_accounts_max", self.close_accounts_max, limits::CLOSE_ACCOUNTS_PER_BLOCK_MAX)?;
        app_state::check_range("expiry_max_secs", self.expiry_max_secs, u64::MAX)?;
        let settlement = match self.peers.as_slice() {
            [settlement] => settlement.check("app_state.peers[0]", &ChainId::settlement(&network))?,
            peers => {
                let expected = "expected one entry, the settlement chain";
                return Err(GenesisError::field("app_state.peers", format!("{} entries", peers.len()), expected));
            }
        };
        Ok(db3_shard_state::Genesis {
            network,
            shard: ShardId::new(self.shard),
            shards: self.shards,
            epoch_secs,
            genesis_time: time,
            prices: self.prices.check()?,
            close_accounts_max: self.close_accounts_max,
            expiry_max_secs: self.expiry_max_secs,
            settlement,
            validators: operators.iter().map(Operator::as_validator).collect(),
        })
    }
}
