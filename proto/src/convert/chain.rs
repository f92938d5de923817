//! A chain's parameters and the shard map.

use db3_primitives::limits::SLOTS;
use db3_primitives::{ChainId, ChainLeaf, ShardId};

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

/// The shard map; `endpoints` says which nodes of a shard are known.
#[must_use]
pub fn shard_map_message(leaf: &ChainLeaf, endpoints: impl Fn(ShardId) -> Vec<String>) -> v1::GetShardMapResponse {
    let range = |range: &db3_primitives::ShardRange| v1::ShardRange {
        first_slot: u32::from(range.first.get()),
        last_slot: u32::from(range.last.get()),
        shard: range.shard.get(),
        chain_id: ChainId::shard(&leaf.network, range.shard).as_str().to_owned(),
        endpoints: endpoints(range.shard),
    };
    v1::GetShardMapResponse {
        version: leaf.shard_map.version(),
        slots: u32::from(SLOTS),
        ranges: leaf.shard_map.ranges().iter().map(range).collect(),
    }
}
