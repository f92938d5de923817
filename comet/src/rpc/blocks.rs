//! Blocks, headers with their commits, and validators.

use db3_light_client::ValidatorSet;
use db3_light_client::build::light_block_bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tendermint::block::signed_header::SignedHeader;
use tendermint::validator;
use tendermint_proto::v0_38::types::{Block, ConsensusParams, SignedHeader as RawSignedHeader};

use super::{Rpc, RpcError};
use crate::limits::VALIDATORS_PER_PAGE;

#[derive(Deserialize)]
struct CommitAnswer {
    signed_header: RawSignedHeader,
}

#[derive(Deserialize)]
struct BlockAnswer {
    block: Option<Block>,
}

#[derive(Deserialize)]
struct ValidatorsAnswer {
    validators: Vec<validator::Info>,
    total: String,
}

#[derive(Deserialize)]
struct ParamsAnswer {
    consensus_params: Value,
}

impl Rpc {
    /// `tendermint.types.LightBlock` of a height, in the one encoding that light clients take: header, commit and
    /// validators (without the proposer's priorities, which no header names). The newest height's commit is the one
    /// that this node saw, which may have fewer signatures than the one in the next block.
    ///
    /// # Errors
    /// There is no such block here, or no readable answer.
    pub async fn light_block(&self, height: u64) -> Result<Vec<u8>, RpcError> {
        let answer: CommitAnswer = self.call("commit", json!({"height": height.to_string()})).await?;
        let signed = SignedHeader::try_from(answer.signed_header)
            .map_err(|error| RpcError::malformed("commit", error.detail()))?;
        let members: Vec<_> = self.validators(height).await?.iter().filter_map(member).collect();
        let set = ValidatorSet::new(&members).map_err(|error| RpcError::malformed("validators", error))?;
        Ok(light_block_bytes(&signed.header, &signed.commit, &set))
    }

    /// The validators of a height in their order, with their priorities as proposers.
    ///
    /// # Errors
    /// They are not known here, or no readable answer.
    pub async fn validators(&self, height: u64) -> Result<Vec<validator::Info>, RpcError> {
        let mut found: Vec<validator::Info> = Vec::new();
        for page in 1_u32.. {
            let params = json!({"height": height.to_string(), "page": page.to_string(), "per_page": VALIDATORS_PER_PAGE.to_string()});
            let mut answer: ValidatorsAnswer = self.call("validators", params).await?;
            let total: usize = answer.total.parse().map_err(|_| RpcError::malformed("validators", "no total"))?;
            let last = answer.validators.is_empty();
            found.append(&mut answer.validators);
            if last || found.len() >= total {
                break;
            }
        }
        Ok(found)
    }

    /// The block of a height.
    ///
    /// # Errors
    /// There is no such block here, or no readable answer.
    pub async fn block(&self, height: u64) -> Result<Block, RpcError> {
        let answer: BlockAnswer = self.call("block", json!({"height": height.to_string()})).await?;
        answer.block.ok_or_else(|| RpcError::Refused {
            method: "block".to_owned(),
            code: 0,
            detail: format!("height {height} is not here"),
        })
    }

    /// The consensus parameters of a height.
    ///
    /// # Errors
    /// They are not known here, or no readable answer.
    pub async fn consensus_params(&self, height: u64) -> Result<ConsensusParams, RpcError> {
        let params = json!({"height": height.to_string()});
        let answer: ParamsAnswer = self.call("consensus_params", params).await?;
        crate::state_sync::params_of_json(&answer.consensus_params)
            .map_err(|error| RpcError::malformed("consensus_params", error))
    }
}

fn member(info: &validator::Info) -> Option<([u8; 32], u64)> {
    let key = info.pub_key.ed25519()?;
    Some((key.as_bytes().try_into().ok()?, info.power.value()))
}
