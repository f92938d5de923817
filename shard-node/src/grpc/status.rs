//! `GetStatus` and `GetShardMap`.

use bytes::Bytes;
use db3_proto::convert::{shard_map_message, timestamp};
use db3_proto::v1;

use super::Node;
use super::refusal::Refusal;

impl Node {
    pub(super) async fn get_status(&self) -> Result<v1::GetStatusResponse, Refusal> {
        let chain = self.chain.clone();
        let status = self.read(move |_| chain.status()).await?;
        let version = self.chain.committed();
        let params = version.state.chain();
        Ok(v1::GetStatusResponse {
            chain_id: self.chain_id.to_string(),
            network: params.network.as_str().to_owned(),
            shard: Some(params.shard.get()),
            height: status.height.get(),
            block_time: Some(timestamp(status.block_time)),
            root: Bytes::copy_from_slice(&status.root),
            provable_height: status.provable_height.get(),
            earliest_height: status.earliest_height.get(),
            open_epoch: status.open_epoch.get(),
            state_leaves: status.state_leaves,
            pool_mutations: status.pool_mutations,
            pool_bytes: status.pool_bytes,
            node_version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: status.engine.to_owned(),
            ready: status.ready && !*self.stopped.borrow(),
            snapshot_height: status.snapshot_height.get(),
        })
    }

    pub(super) fn get_shard_map(&self) -> v1::GetShardMapResponse {
        let version = self.chain.committed();
        shard_map_message(version.state.chain(), |shard| self.endpoints_of(shard))
    }
}
