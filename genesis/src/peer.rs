//! What a chain's first state believes of another chain: the trust root that its light client begins with, and for
//! how long a header is trusted.
//!
//! A trust root names chain, height, time and validators, and never an app hash or the hash of a genesis: each of two
//! chains names the other, and a hash of either would be a circle.

use db3_carry::Peer;
use db3_light_client::{Options, TrustRoot, UnixTime};
use db3_primitives::{BlockTime, ChainId};
use serde::{Deserialize, Serialize};

use crate::{GenesisError, TrustEntry, Validator, decimal};

/// How far a header of another chain may be ahead of this one's block time, seconds.
const CLOCK_DRIFT_SECS: u64 = 30;

/// Another chain as it stands in `app_state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerEntry {
    /// Its identifier.
    pub chain_id: String,
    /// The height before its first block.
    #[serde(with = "decimal")]
    pub height: u64,
    /// A second before it begins, RFC 3339.
    pub time: String,
    /// The validators of its first block.
    pub validators: Vec<PeerValidator>,
    /// How long after its own time a header may vouch for another, seconds; 2^64 - 1 is for ever.
    #[serde(with = "decimal")]
    pub trusting_period_secs: u64,
    /// How far a header may be ahead of block time, seconds, at least 30.
    pub clock_drift_secs: u64,
}

/// A validator of another chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerValidator {
    /// Its ed25519 key, 64 hex digits.
    pub pubkey: String,
    /// Its voting power.
    #[serde(with = "decimal")]
    pub power: u64,
}

impl PeerEntry {
    /// The entry of a chain; without `trusting_period_secs` its headers are trusted for ever, which suits a network
    /// whose validators are never released.
    #[must_use]
    pub fn new(chain_id: &ChainId, trust: &TrustEntry, trusting_period_secs: Option<u64>) -> Self {
        let validator =
            |validator: &Validator| PeerValidator { pubkey: hex::encode(validator.pubkey), power: validator.power };
        Self {
            chain_id: chain_id.as_str().to_owned(),
            height: trust.height,
            time: trust.time.rfc3339(),
            validators: trust.validators.iter().map(validator).collect(),
            trusting_period_secs: trusting_period_secs.unwrap_or(u64::MAX),
            clock_drift_secs: CLOCK_DRIFT_SECS,
        }
    }

    /// What the state keeps of it. `field` is the entry's path, for the error's text; `expected` is the chain that
    /// must stand there.
    pub(crate) fn check(&self, field: &str, expected: &ChainId) -> Result<Peer, GenesisError> {
        let path = |name: &str| format!("{field}.{name}");
        if self.chain_id != expected.as_str() {
            let expected = format!("expected {} by network and order", expected.as_str());
            return Err(GenesisError::field(path("chain_id"), &self.chain_id, expected));
        }
        let time = BlockTime::parse_rfc3339(&self.time)
            .map_err(|error| GenesisError::field(path("time"), &self.time, error))?;
        let time = i64::try_from(time.secs)
            .ok()
            .and_then(|secs| UnixTime::new(secs, time.nanos))
            .ok_or_else(|| GenesisError::field(path("time"), &self.time, "expected a time before the year 10000"))?;
        let validators = self
            .validators
            .iter()
            .enumerate()
            .map(|(at, validator)| {
                let mut pubkey = [0; 32];
                hex::decode_to_slice(&validator.pubkey, &mut pubkey).map_err(|_| {
                    let expected = "expected an ed25519 key of 64 hex digits";
                    GenesisError::field(path(&format!("validators[{at}].pubkey")), &validator.pubkey, expected)
                })?;
                Ok((pubkey, validator.power))
            })
            .collect::<Result<Vec<_>, GenesisError>>()?;
        let root = TrustRoot::new(&self.chain_id, self.height, time, &validators)
            .map_err(|error| GenesisError::field(field, format!("height {}", self.height), error))?;
        let options = Options::new(self.trusting_period_secs, self.clock_drift_secs).map_err(|error| {
            let value = format!("{} s, {} s", self.trusting_period_secs, self.clock_drift_secs);
            GenesisError::field(format!("{field}.trusting_period_secs, clock_drift_secs"), value, error)
        })?;
        Ok(Peer { root, options })
    }
}
