//! Entries of the log from a shard to the settlement chain.
//!
//! A tag byte first, then a fixed width, big endian. Statement, 58 bytes: 1 ‖ account (20) ‖ payee (21) ‖ cumulative
//! (16). Close of an epoch, 141 bytes: 2 ‖ shard (4) ‖ first (8) ‖ last (8) ‖ first height (8) ‖ last height (8) ‖
//! bills root (32) ‖ bill count (8) ‖ statements (8) ‖ total (16) ‖ inbox cursor (8) ‖ previous (32).

use crate::bill::Payee;
use crate::decode::{DecodeError, Reader};
use crate::hash::sha256;
use crate::{Address, Epoch, Hash32, Height, ShardId, Tai};

const STATEMENT_TAG: u8 = 1;
const EPOCH_CLOSE_TAG: u8 = 2;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEntry {
    /// What one account owes.
    Statement(Statement),
    /// The end of an epoch's statements.
    EpochClose(EpochClose),
}

/// What one account owes from this shard at the close of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Who owes.
    pub account: Address,
    /// Who is paid.
    pub payee: Payee,
    /// All that the account ever spent on this shard, up to the close.
    pub cumulative: Tai,
}

/// The close of the epochs `first..=last`; more than one if those after the first held no bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochClose {
    /// The shard.
    pub shard: ShardId,
    /// The first epoch that it closes.
    pub first: Epoch,
    /// The last epoch that it closes.
    pub last: Epoch,
    /// The first block of these epochs.
    pub first_height: Height,
    /// The last block of these epochs.
    pub last_height: Height,
    /// Root of the RFC 6962 tree over all bills of these epochs.
    pub bills_root: Hash32,
    /// How many bills there are.
    pub bill_count: u64,
    /// How many statements precede this entry since the close before it.
    pub statements: u64,
    /// What these epochs' bills add up to: the sum, over the statements, of what each adds to its account's last.
    pub total: Tai,
    /// How many entries of the settlement chain's log this shard had applied at the close.
    pub inbox_cursor: u64,
    /// Hash of the close before it; zeros in the first.
    pub previous: Hash32,
}

impl LogEntry {
    /// The encoding, tag first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Statement(statement) => statement.to_bytes(),
            Self::EpochClose(close) => close.to_bytes(),
        }
    }

    /// Reads an encoding; an unknown tag is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("log entry", bytes);
        let entry = match reader.u8()? {
            STATEMENT_TAG => Self::Statement(Statement::read(&mut reader)?),
            EPOCH_CLOSE_TAG => Self::EpochClose(EpochClose::read(&mut reader)?),
            tag => return Err(reader.unknown_format(tag)),
        };
        reader.end()?;
        Ok(entry)
    }
}

impl Statement {
    /// Bytes of the encoding.
    pub const BYTES: usize = 58;

    /// The 58-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [[STATEMENT_TAG].as_slice(), self.account.as_bytes(), &self.payee.to_bytes(), &self.cumulative.to_be_bytes()]
            .concat()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { account: reader.address()?, payee: Payee::read(reader)?, cumulative: reader.tai()? })
    }
}

impl EpochClose {
    /// Bytes of the encoding.
    pub const BYTES: usize = 141;

    /// The 141-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [
            [EPOCH_CLOSE_TAG].as_slice(),
            &self.shard.get().to_be_bytes(),
            &self.first.get().to_be_bytes(),
            &self.last.get().to_be_bytes(),
            &self.first_height.get().to_be_bytes(),
            &self.last_height.get().to_be_bytes(),
            &self.bills_root,
            &self.bill_count.to_be_bytes(),
            &self.statements.to_be_bytes(),
            &self.total.to_be_bytes(),
            &self.inbox_cursor.to_be_bytes(),
            &self.previous,
        ]
        .concat()
    }

    /// SHA-256 of the encoding: the value of `epoch/<n>` in the state, and `previous` of the next close.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        sha256(&[&self.to_bytes()])
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let close = Self {
            shard: ShardId::new(reader.u32()?),
            first: Epoch::new(reader.u64()?),
            last: Epoch::new(reader.u64()?),
            first_height: Height::new(reader.u64()?),
            last_height: Height::new(reader.u64()?),
            bills_root: reader.hash()?,
            bill_count: reader.u64()?,
            statements: reader.u64()?,
            total: reader.tai()?,
            inbox_cursor: reader.u64()?,
            previous: reader.hash()?,
        };
        if close.first <= close.last { Ok(close) } else { Err(reader.invalid("last")) }
    }
}
