//! Leaf of what the settlement chain knows of one shard, 144 bytes: format 1 (1) ‖ lease (8) ‖ 1 if an epoch was closed,
//! else 0 (1) ‖ that epoch (8) ‖ hash of its close (32) ‖ inbox cursor (8) ‖ statements (8) ‖ total (16) ‖ 1 if an account
//! was stated since, else 0 (1) ‖ that account (20) ‖ pool (16) ‖ income (16) ‖ number of the fault, 0 for none (1) ‖
//! index of the entry at fault (8). What is missing is written as zeros.

use super::{epoch_bytes, read_epoch};
use crate::decode::{DecodeError, Reader};
use crate::leaf::FORMAT;
use crate::{Address, Epoch, Hash32, Tai};

/// What a shard said that cannot be true. The number is in encodings, on the wire and in metrics, and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShardFault {
    /// The entry does not decode.
    EntryMalformed = 1,
    /// A statement for an account that has no line on the shard.
    LineUnknown = 2,
    /// A statement below the account's last.
    StatementBelowLast = 3,
    /// A statement above what the shard could let the account spend.
    StatementAboveHeld = 4,
    /// Statements of one close are not in strictly ascending order of address.
    StatementOrder = 5,
    /// A close that names another shard.
    CloseShard = 6,
    /// A close that does not follow the one before.
    CloseNotContiguous = 7,
    /// A close whose `previous` is not the hash of the one before.
    ClosePrevious = 8,
    /// A close whose number of statements is not that of the statements since the one before.
    CloseStatements = 9,
    /// A close whose total is not what those statements add up to.
    CloseTotal = 10,
    /// A close whose inbox cursor is below the last one's, or beyond what was sent to the shard.
    CloseCursor = 11,
    /// A close of an epoch that had not ended at the time of the header that proves it.
    CloseEarly = 12,
    /// Two headers at one height, both signed by the shard's validators. No entry is at fault: the index is the cursor.
    HeaderConflict = 13,
}

/// The fault that froze a shard's channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was wrong.
    pub code: ShardFault,
    /// Index of the entry in the shard's log.
    pub index: u64,
}

/// One shard, as the settlement chain knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardLeaf {
    /// The last epoch in which the shard may charge by what was issued to it.
    pub lease: Epoch,
    /// The last epoch that it closed.
    pub last_close: Option<Epoch>,
    /// Hash of that close; zeros before the first.
    pub close_hash: Hash32,
    /// How many entries of ours it had applied at that close.
    pub inbox_cursor: u64,
    /// Statements since that close.
    pub statements: u64,
    /// What they add to their accounts' last ones.
    pub total: Tai,
    /// The account of the newest of them.
    pub last_account: Option<Address>,
    /// What was paid to its validators and is not yet paid out.
    pub pool: Tai,
    /// All that was ever paid to its validators: the sum of `paid` over its lines.
    pub income: Tai,
    /// Why its channel is frozen, if it is.
    pub fault: Option<Fault>,
}

impl ShardFault {
    /// All faults, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::EntryMalformed,
        Self::LineUnknown,
        Self::StatementBelowLast,
        Self::StatementAboveHeld,
        Self::StatementOrder,
        Self::CloseShard,
        Self::CloseNotContiguous,
        Self::ClosePrevious,
        Self::CloseStatements,
        Self::CloseTotal,
        Self::CloseCursor,
        Self::CloseEarly,
        Self::HeaderConflict,
    ];

    /// The number in encodings and on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The fault with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.number() == number)
    }

    /// What the shard said, in a few words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::EntryMalformed => "an entry that does not decode",
            Self::LineUnknown => "a statement for an account that has no line there",
            Self::StatementBelowLast => "a statement below the account's last one",
            Self::StatementAboveHeld => "a statement above what the account could have spent",
            Self::StatementOrder => "statements out of order",
            Self::CloseShard => "a close of another shard",
            Self::CloseNotContiguous => "a close that does not follow the one before",
            Self::ClosePrevious => "a close with a wrong hash of the one before",
            Self::CloseStatements => "a close with a wrong number of statements",
            Self::CloseTotal => "a close with a wrong total",
            Self::CloseCursor => "a close with an impossible inbox cursor",
            Self::CloseEarly => "a close of an epoch that had not ended",
            Self::HeaderConflict => "not to be trusted, because its validators signed two headers of one height",
        }
    }
}

impl ShardLeaf {
    /// Bytes of the encoding.
    pub const BYTES: usize = 144;

    /// The 144-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let fault = self.fault.map_or(0, |fault| fault.code.number());
        [
            [FORMAT].as_slice(),
            &self.lease.get().to_be_bytes(),
            &epoch_bytes(self.last_close),
            &self.close_hash,
            &self.inbox_cursor.to_be_bytes(),
            &self.statements.to_be_bytes(),
            &self.total.to_be_bytes(),
            &[u8::from(self.last_account.is_some())],
            &self.last_account.map_or([0; 20], Address::to_bytes),
            &self.pool.to_be_bytes(),
            &self.income.to_be_bytes(),
            &[fault],
            &self.fault.map_or(0, |fault| fault.index).to_be_bytes(),
        ]
        .concat()
    }

    /// Reads the 144-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("shard", bytes);
        reader.format(FORMAT)?;
        let leaf = Self {
            lease: Epoch::new(reader.u64()?),
            last_close: read_epoch(&mut reader, "last_close")?,
            close_hash: reader.hash()?,
            inbox_cursor: reader.u64()?,
            statements: reader.u64()?,
            total: reader.tai()?,
            last_account: match (reader.u8()?, reader.array::<20>()?) {
                (0, bytes) if bytes == [0; 20] => None,
                (1, bytes) => Some(Address::new(bytes)),
                _ => return Err(reader.invalid("last_account")),
            },
            pool: reader.tai()?,
            income: reader.tai()?,
            fault: match (reader.u8()?, reader.u64()?) {
                (0, 0) => None,
                (number, index) => match ShardFault::from_number(number) {
                    Some(code) => Some(Fault { code, index }),
                    None => return Err(reader.invalid("fault")),
                },
            },
        };
        if leaf.pool > leaf.income {
            return Err(reader.invalid("pool"));
        }
        reader.end()?;
        Ok(leaf)
    }
}
