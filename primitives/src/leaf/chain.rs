//! Leaf of the chain's parameters, 166 bytes: format 1 (1) ‖ length of the network's name (1) ‖ the name, padded with
//! zeros (32) ‖ shard (4) ‖ epoch seconds (8) ‖ price table (84) ‖ shard map (12) ‖ lease epoch (8) ‖ mutations per
//! block (4) ‖ accounts visited per block at a close (4) ‖ expiry seconds (8).

use std::num::NonZeroU64;

use super::FORMAT;
use crate::decode::{DecodeError, Reader};
use crate::limits::{
    BLOCK_MUTATIONS_MAX, CLOSE_ACCOUNTS_PER_BLOCK_MAX, EPOCH_SECS_MAX, EPOCH_SECS_MIN, NETWORK_NAME_BYTES_MAX,
};
use crate::{ChainId, NetworkName, PriceTable, ShardId, ShardMap};

/// The parameters of a shard chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLeaf {
    /// The network.
    pub network: NetworkName,
    /// Which of its shards this is.
    pub shard: ShardId,
    /// How long an epoch is.
    pub epoch_secs: NonZeroU64,
    /// What things cost.
    pub prices: PriceTable,
    /// Which shard holds which slot.
    pub shard_map: ShardMap,
    /// The last epoch in which the shard may charge without hearing again from settlement.
    pub lease_epoch: u64,
    /// Most mutations in one block, ≤ [`BLOCK_MUTATIONS_MAX`].
    pub block_mutations_max: u32,
    /// Most accounts that one block visits while a close is emitted, ≤ [`CLOSE_ACCOUNTS_PER_BLOCK_MAX`].
    pub close_accounts_max: u32,
    /// Furthest expiry of a mutation after the block's time.
    pub expiry_max_secs: u64,
}

impl ChainLeaf {
    /// Bytes of the encoding.
    pub const BYTES: usize = 166;

    /// The chain's id.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        ChainId::shard(&self.network, self.shard)
    }

    /// The 166-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [
            [FORMAT].as_slice(),
            &network_bytes(&self.network),
            &self.shard.get().to_be_bytes(),
            &self.epoch_secs.get().to_be_bytes(),
            &self.prices.to_bytes(),
            &self.shard_map.to_bytes(),
            &self.lease_epoch.to_be_bytes(),
            &self.block_mutations_max.to_be_bytes(),
            &self.close_accounts_max.to_be_bytes(),
            &self.expiry_max_secs.to_be_bytes(),
        ]
        .concat()
    }

    /// Reads the 166-byte encoding; parameters that no chain can have are refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("chain parameters", bytes);
        reader.format(FORMAT)?;
        let network = read_network(&mut reader)?;
        let leaf = Self {
            network,
            shard: ShardId::new(reader.u32()?),
            epoch_secs: {
                let secs = reader.u64()?;
                NonZeroU64::new(secs).ok_or_else(|| reader.invalid("epoch_secs"))?
            },
            prices: PriceTable::read(&mut reader)?,
            shard_map: ShardMap::read(&mut reader)?,
            lease_epoch: reader.u64()?,
            block_mutations_max: reader.u32()?,
            close_accounts_max: reader.u32()?,
            expiry_max_secs: reader.u64()?,
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
        if self.shard.get() >= self.shard_map.shards() {
            return Err("shard");
        }
        if !(1..=BLOCK_MUTATIONS_MAX).contains(&self.block_mutations_max) {
            return Err("block_mutations_max");
        }
        if !(1..=CLOSE_ACCOUNTS_PER_BLOCK_MAX).contains(&self.close_accounts_max) {
            return Err("close_accounts_max");
        }
        Ok(())
    }
}

/// A network's name, 33 bytes: its length and the name, padded with zeros.
pub(super) fn network_bytes(network: &NetworkName) -> [u8; NETWORK_NAME_BYTES_MAX + 1] {
    let name = network.as_str().as_bytes();
    let mut bytes = [0; NETWORK_NAME_BYTES_MAX + 1];
    let [length, padded @ ..] = &mut bytes;
    // A network's name has at most 32 bytes.
    *length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    for (to, from) in padded.iter_mut().zip(name) {
        *to = *from;
    }
    bytes
}

/// Reads [`network_bytes`].
pub(super) fn read_network(reader: &mut Reader<'_>) -> Result<NetworkName, DecodeError> {
    let length = usize::from(reader.u8()?);
    let padded = reader.array::<NETWORK_NAME_BYTES_MAX>()?;
    let (name, padding) = padded.split_at_checked(length).ok_or_else(|| reader.invalid("network"))?;
    let text = std::str::from_utf8(name).ok().filter(|_| padding.iter().all(|byte| *byte == 0));
    text.and_then(|text| text.parse().ok()).ok_or_else(|| reader.invalid("network"))
}
