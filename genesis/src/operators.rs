//! Who stands behind the validators of a chain: for each of them the account that decides in governance, and the one
//! that is paid.
//!
//! ```json
//! "operators": [{ "validator": "<64 hex digits>", "operator": "0x…", "payout": "0x…" }]
//! ```
//! One entry for each validator, in the validators' order. A chain without the list has no governance.

use std::collections::BTreeMap;

use db3_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::{GenesisError, Validator};

/// A validator's operator, as it stands in `app_state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisOperator {
    /// The validator's ed25519 key, 64 hex digits.
    pub validator: String,
    /// The account that signs governance transactions with the validator's power, `0x` and 40 hex digits. One account
    /// may stand behind several validators.
    pub operator: String,
    /// The account that is paid what the validator earns.
    pub payout: String,
}

/// A validator with its operator, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The validator's ed25519 key.
    pub validator: [u8; 32],
    /// Its voting power in the first block, at least 1.
    pub power: u64,
    /// The account that signs governance transactions with that power.
    pub operator: Address,
    /// The account that is paid what the validator earns.
    pub payout: Address,
}

impl GenesisOperator {
    /// The entry of a validator.
    #[must_use]
    pub fn new(validator: &[u8; 32], operator: &Address, payout: &Address) -> Self {
        Self { validator: hex::encode(validator), operator: operator.to_string(), payout: payout.to_string() }
    }
}

impl Operator {
    /// The same, as the state keeps it.
    #[must_use]
    pub fn as_validator(&self) -> db3_governance::Validator {
        let Self { validator: key, power, operator, payout } = *self;
        db3_governance::Validator { key, power, operator, payout }
    }
}

/// The operators of these validators; none if the list is empty.
///
/// # Errors
/// The field that names another validator than the one at its place, or no account.
pub(crate) fn check(entries: &[GenesisOperator], validators: &[Validator]) -> Result<Vec<Operator>, GenesisError> {
    if !entries.is_empty() && entries.len() != validators.len() {
        let expected = format!("expected one for each of the {} validators, in their order, or none", validators.len());
        return Err(GenesisError::field("app_state.operators", format!("{} entries", entries.len()), expected));
    }
    let pairs = entries.iter().zip(validators).enumerate();
    pairs.map(|(at, (entry, validator))| entry.check(&format!("app_state.operators[{at}]"), validator)).collect()
}

/// Who is paid what validators earn, by power, each account once and in order of address.
#[must_use]
pub fn payouts(operators: &[Operator]) -> Vec<(Address, u64)> {
    let mut shares: BTreeMap<Address, u64> = BTreeMap::new();
    for operator in operators {
        let share = shares.entry(operator.payout).or_default();
        *share = share.saturating_add(operator.power);
    }
    shares.into_iter().collect()
}

impl GenesisOperator {
    fn check(&self, field: &str, validator: &Validator) -> Result<Operator, GenesisError> {
        let expected = hex::encode(validator.pubkey);
        if self.validator != expected {
            let expected = format!("expected {expected}, the validator at this place");
            return Err(GenesisError::field(format!("{field}.validator"), &self.validator, expected));
        }
        let account = |name: &str, text: &str| -> Result<Address, GenesisError> {
            let field = format!("{field}.{name}");
            let address: Address = text.parse().map_err(|error| GenesisError::field(&field, text, error))?;
            if address == Address::new([0; 20]) {
                return Err(GenesisError::field(field, text, "expected an account that somebody has the key of"));
            }
            Ok(address)
        };
        Ok(Operator {
            validator: validator.pubkey,
            power: validator.power,
            operator: account("operator", &self.operator)?,
            payout: account("payout", &self.payout)?,
        })
    }
}
