//! `db3 status`: where the network's chains stand.

use db3_proto::convert::block_time;

use super::bill::shards;
use super::failure::Failure;
use super::session::Session;
use super::value::{Object, Value};
use crate::Client;

/// `db3 status`
pub async fn status(session: &Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let mut list = session.output.list(&[
        "chain_id",
        "state",
        "height",
        "block_time",
        "verified_height",
        "open_epoch",
        "state_leaves",
        "pool_mutations",
        "engine",
        "endpoint",
    ]);
    let mut failure = None;
    for shard in shards(&client, None)? {
        match row(&client, shard).await {
            Ok(object) => list.push(&object)?,
            Err(error) => {
                let chain_id = client.network().shard(shard.into()).map(|entry| entry.chain_id.to_string());
                list.push(
                    &Object::new()
                        .with("chain_id", chain_id.unwrap_or_default())
                        .with("state", "unreachable")
                        .with("endpoint", client.endpoint(shard)?),
                )?;
                failure.get_or_insert(error);
            }
        }
    }
    list.finish("no shards")?;
    failure.map_or(Ok(()), |error| Err(error.into()))
}

async fn row(client: &Client, shard: u32) -> Result<Object, crate::ClientError> {
    let status = client.status(shard).await?;
    // A verified read also brings the newest header in.
    let params = client.params(shard).await?;
    Ok(Object::new()
        .with("chain_id", status.chain_id.as_str())
        .with("state", if status.ready { "ready" } else { "starting" })
        .with("height", status.height)
        .with_some("block_time", status.block_time.as_ref().and_then(block_time))
        .with("root", super::render::hex(&status.root))
        .with("provable_height", status.provable_height)
        .with("verified_height", client.verified_height(shard)?)
        .with("verified", params.at.verified)
        .with("open_epoch", status.open_epoch)
        .with("lease_epoch", Value::Until(params.value.lease_epoch))
        .with("state_leaves", status.state_leaves)
        .with("pool_mutations", status.pool_mutations)
        .with("snapshot_height", status.snapshot_height)
        .with("engine", status.engine.as_str())
        .with("node_version", status.node_version.as_str())
        .with("endpoint", client.endpoint(shard)?))
}
