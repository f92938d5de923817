//! Which shard holds which slot: contiguous ranges, as even as can be. `slot · shards / 1 024` is the shard.
//!
//! Encoding, 12 bytes: version (8) ‖ shards (4), big endian.

use crate::decode::{DecodeError, Reader};
use crate::limits::{SHARDS_MAX, SLOTS};
use crate::{Namespace, ShardId, Slot};

/// A version of the map from slots to shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardMap {
    version: u64,
    shards: u32,
}

/// The slots `first..=last` of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRange {
    /// The first slot.
    pub first: Slot,
    /// The last slot.
    pub last: Slot,
    /// The shard that holds them.
    pub shard: ShardId,
}

/// A number of shards that no map can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network has 1 to {SHARDS_MAX} shards, not {shards}")]
pub struct ShardCountError {
    /// The number.
    pub shards: u32,
}

impl ShardMap {
    /// A map of 1 to 1 024 shards.
    pub const fn new(version: u64, shards: u32) -> Result<Self, ShardCountError> {
        if shards == 0 || shards > SHARDS_MAX { Err(ShardCountError { shards }) } else { Ok(Self { version, shards }) }
    }

    /// The map's version.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// How many shards there are.
    #[must_use]
    pub const fn shards(&self) -> u32 {
        self.shards
    }

    /// The shard that holds a slot.
    #[must_use]
    #[expect(clippy::arithmetic_side_effects, reason = "a slot and the number of shards are at most 1 024 each")]
    pub fn shard_of(&self, slot: Slot) -> ShardId {
        ShardId::new(u32::from(slot.get()) * self.shards / u32::from(SLOTS))
    }

    /// The shard that holds a namespace.
    #[must_use]
    pub fn shard_of_namespace(&self, namespace: &Namespace) -> ShardId {
        self.shard_of(namespace.slot())
    }

    /// The ranges of all shards, in order.
    #[must_use]
    pub fn ranges(&self) -> Vec<ShardRange> {
        let mut ranges: Vec<ShardRange> = Vec::new();
        for slot in (0..SLOTS).filter_map(Slot::new) {
            let shard = self.shard_of(slot);
            match ranges.last_mut().filter(|range| range.shard == shard) {
                Some(range) => range.last = slot,
                None => ranges.push(ShardRange { first: slot, last: slot, shard }),
            }
        }
        ranges
    }

    /// The 12-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.version.to_be_bytes().as_slice(), &self.shards.to_be_bytes()].concat()
    }

    /// Reads the 12-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("shard map", bytes);
        let map = Self::read(&mut reader)?;
        reader.end()?;
        Ok(map)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (version, shards) = (reader.u64()?, reader.u32()?);
        Self::new(version, shards).map_err(|_| reader.invalid("shards"))
    }
}
