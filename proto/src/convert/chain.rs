//! A chain's parameters and the shard map.

use bytes::Bytes;
use db3_primitives::limits::SLOTS;
use db3_primitives::{ChainId, ChainLeaf, NetworkName, SettlementLeaf, ShardId, ShardMap};

use super::price::price_table_message;
use super::view::{ViewError, same};
use crate::v1;

const PARAMS: &str = "chain parameters";

/// A chain's parameters.
#[must_use]
pub fn params_message(leaf: &ChainLeaf) -> v1::Params {
    v1::Params {
        chain_id: leaf.chain_id().as_str().to_owned(),
        network: leaf.network.as_str().to_owned(),
        shard: leaf.shard.get(),
        epoch_secs: leaf.epoch_secs.get(),
        prices: Some(price_table_message(&leaf.prices)),
        lease_epoch: leaf.lease_epoch,
        expiry_max_secs: leaf.expiry_max_secs,
        block_mutations_max: leaf.block_mutations_max,
        shard_map_version: leaf.shard_map.version(),
        shards: leaf.shard_map.shards(),
        close_accounts_max: leaf.close_accounts_max,
        stored: leaf.to_bytes().into(),
        settlement: None,
    }
}

/// The leaf that the parameters' bytes hold.
pub fn checked_params(message: &v1::Params) -> Result<ChainLeaf, ViewError> {
    let leaf = ChainLeaf::from_bytes(&message.stored).map_err(ViewError::leaf(PARAMS))?;
    same(PARAMS, message, &params_message(&leaf))?;
    Ok(leaf)
}

/// Parameters of the settlement chain.
#[must_use]
pub fn settlement_params_message(leaf: &SettlementLeaf) -> v1::Params {
    v1::Params {
        chain_id: leaf.chain_id().as_str().to_owned(),
        network: leaf.network.as_str().to_owned(),
        epoch_secs: leaf.epoch_secs.get(),
        prices: Some(price_table_message(&leaf.prices)),
        expiry_max_secs: leaf.expiry_max_secs,
        shard_map_version: leaf.shard_map.version(),
        shards: leaf.shard_map.shards(),
        stored: leaf.to_bytes().into(),
        settlement: Some(v1::SettlementParams {
            factor_num: leaf.factor_num,
            factor_den: leaf.factor_den.get(),
            treasury: Bytes::copy_from_slice(leaf.treasury.as_bytes()),
            lease_epochs: leaf.lease_epochs,
            deadline_secs: leaf.deadline_secs,
            grace_epochs: leaf.grace_epochs,
            seize_epochs: leaf.seize_epochs,
            write_off_epochs: leaf.write_off_epochs,
            round_accounts_max: leaf.round_accounts_max,
        }),
        ..v1::Params::default()
    }
}

/// The leaf that the bytes of the settlement chain's parameters hold.
pub fn checked_settlement_params(message: &v1::Params) -> Result<SettlementLeaf, ViewError> {
    let leaf = SettlementLeaf::from_bytes(&message.stored).map_err(ViewError::leaf(PARAMS))?;
    same(PARAMS, message, &settlement_params_message(&leaf))?;
    Ok(leaf)
}

/// The shard map of a shard chain's parameters; `endpoints` says which nodes of a shard are known.
#[must_use]
pub fn shard_map_message(leaf: &ChainLeaf, endpoints: impl Fn(ShardId) -> Vec<String>) -> v1::GetShardMapResponse {
    shard_map_of(&leaf.network, &leaf.shard_map, endpoints)
}

/// A shard map; `endpoints` says which nodes of a shard are known. Those of the settlement chain are for the caller to add.
#[must_use]
pub fn shard_map_of(
    network: &NetworkName,
    map: &ShardMap,
    endpoints: impl Fn(ShardId) -> Vec<String>,
) -> v1::GetShardMapResponse {
    let range = |range: &db3_primitives::ShardRange| v1::ShardRange {
        first_slot: u32::from(range.first.get()),
        last_slot: u32::from(range.last.get()),
        shard: range.shard.get(),
        chain_id: ChainId::shard(network, range.shard).as_str().to_owned(),
        endpoints: endpoints(range.shard),
    };
    v1::GetShardMapResponse {
        version: map.version(),
        slots: u32::from(SLOTS),
        ranges: map.ranges().iter().map(range).collect(),
        settlement_chain_id: ChainId::settlement(network).as_str().to_owned(),
        settlement_endpoints: Vec::new(),
    }
}
