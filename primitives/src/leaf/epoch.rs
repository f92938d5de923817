//! Leaves of the open epoch, of a running emission of statements, and of closed epochs.
//!
//! Open epoch: format 1 (1) ‖ epoch (8) ‖ first height (8) ‖ total (16) ‖ frontier of its bills (size (8) ‖ hashes,
//! 32 each).
//! Emission, 142 bytes: format 1 (1) ‖ first (8) ‖ last (8) ‖ first height (8) ‖ last height (8) ‖ bills root (32) ‖ bill
//! count (8) ‖ 1 if there is a cursor, else 0 (1) ‖ cursor, zeros if there is none (20) ‖ statements (8) ‖ total (16) ‖
//! billed (16) ‖ inbox cursor (8).
//! Closed epoch: the bare 32-byte hash of its close.

use super::FORMAT;
use crate::decode::{DecodeError, Reader};
use crate::limits::FRONTIER_BYTES_MAX;
use crate::{Address, Epoch, EpochClose, Hash32, Height, Tai};

/// The open epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenEpochLeaf {
    /// Which epoch is open.
    pub open: Epoch,
    /// Its first block.
    pub first_height: Height,
    /// What its bills add up to.
    pub total: Tai,
    /// The frontier of the log of its bills, as the log encodes it: 8 to 2 056 bytes.
    pub bills: Vec<u8>,
}

/// A close whose statements are being emitted; the leaf is absent at other times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmissionLeaf {
    /// The first epoch that closes.
    pub first: Epoch,
    /// The last epoch that closes.
    pub last: Epoch,
    /// The first block of these epochs.
    pub first_height: Height,
    /// The last block of these epochs.
    pub last_height: Height,
    /// Root of the log of their bills.
    pub bills_root: Hash32,
    /// How many bills there are.
    pub bill_count: u64,
    /// The last account that was visited; `None` before the first.
    pub cursor: Option<Address>,
    /// How many statements were emitted.
    pub statements: u64,
    /// What they add up to so far.
    pub total: Tai,
    /// What the bills of these epochs add up to; `total` ends there.
    pub billed: Tai,
    /// How many entries of the settlement chain's log had been applied at the close.
    pub inbox_cursor: u64,
}

/// The value of `epoch/<n>`: the hash of the close.
#[must_use]
pub fn epoch_leaf(close: &EpochClose) -> Vec<u8> {
    close.hash().to_vec()
}

impl OpenEpochLeaf {
    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [
            [FORMAT].as_slice(),
            &self.open.get().to_be_bytes(),
            &self.first_height.get().to_be_bytes(),
            &self.total.to_be_bytes(),
            &self.bills,
        ]
        .concat()
    }

    /// Reads the encoding. Whether the frontier is one, the log decides.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("open epoch", bytes);
        reader.format(FORMAT)?;
        let (open, first_height, total) = (Epoch::new(reader.u64()?), Height::new(reader.u64()?), reader.tai()?);
        let invalid = reader.invalid("bills");
        let bills = reader.rest().to_vec();
        if (8..=FRONTIER_BYTES_MAX).contains(&bills.len()) {
            Ok(Self { open, first_height, total, bills })
        } else {
            Err(invalid)
        }
    }
}

impl EmissionLeaf {
    /// Bytes of the encoding.
    pub const BYTES: usize = 142;

    /// The 142-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let cursor = self.cursor.map_or([0; 20], Address::to_bytes);
        [
            [FORMAT].as_slice(),
            &self.first.get().to_be_bytes(),
            &self.last.get().to_be_bytes(),
            &self.first_height.get().to_be_bytes(),
            &self.last_height.get().to_be_bytes(),
            &self.bills_root,
            &self.bill_count.to_be_bytes(),
            &[u8::from(self.cursor.is_some())],
            &cursor,
            &self.statements.to_be_bytes(),
            &self.total.to_be_bytes(),
            &self.billed.to_be_bytes(),
            &self.inbox_cursor.to_be_bytes(),
        ]
        .concat()
    }

    /// Reads the 142-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("emission", bytes);
        reader.format(FORMAT)?;
        let leaf = Self {
            first: Epoch::new(reader.u64()?),
            last: Epoch::new(reader.u64()?),
            first_height: Height::new(reader.u64()?),
            last_height: Height::new(reader.u64()?),
            bills_root: reader.hash()?,
            bill_count: reader.u64()?,
            cursor: match (reader.u8()?, reader.array::<20>()?) {
                (0, bytes) if bytes == [0; 20] => None,
                (1, bytes) => Some(Address::new(bytes)),
                _ => return Err(reader.invalid("cursor")),
            },
            statements: reader.u64()?,
            total: reader.tai()?,
            billed: reader.tai()?,
            inbox_cursor: reader.u64()?,
        };
        reader.end()?;
        Ok(leaf)
    }
}
