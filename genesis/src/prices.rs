//! The price table as it stands in `app_state`: amounts in tai, as decimal strings.

use db3_primitives::{PriceTable, Tai};
use serde::{Deserialize, Serialize};

use crate::GenesisError;

/// The price table, in tai.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Version of the table.
    pub version: u32,
    /// For each mutation or transaction.
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

impl Prices {
    /// The table, checked.
    pub(crate) fn check(&self) -> Result<PriceTable, GenesisError> {
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

/// An amount in tai; `field` is for the error's text.
pub(crate) fn amount(field: &str, text: &str) -> Result<Tai, GenesisError> {
    text.parse().map_err(|error| GenesisError::field(field, text, error))
}
