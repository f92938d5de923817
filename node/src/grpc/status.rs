//! `GetStatus`, `GetParams` and `GetShardMap`.

use bytes::Bytes;
use db3_primitives::{ChainId, Height, ShardId, key};
use db3_proto::convert::timestamp;
use db3_proto::v1;
use tokio::time::Instant;

use super::Node;
use super::refusal::Refusal;
use crate::kind::Kind;

impl<K: Kind> Node<K> {
    pub(crate) async fn get_status(&self) -> Result<v1::GetStatusResponse, Refusal> {
        let chain = self.chain.clone();
        let status = self.read(move |_| chain.status()).await?;
        let version = self.chain.committed();
        let state = &version.state;
        Ok(v1::GetStatusResponse {
            chain_id: self.chain_id.to_string(),
            network: K::network(state).as_str().to_owned(),
            shard: K::shard(state).map(ShardId::get),
            height: status.height.get(),
            block_time: Some(timestamp(status.block_time)),
            root: Bytes::copy_from_slice(&status.root),
            provable_height: status.provable_height.get(),
            earliest_height: status.earliest_height.get(),
            block_hash: status.block_hash.map(|hash| Bytes::copy_from_slice(&hash)).unwrap_or_default(),
            history_from_height: status.history_from_height.map_or(0, Height::get),
            open_epoch: status.open_epoch.get(),
            state_leaves: status.state_leaves,
            pool_mutations: status.pool_mutations,
            pool_bytes: status.pool_bytes,
            node_version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: status.engine.to_owned(),
            ready: status.ready && !*self.stopped.borrow(),
            snapshot_height: status.snapshot_height.get(),
            consensus: status.consensus.state.name().to_owned(),
            catching_up: status.consensus.catching_up,
            peers: status.consensus.peers,
        })
    }

    pub(crate) async fn get_params(
        &self,
        request: v1::GetParamsRequest,
        deadline: Instant,
    ) -> Result<v1::GetParamsResponse, Refusal> {
        let view = self.view(request.read, None, deadline).await?;
        Ok(v1::GetParamsResponse {
            params: Some(K::params(view.state())),
            ics23_proof: view.proof_of(&key::chain()),
            context: Some(view.context()),
        })
    }

    pub(crate) fn get_shard_map(&self) -> v1::GetShardMapResponse {
        let version = self.chain.committed();
        let settlement = ChainId::settlement(K::network(&version.state));
        v1::GetShardMapResponse {
            settlement_endpoints: self.endpoints_of(&settlement),
            ..K::shard_map(&version.state, |chain_id| self.endpoints_of(chain_id))
        }
    }
}
