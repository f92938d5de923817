//! Where consensus stands here and at the peers, and who signed.

use serde::Deserialize;
use serde_json::{Value, json};
use tendermint_proto::v0_38::types::{BlockIdFlag, SignedHeader};

use super::{Rpc, RpcError};

#[derive(Deserialize)]
struct DumpAnswer {
    #[serde(default)]
    peers: Vec<Value>,
}

#[derive(Deserialize)]
struct CommitAnswer {
    signed_header: SignedHeader,
}

impl Rpc {
    /// The heights that the peers decide just now, as they say; of a peer that has said nothing yet there is none.
    ///
    /// # Errors
    /// It does not answer (also while it executes a block), or not so that it can be read.
    pub async fn peer_heights(&self) -> Result<Vec<u64>, RpcError> {
        let answer: DumpAnswer = self.call("dump_consensus_state", json!({})).await?;
        let height = |peer: &Value| peer.pointer("/peer_state/round_state/height")?.as_str()?.parse().ok();
        Ok(answer.peers.iter().filter_map(height).filter(|height| *height > 0).collect())
    }

    /// Whether a validator, by its address, signed the block of a height, as far as this node's commit of it tells.
    ///
    /// # Errors
    /// There is no such block here, or no readable answer.
    pub async fn has_signed(&self, height: u64, address: &str) -> Result<bool, RpcError> {
        let answer: CommitAnswer = self.call("commit", json!({"height": height.to_string()})).await?;
        let signatures = answer.signed_header.commit.map(|commit| commit.signatures).unwrap_or_default();
        Ok(signatures.iter().any(|signature| {
            signature.block_id_flag == BlockIdFlag::Commit as i32
                && hex::encode(&signature.validator_address).eq_ignore_ascii_case(address)
        }))
    }
}
