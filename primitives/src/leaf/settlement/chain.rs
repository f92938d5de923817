//! Leaf of the settlement chain's parameters, 226 bytes: format 1 (1) ‖ length of the network's name (1) ‖ the name, padded
//! with zeros (32) ‖ epoch seconds (8) ‖ price table (84) ‖ shard map (12) ‖ expiry seconds (8) ‖ factor's numerator (8) ‖
//! factor's denominator (8) ‖ treasury (20) ‖ lease epochs (8) ‖ deadline seconds (8) ‖ grace epochs (8) ‖ seize epochs
//! (8) ‖ write-off epochs (8) ‖ lines per block of a round (4).

use std::num::NonZeroU64;

use crate::decode::{DecodeError, Reader};
use crate::leaf::FORMAT;
use crate::leaf::chain::{network_bytes, read_network};
use crate::limits::{EPOCH_SECS_MAX, EPOCH_SECS_MIN, FACTOR_MAX, ROUND_ACCOUNTS_PER_BLOCK_MAX};
use crate::{Address, ChainId, NetworkName, PriceTable, ShardMap, Tai};

/// The parameters of the settlement chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementLeaf {
    /// The network.
    pub network: NetworkName,
    /// How long an epoch is.
    pub epoch_secs: NonZeroU64,
    /// What a transaction costs.
    pub prices: PriceTable,
    /// Which shard holds which slot; it has as many shards as the network.
    pub shard_map: ShardMap,
    /// Furthest expiry of a transaction after the block's time.
    pub expiry_max_secs: u64,
    /// How much credit one tai of collateral gives: the numerator, ≤ [`FACTOR_MAX`].
    pub factor_num: u64,
    /// Its denominator, ≤ [`FACTOR_MAX`].
    pub factor_den: NonZeroU64,
    /// Who gets what the division of a pool leaves over.
    pub treasury: Address,
    /// How many epochs after that of the block's time a heartbeat lets a shard charge.
    pub lease_epochs: u64,
    /// How long after an epoch's end its round waits for the closes of all shards.
    pub deadline_secs: u64,
    /// How many epochs something may be outstanding before the account is delinquent.
    pub grace_epochs: u64,
    /// How many epochs after it became outstanding collateral pays; ≥ `grace_epochs`.
    pub seize_epochs: u64,
    /// How many epochs after it became outstanding the rest is written off; ≥ `seize_epochs`.
    pub write_off_epochs: u64,
    /// How many lines one block visits during a round, ≤ [`ROUND_ACCOUNTS_PER_BLOCK_MAX`].
    pub round_accounts_max: u32,
}

impl SettlementLeaf {
    /// Bytes of the encoding.
    pub const BYTES: usize = 226;

    /// The chain's id.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        ChainId::settlement(&self.network)
    }

    /// limit = ⌊factor · collateral⌋ + trust; what no amount holds counts as the largest.
    #[must_use]
    pub fn limit(&self, collateral: Tai, trust: Tai) -> Tai {
        let product = collateral.checked_mul(self.factor_num).unwrap_or(Tai::MAX).get();
        let credit = product.checked_div(u128::from(self.factor_den.get())).unwrap_or(0);
        Tai::new(credit.saturating_add(trust.get()))
    }

    /// The 226-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [
            [FORMAT].as_slice(),
            &network_bytes(&self.network),
            &self.epoch_secs.get().to_be_bytes(),
            &self.prices.to_bytes(),
            &self.shard_map.to_bytes(),
            &self.expiry_max_secs.to_be_bytes(),
            &self.factor_num.to_be_bytes(),
            &self.factor_den.get().to_be_bytes(),
            self.treasury.as_bytes(),
            &self.lease_epochs.to_be_bytes(),
            &self.deadline_secs.to_be_bytes(),
            &self.grace_epochs.to_be_bytes(),
            &self.seize_epochs.to_be_bytes(),
            &self.write_off_epochs.to_be_bytes(),
            &self.round_accounts_max.to_be_bytes(),
        ]
        .concat()
    }

    /// Reads the 226-byte encoding; parameters that no chain can have are refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("settlement parameters", bytes);
        reader.format(FORMAT)?;
        let leaf = Self {
            network: read_network(&mut reader)?,
            epoch_secs: {
                let secs = reader.u64()?;
                NonZeroU64::new(secs).ok_or_else(|| reader.invalid("epoch_secs"))?
            },
            prices: PriceTable::read(&mut reader)?,
            shard_map: ShardMap::read(&mut reader)?,
            expiry_max_secs: reader.u64()?,
            factor_num: reader.u64()?,
            factor_den: {
                let den = reader.u64()?;
                NonZeroU64::new(den).ok_or_else(|| reader.invalid("factor_den"))?
            },
            treasury: reader.address()?,
            lease_epochs: reader.u64()?,
            deadline_secs: reader.u64()?,
            grace_epochs: reader.u64()?,
            seize_epochs: reader.u64()?,
            write_off_epochs: reader.u64()?,
            round_accounts_max: reader.u32()?,
        };
        leaf.check().map_err(|field| reader.invalid(field))?;
        reader.end()?;
        Ok(leaf)
    }

    /// The field that holds what no chain can have, if one does.
    pub fn check(&self) -> Result<(), &'static str> {
        if !(EPOCH_SECS_MIN..=EPOCH_SECS_MAX).contains(&self.epoch_secs.get()) {
            return Err("epoch_secs");
        }
        if self.expiry_max_secs == 0 {
            return Err("expiry_max_secs");
        }
        if self.factor_num > FACTOR_MAX {
            return Err("factor_num");
        }
        if self.factor_den.get() > FACTOR_MAX {
            return Err("factor_den");
        }
        if self.lease_epochs == 0 {
            return Err("lease_epochs");
        }
        if self.seize_epochs < self.grace_epochs {
            return Err("seize_epochs");
        }
        if self.write_off_epochs < self.seize_epochs {
            return Err("write_off_epochs");
        }
        if !(1..=ROUND_ACCOUNTS_PER_BLOCK_MAX).contains(&self.round_accounts_max) {
            return Err("round_accounts_max");
        }
        Ok(())
    }
}
