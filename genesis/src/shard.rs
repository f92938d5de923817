//! The `app_state` of a shard chain's genesis: what the first state holds.
//!
//! JSON; integers that may exceed 53 bits and amounts are decimal strings, amounts in tai. The
//! fields stand here as they are in the file; [`ShardGenesis::check`] turns them into what the
//! state machine accepts.

use std::num::NonZeroU64;

use db3_primitives::{Address, BlockTime, NetworkName, PriceTable, ShardId, Tai, limits};
use serde::{Deserialize, Serialize};

use crate::GenesisError;

/// The only layout of `app_state` so far.
const FORMAT: u32 = 1;

/// What the first state of a shard chain holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardGenesis {
    /// Layout of this object; 1.
    pub format: u32,
    /// Name of the network, for example `devnet`.
    pub network: String,
    /// This chain's number among the shards, from 0.
    pub shard: u32,
    /// How many shards share the slots.
    pub shards: u32,
    /// Length of an epoch in seconds of block time.
    pub epoch_secs: u64,
    /// Last epoch in which this shard may charge.
    #[serde(with = "decimal")]
    pub lease_epoch: u64,
    /// Most accounts visited per block while a close is emitted.
    pub close_accounts_max: u32,
    /// Most seconds that an expiry may lie ahead of block time.
    pub expiry_max_secs: u64,
    /// What things cost.
    pub prices: Prices,
    /// Credit lines, each account once, in order of address.
    pub lines: Vec<Line>,
}

/// The price table, in tai.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Version of the table.
    pub version: u32,
    /// For each mutation.
    pub per_mutation_tai: String,
    /// For each byte of the signed envelope.
    pub per_byte_in_tai: String,
    /// For each operation.
    pub per_operation_tai: String,
    /// For each byte of tree key that is walked.
    pub per_key_byte_tai: String,
    /// For each byte by which the state grows.
    pub per_byte_stored_tai: String,
}

/// One account's credit on this shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The account, `0x` and 40 hex digits.
    pub account: String,
    /// The cumulative sum that the shard lets it spend.
    pub ceiling_tai: String,
}

impl ShardGenesis {
    /// A genesis with price table 1, the default limits and no end of the lease.
    #[must_use]
    pub fn new(
        network: &NetworkName,
        shard: ShardId,
        shards: u32,
        epoch_secs: NonZeroU64,
        lines: &[(Address, Tai)],
    ) -> Self {
        let mut lines = lines.to_vec();
        lines.sort_by_key(|(account, _)| *account);
        Self {
            format: FORMAT,
            network: network.as_str().to_owned(),
            shard: shard.get(),
            shards,
            epoch_secs: epoch_secs.get(),
            lease_epoch: u64::MAX,
            close_accounts_max: limits::CLOSE_ACCOUNTS_PER_BLOCK_MAX,
            expiry_max_secs: limits::EXPIRY_AHEAD_SECS_MAX,
            prices: Prices::from(&PriceTable::v1()),
            lines: lines
                .into_iter()
                .map(|(account, ceiling)| Line { account: account.to_string(), ceiling_tai: ceiling.to_string() })
                .collect(),
        }
    }

    /// The network's name, checked.
    pub fn network(&self) -> Result<NetworkName, GenesisError> {
        self.network.parse().map_err(|_| {
            GenesisError::field(
                "app_state.network",
                &self.network,
                format!("expected 1 to {} of a-z 0-9 -", limits::NETWORK_NAME_BYTES_MAX),
            )
        })
    }

    /// Checks every field and gives what the state machine starts from.
    pub fn check(&self, time: BlockTime) -> Result<db3_shard_state::Genesis, GenesisError> {
        if self.format != FORMAT {
            return Err(GenesisError::field("app_state.format", self.format, "expected 1"));
        }
        let network = self.network()?;
        let slots = u32::from(limits::SLOTS);
        if self.shards == 0 || self.shards > slots {
            return Err(GenesisError::field("app_state.shards", self.shards, format!("expected 1 to {slots}")));
        }
        if self.shard >= self.shards {
            return Err(GenesisError::field(
                "app_state.shard",
                self.shard,
                format!("expected less than app_state.shards, {}", self.shards),
            ));
        }
        let epoch_secs = NonZeroU64::new(self.epoch_secs)
            .ok_or_else(|| GenesisError::field("app_state.epoch_secs", 0, "expected at least 1 second"))?;
        if self.close_accounts_max == 0 {
            return Err(GenesisError::field("app_state.close_accounts_max", 0, "expected at least 1"));
        }
        if self.expiry_max_secs == 0 {
            return Err(GenesisError::field("app_state.expiry_max_secs", 0, "expected at least 1"));
        }
        Ok(db3_shard_state::Genesis {
            network,
            shard: ShardId::new(self.shard),
            shards: self.shards,
            epoch_secs,
            genesis_time: time,
            prices: self.prices.check()?,
            lease_epoch: self.lease_epoch,
            close_accounts_max: self.close_accounts_max,
            expiry_max_secs: self.expiry_max_secs,
            lines: self.check_lines()?,
        })
    }

    fn check_lines(&self) -> Result<Vec<(Address, Tai)>, GenesisError> {
        let mut lines: Vec<(Address, Tai)> = Vec::with_capacity(self.lines.len());
        for (at, line) in self.lines.iter().enumerate() {
            let account: Address = line
                .account
                .parse()
                .map_err(|error| GenesisError::field(format!("app_state.lines[{at}].account"), &line.account, error))?;
            let ceiling = amount(&format!("app_state.lines[{at}].ceiling_tai"), &line.ceiling_tai)?;
            if lines.last().is_some_and(|(last, _)| *last >= account) {
                return Err(GenesisError::field(
                    format!("app_state.lines[{at}].account"),
                    &line.account,
                    "expected each account once, in order of address",
                ));
            }
            lines.push((account, ceiling));
        }
        Ok(lines)
    }
}

impl Prices {
    fn check(&self) -> Result<PriceTable, GenesisError> {
        let price = |name: &str, text: &str| amount(&format!("app_state.prices.{name}"), text);
        Ok(PriceTable {
            version: self.version,
            per_mutation: price("per_mutation_tai", &self.per_mutation_tai)?,
            per_byte_in: price("per_byte_in_tai", &self.per_byte_in_tai)?,
            per_operation: price("per_operation_tai", &self.per_operation_tai)?,
            per_key_byte: price("per_key_byte_tai", &self.per_key_byte_tai)?,
            per_byte_stored: price("per_byte_stored_tai", &self.per_byte_stored_tai)?,
        })
    }
}

impl From<&PriceTable> for Prices {
    fn from(table: &PriceTable) -> Self {
        Self {
            version: table.version,
            per_mutation_tai: table.per_mutation.to_string(),
            per_byte_in_tai: table.per_byte_in.to_string(),
            per_operation_tai: table.per_operation.to_string(),
            per_key_byte_tai: table.per_key_byte.to_string(),
            per_byte_stored_tai: table.per_byte_stored.to_string(),
        }
    }
}

fn amount(field: &str, text: &str) -> Result<Tai, GenesisError> {
    text.parse().map_err(|error| GenesisError::field(field, text, error))
}

/// A `u64` as a decimal string.
mod decimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(format!("`{text}` is no whole number below 2^64")))
    }
}
