//! How far it is, and whom it is connected with.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;

use super::{Rpc, RpcError};

/// How far a `CometBFT` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Height of its newest block; 0 before the first.
    pub height: u64,
    /// Height of the oldest block that it keeps; 0 before the first.
    pub base: u64,
    /// Whether it fetches blocks or a snapshot from others, and takes no part in consensus yet.
    pub catching_up: bool,
    /// Its name among peers, 40 hex digits.
    pub node_id: String,
    /// Address of the key that it signs with, 40 hex digits.
    pub address: String,
    /// Its voting power at that height; 0 for a node that is no validator.
    pub power: u64,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "as the RPC names them")]
struct StatusAnswer {
    node_info: NodeInfo,
    sync_info: SyncInfo,
    validator_info: ValidatorInfo,
}

#[derive(Deserialize)]
struct NodeInfo {
    id: String,
}

#[derive(Deserialize)]
struct SyncInfo {
    latest_block_height: String,
    earliest_block_height: String,
    catching_up: bool,
}

#[derive(Deserialize)]
struct ValidatorInfo {
    address: String,
    voting_power: String,
}

#[derive(Deserialize)]
struct Blockchain {
    last_height: String,
}

#[derive(Deserialize)]
struct NetInfo {
    #[serde(default)]
    peers: Vec<Peer>,
}

#[derive(Deserialize)]
struct Peer {
    node_info: NodeInfo,
}

impl Rpc {
    /// How far it is.
    ///
    /// # Errors
    /// It does not answer, or not so that it can be read.
    pub async fn status(&self) -> Result<Status, RpcError> {
        let answer: StatusAnswer = self.call("status", json!({})).await?;
        let number =
            |text: &str| text.parse().map_err(|_| RpcError::malformed("status", format!("{text} is no height")));
        Ok(Status {
            height: number(&answer.sync_info.latest_block_height)?,
            base: number(&answer.sync_info.earliest_block_height)?,
            catching_up: answer.sync_info.catching_up,
            node_id: answer.node_info.id,
            address: answer.validator_info.address,
            power: number(&answer.validator_info.voting_power)?,
        })
    }

    /// Height of the newest block; also of a `CometBFT` that makes none and only shows what it has stored.
    ///
    /// # Errors
    /// It does not answer, not so that it can be read, or it has no block.
    pub async fn newest_stored(&self) -> Result<u64, RpcError> {
        // The newest heights, if none are named.
        let answer: Blockchain = self.call("blockchain", json!({"minHeight": "0", "maxHeight": "0"})).await?;
        let height = answer.last_height;
        height.parse().map_err(|_| RpcError::malformed("blockchain", format!("{height} is no height")))
    }

    /// The names of the peers that it is connected with, 40 hex digits each.
    ///
    /// # Errors
    /// It does not answer, or not so that it can be read.
    pub async fn net_info(&self) -> Result<BTreeSet<String>, RpcError> {
        let answer: NetInfo = self.call("net_info", json!({})).await?;
        Ok(answer.peers.into_iter().map(|peer| peer.node_info.id).collect())
    }

    /// Has it connect with peers (`id@host:port`) that it is not connected with.
    ///
    /// # Errors
    /// It does not answer, or is connecting with others just now.
    pub async fn dial_peers(&self, peers: &[String]) -> Result<(), RpcError> {
        let params = json!({"peers": peers, "persistent": true, "unconditional": false, "private": false});
        self.call::<serde_json::Value>("dial_peers", params).await.map(|_| ())
    }
}
