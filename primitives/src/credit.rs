//! Entries of the log from the settlement chain to a shard.
//!
//! A tag byte first, then a fixed width, big endian; the tags go on where those of [`crate::entry`] end. Line, 37
//! bytes: 3 ‖ account (20) ‖ ceiling (16). Heartbeat, 25 bytes: 4 ‖ epoch (8) ‖ lease (8) ‖ inbox cursor (8).

use crate::decode::{DecodeError, Reader};
use crate::{Address, Epoch, Tai};

const LINE_TAG: u8 = 3;
const HEARTBEAT_TAG: u8 = 4;

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditEntry {
    /// How much an account may spend on the shard.
    Line(LineEntry),
    /// How long the shard may charge without hearing again, and how far it was heard.
    Heartbeat(Heartbeat),
}

/// How much an account may spend on the shard; it replaces what an earlier entry said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineEntry {
    /// Whose line it is.
    pub account: Address,
    /// The cumulative sum that the account may spend on the shard, ever. A shard refuses and records one above
    /// [`CEILING_TAI_MAX`](crate::limits::CEILING_TAI_MAX).
    pub ceiling: Tai,
}

/// What every round of settlement tells every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The epoch that the round settled.
    pub epoch: Epoch,
    /// The last epoch in which the shard may charge without hearing again.
    pub lease: Epoch,
    /// How many entries of the shard's log the settlement chain has applied. A shard refuses and records a heartbeat that
    /// names more than it has written.
    pub inbox_cursor: u64,
}

impl CreditEntry {
    /// The encoding, tag first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Line(line) => line.to_bytes(),
            Self::Heartbeat(heartbeat) => heartbeat.to_bytes(),
        }
    }

    /// Reads an encoding; an unknown tag is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("credit entry", bytes);
        let entry = match reader.u8()? {
            LINE_TAG => Self::Line(LineEntry { account: reader.address()?, ceiling: reader.tai()? }),
            HEARTBEAT_TAG => Self::Heartbeat(Heartbeat {
                epoch: Epoch::new(reader.u64()?),
                lease: Epoch::new(reader.u64()?),
                inbox_cursor: reader.u64()?,
            }),
            tag => return Err(reader.unknown_format(tag)),
        };
        reader.end()?;
        Ok(entry)
    }
}

impl LineEntry {
    /// Bytes of the encoding.
    pub const BYTES: usize = 37;

    /// The 37-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [[LINE_TAG].as_slice(), self.account.as_bytes(), &self.ceiling.to_be_bytes()].concat()
    }
}

impl Heartbeat {
    /// Bytes of the encoding.
    pub const BYTES: usize = 25;

    /// The 25-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { epoch, lease, inbox_cursor } = self;
        let parts = [epoch.get(), lease.get(), *inbox_cursor].map(u64::to_be_bytes);
        [[HEARTBEAT_TAG].as_slice(), parts.as_flattened()].concat()
    }
}
