//! Blocks, headers with their commits, and validators.

use db3_light_client::ValidatorSet;
use db3_light_client::build::light_block_bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tendermint::PublicKey;
use tendermint::block::signed_header::SignedHeader;
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
    validators: Vec<ValidatorAnswer>,
    total: String,
}

/// (`tendermint::validator::Info` reads no priority.)
#[derive(Deserialize)]
struct ValidatorAnswer {
    pub_key: PublicKey,
    voting_power: String,
    proposer_priority: String,
}

/// A validator of a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeightValidator {
    /// Its ed25519 key.
    pub key: [u8; 32],
    /// Its power.
    pub power: u64,
    /// Its priority as proposer: whose is the highest proposes next.
    pub priority: i64,
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
        let validators = self.validators(height).await?;
        let members: Vec<_> = validators.iter().map(|validator| (validator.key, validator.power)).collect();
        let set = ValidatorSet::new(&members).map_err(|error| RpcError::malformed("validators", error))?;
        Ok(light_block_bytes(&signed.header, &signed.commit, &set))
    }

    /// The validators of a height in their order, with their priorities as proposers.
    ///
    /// # Errors
    /// They are not known here, or no readable answer.
    pub async fn validators(&self, height: u64) -> Result<Vec<HeightValidator>, RpcError> {
        let mut found = Vec::new();
        for page in 1_u32.. {
            let params = json!({"height": height.to_string(), "page": page.to_string(), "per_page": VALIDATORS_PER_PAGE.to_string()});
            let answer: ValidatorsAnswer = self.call("validators", params).await?;
            let total: usize = answer.total.parse().map_err(|_| RpcError::malformed("validators", "no total"))?;
            let last = answer.validators.is_empty();
            for validator in &answer.validators {
                found.push(validator.read()?);
            }
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

impl ValidatorAnswer {
    fn read(&self) -> Result<HeightValidator, RpcError> {
        let malformed = |text: &str| RpcError::malformed("validators", format!("{text} is no number"));
        let key = self.pub_key.ed25519().and_then(|key| key.as_bytes().try_into().ok());
        Ok(HeightValidator {
            key: key.ok_or_else(|| RpcError::malformed("validators", "a key is no ed25519 key"))?,
            power: self.voting_power.parse().map_err(|_| malformed(&self.voting_power))?,
            priority: self.proposer_priority.parse().map_err(|_| malformed(&self.proposer_priority))?,
        })
    }
}
