//! Light blocks and parameters in the JSON that `CometBFT`'s RPC writes: numbers of 64 bits as texts, hashes in upper-case
//! hex, signatures and keys in base64.

use prost::Message as _;
use serde_json::{Value, json};
use tendermint_proto::google::protobuf::Duration;
use tendermint_proto::v0_38::types::{
    AbciParams, BlockParams, ConsensusParams, EvidenceParams, LightBlock, ValidatorParams, VersionParams,
};

use super::source::SyncBlock;
use crate::limits::VALIDATORS_PER_PAGE;

/// The height of a light block.
pub(super) fn height_of(block: &LightBlock) -> Option<i64> {
    Some(block.signed_header.as_ref()?.header.as_ref()?.height)
}

pub(super) fn decode(block: &SyncBlock) -> Result<LightBlock, String> {
    let mut decoded = LightBlock::decode(block.light_block.as_slice()).map_err(|error| error.to_string())?;
    if let Some(set) = &mut decoded.validator_set {
        if set.validators.len() != block.priorities.len() {
            return Err(format!("{} priorities for {} validators", block.priorities.len(), set.validators.len()));
        }
        for (validator, priority) in set.validators.iter_mut().zip(&block.priorities) {
            validator.proposer_priority = *priority;
        }
    }
    Ok(decoded)
}

/// Whether anybody of several has a priority as proposer; one alone needs none.
pub(super) fn has_priorities(block: &LightBlock) -> bool {
    let validators = block.validator_set.as_ref().map_or(&[][..], |set| &set.validators);
    validators.len() < 2 || validators.iter().any(|validator| validator.proposer_priority != 0)
}

/// The answer to `commit`.
pub(super) fn commit(block: &LightBlock) -> Result<Value, String> {
    let signed = block.signed_header.as_ref().ok_or("no signed header")?;
    let signed = serde_json::to_value(signed).map_err(|error| error.to_string())?;
    Ok(json!({"signed_header": signed, "canonical": true}))
}

/// The answer to `validators`: one page of them.
pub(super) fn validators(block: &LightBlock, page: usize, per_page: usize) -> Result<Value, String> {
    let set = block.validator_set.as_ref().ok_or("no validators")?;
    let per_page = per_page.clamp(1, VALIDATORS_PER_PAGE);
    let skip = page.saturating_sub(1).saturating_mul(per_page);
    let total = set.validators.len();
    if skip >= total {
        return Err(format!("page {page} is not there"));
    }
    let page: Vec<_> = set.validators.iter().skip(skip).take(per_page).collect();
    let validators = serde_json::to_value(&page).map_err(|error| error.to_string())?;
    let height = height_of(block).ok_or("no header")?;
    Ok(json!({
        "block_height": height.to_string(),
        "validators": validators,
        "count": page.len().to_string(),
        "total": total.to_string(),
    }))
}

/// The answer to `consensus_params`.
pub(super) fn consensus_params(height: u64, params: &ConsensusParams) -> Value {
    let block = params.block.unwrap_or_default();
    let evidence = params.evidence.unwrap_or_default();
    let age = evidence.max_age_duration.unwrap_or_default();
    let nanos = i128::from(age.seconds).saturating_mul(1_000_000_000).saturating_add(age.nanos.into());
    json!({
        "block_height": height.to_string(),
        "consensus_params": {
            "block": {"max_bytes": block.max_bytes.to_string(), "max_gas": block.max_gas.to_string()},
            "evidence": {
                "max_age_num_blocks": evidence.max_age_num_blocks.to_string(),
                "max_age_duration": nanos.to_string(),
                "max_bytes": evidence.max_bytes.to_string(),
            },
            "validator": {"pub_key_types": params.validator.clone().unwrap_or_default().pub_key_types},
            "version": {"app": params.version.unwrap_or_default().app.to_string()},
            "abci": {
                "vote_extensions_enable_height":
                    params.abci.unwrap_or_default().vote_extensions_enable_height.to_string(),
            },
        },
    })
}

/// The consensus parameters of a genesis, as `CometBFT` reads it.
///
/// # Errors
/// It is no genesis; the text says what is missing.
pub fn params_of_genesis(genesis: &str) -> Result<ConsensusParams, String> {
    let genesis: Value = serde_json::from_str(genesis).map_err(|error| error.to_string())?;
    params_of_json(genesis.get("consensus_params").ok_or("consensus_params is missing")?)
}

/// Parameters from the JSON of the RPC or of a genesis.
pub(crate) fn params_of_json(value: &Value) -> Result<ConsensusParams, String> {
    let number = |path: &str| -> Result<i64, String> {
        let text = value.pointer(path).and_then(Value::as_str).ok_or_else(|| format!("{path} is missing"))?;
        text.parse().map_err(|_| format!("{path} is {text}, which is no number"))
    };
    let optional = |path: &str| if value.pointer(path).is_some() { number(path) } else { Ok(0) };
    let age = number("/evidence/max_age_duration")?;
    let types = value.pointer("/validator/pub_key_types").and_then(Value::as_array);
    let types = types.ok_or("/validator/pub_key_types is missing")?;
    let app = optional("/version/app")?;
    Ok(ConsensusParams {
        block: Some(BlockParams { max_bytes: number("/block/max_bytes")?, max_gas: number("/block/max_gas")? }),
        evidence: Some(EvidenceParams {
            max_age_num_blocks: number("/evidence/max_age_num_blocks")?,
            max_age_duration: Some(Duration {
                seconds: age.div_euclid(1_000_000_000),
                nanos: i32::try_from(age.rem_euclid(1_000_000_000)).unwrap_or_default(),
            }),
            max_bytes: number("/evidence/max_bytes")?,
        }),
        validator: Some(ValidatorParams {
            pub_key_types: types.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        }),
        version: Some(VersionParams { app: u64::try_from(app).map_err(|_| "/version/app is negative".to_owned())? }),
        abci: Some(AbciParams { vote_extensions_enable_height: optional("/abci/vote_extensions_enable_height")? }),
    })
}
