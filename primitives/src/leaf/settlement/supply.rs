//! Leaf of the money as a whole, 49 bytes: format 1 (1) ‖ supply (16) ‖ fee pool (16) ‖ fee income (16).

use crate::Tai;
use crate::decode::{DecodeError, Reader};
use crate::leaf::FORMAT;

/// All money there is, and what the settlement chain itself has earned (rule I5: the supply never changes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SupplyLeaf {
    /// Balances, collaterals and pools together.
    pub supply: Tai,
    /// Fees of transactions that are not yet paid out to the settlement chain's validators.
    pub fee_pool: Tai,
    /// All fees of transactions ever.
    pub fee_income: Tai,
}

impl SupplyLeaf {
    /// Bytes of the encoding.
    pub const BYTES: usize = 49;

    /// The 49-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [[FORMAT].as_slice(), &self.supply.to_be_bytes(), &self.fee_pool.to_be_bytes(), &self.fee_income.to_be_bytes()]
            .concat()
    }

    /// Reads the 49-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("supply", bytes);
        reader.format(FORMAT)?;
        let leaf = Self { supply: reader.tai()?, fee_pool: reader.tai()?, fee_income: reader.tai()? };
        if leaf.fee_pool > leaf.fee_income || leaf.fee_pool > leaf.supply {
            return Err(reader.invalid("fee_pool"));
        }
        reader.end()?;
        Ok(leaf)
    }
}
