//! What stands in the TOML files, before it is checked. A name that is unknown is refused.

use std::path::Path;

use db3_genesis::{CreditRules, Prices};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::NetworkError;

/// The only layout of these files so far.
pub const FORMAT: u32 = 1;

/// `plan.toml`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPlan {
    pub format: u32,
    pub network: String,
    pub shards: u32,
    pub epoch_secs: u64,
    pub time: String,
    pub trusting_period_secs: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treasury: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<RawFunded>,
    pub credit: CreditRules,
    pub prices: Prices,
}

/// An account of the plan.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFunded {
    pub address: String,
    pub balance_tai: String,
    pub credit_tai: String,
}

/// A validator's public file; with `power`, its entry among the validators.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawValidator {
    pub format: u32,
    pub network: String,
    pub shards: u32,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<u64>,
    pub operator: String,
    pub payout: String,
    pub chains: Vec<RawChain>,
}

/// One chain of a validator.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawChain {
    pub chain_id: String,
    pub pubkey: String,
    pub node_id: String,
    pub p2p: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// `validators.toml` of a genesis folder.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRoster {
    pub validators: Vec<RawValidator>,
}

/// Reads TOML; `file` is for the error's text.
pub fn parse<T: DeserializeOwned>(text: &str, file: &str) -> Result<T, NetworkError> {
    toml::from_str(text)
        .map_err(|error| NetworkError::Malformed { file: file.to_owned(), detail: error.to_string().trim().to_owned() })
}

/// A file's text.
pub fn read(path: &Path) -> Result<String, NetworkError> {
    std::fs::read_to_string(path).map_err(NetworkError::file(path))
}

/// The text of a file that begins with a comment.
pub fn text<T: Serialize>(comment: &str, value: &T, file: &str) -> Result<String, NetworkError> {
    let body = toml::to_string(value)
        .map_err(|error| NetworkError::Malformed { file: file.to_owned(), detail: error.to_string() })?;
    Ok(format!("{comment}\n{body}"))
}

/// That a file has the layout that this program knows.
pub fn check_format(file: &str, format: u32) -> Result<(), NetworkError> {
    if format == FORMAT {
        return Ok(());
    }
    let expected = format!("expected {FORMAT}; use the version of db3-genesis that made the file");
    Err(NetworkError::field(file, "format", format, expected))
}
