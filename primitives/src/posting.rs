//! A posting: one movement of the settlement chain's books. Postings form one RFC 6962 log, whose frontier is the leaf
//! `postings`; a posting's index in that log is not part of it.
//!
//! Encoding, 154 bytes and 68 for each line, big endian: format 1 (1) ‖ kind (1) ‖ epoch (8) ‖ height (8) ‖ time's seconds
//! (8) ‖ account (20) ‖ number (8) ‖ debit (16) ‖ paid (16) ‖ written off (16) ‖ outstanding (16) ‖ balance (16) ‖
//! collateral (16) ‖ number of lines (4) ‖ for each line: shard (4) ‖ debited from (16) ‖ debited to (16) ‖ covered from
//! (16) ‖ covered to (16). Lines ascend strictly by shard.
//!
//! *Covered* is paid + written off, a cumulative sum as the debited one is. So a bill, whose cumulative sum on its shard
//! is c, was debited by the posting whose line says debited from < c ≤ debited to, and is paid by the last of those that
//! say covered from < c ≤ covered to.

use crate::decode::{DecodeError, Reader};
use crate::limits::SHARDS_MAX;
use crate::stored;
use crate::{Address, Epoch, Height, ShardId, Tai};

const FORMAT: u8 = 1;

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PostingKind {
    /// A round: what the shards stated is debited, and the balance pays what it can of that and of older debits.
    Round = 1,
    /// The account pays from its balance what was outstanding, by a transaction of its own.
    Pay = 2,
    /// The collateral of a delinquent account pays.
    Seize = 3,
    /// What nobody will pay any more.
    WriteOff = 4,
    /// A pool pays one of its recipients, who is the account. The one line names the pool, and its covered range is the
    /// stretch of the pool's income that this is.
    Payout = 5,
}

/// What a posting says of one shard's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostingLine {
    /// The shard.
    pub shard: ShardId,
    /// Debited before.
    pub debited_from: Tai,
    /// Debited after.
    pub debited_to: Tai,
    /// Paid and written off before.
    pub covered_from: Tai,
    /// Paid and written off after.
    pub covered_to: Tai,
}

/// One movement of the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Why.
    pub kind: PostingKind,
    /// The newest epoch that the round settles; for [`PostingKind::Pay`] the epoch of the block's time.
    pub epoch: Epoch,
    /// The block.
    pub height: Height,
    /// The block's time, Unix seconds.
    pub time_secs: u64,
    /// Whose money.
    pub account: Address,
    /// Its number among the account's postings, from 1.
    pub number: u64,
    /// What is newly owed: the sum of the lines' debited ranges.
    pub debit: Tai,
    /// What was paid: to the shards' pools, or, of a payout, to the account.
    pub paid: Tai,
    /// What was written off.
    pub written_off: Tai,
    /// What the account still owes of all its debits.
    pub outstanding: Tai,
    /// The account's balance afterwards.
    pub balance: Tai,
    /// The account's collateral afterwards.
    pub collateral: Tai,
    /// The lines that changed, by shard.
    pub lines: Vec<PostingLine>,
}

impl PostingKind {
    /// The number in encodings and on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Round),
            2 => Some(Self::Pay),
            3 => Some(Self::Seize),
            4 => Some(Self::WriteOff),
            5 => Some(Self::Payout),
            _ => None,
        }
    }

    /// The name in lists and exports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Round => "round",
            Self::Pay => "pay",
            Self::Seize => "seize",
            Self::WriteOff => "write_off",
            Self::Payout => "payout",
        }
    }
}

impl PostingLine {
    /// Bytes of the encoding.
    pub const BYTES: usize = 68;

    /// What was debited.
    #[must_use]
    pub const fn debit(&self) -> Tai {
        self.debited_to.saturating_sub(self.debited_from)
    }

    /// What was paid or written off.
    #[must_use]
    pub const fn covered(&self) -> Tai {
        self.covered_to.saturating_sub(self.covered_from)
    }

    /// Whether a bill whose cumulative sum is `cumulative` was debited here.
    #[must_use]
    pub fn debits(&self, cumulative: Tai) -> bool {
        self.debited_from < cumulative && cumulative <= self.debited_to
    }

    /// Whether the last tai of a bill whose cumulative sum is `cumulative` was paid or written off here.
    #[must_use]
    pub fn covers(&self, cumulative: Tai) -> bool {
        self.covered_from < cumulative && cumulative <= self.covered_to
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.shard.get().to_be_bytes());
        for sum in [self.debited_from, self.debited_to, self.covered_from, self.covered_to] {
            bytes.extend(sum.to_be_bytes());
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let line = Self {
            shard: ShardId::new(reader.u32()?),
            debited_from: reader.tai()?,
            debited_to: reader.tai()?,
            covered_from: reader.tai()?,
            covered_to: reader.tai()?,
        };
        let ascends = line.debited_from <= line.debited_to && line.covered_from <= line.covered_to;
        if ascends { Ok(line) } else { Err(reader.invalid("line")) }
    }
}

impl Posting {
    /// Bytes of the encoding without its lines.
    pub const HEAD_BYTES: usize = 154;

    /// The line of a shard, if that shard's sums changed.
    #[must_use]
    pub fn line(&self, shard: ShardId) -> Option<&PostingLine> {
        let index = self.lines.binary_search_by_key(&shard, |line| line.shard).ok()?;
        self.lines.get(index)
    }

    /// The encoding, which is the leaf of the log of postings.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(self.lines.len().saturating_mul(PostingLine::BYTES).saturating_add(Self::HEAD_BYTES));
        bytes.extend([FORMAT, self.kind.number()]);
        for number in [self.epoch.get(), self.height.get(), self.time_secs] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(self.account.as_bytes());
        bytes.extend(self.number.to_be_bytes());
        for amount in [self.debit, self.paid, self.written_off, self.outstanding, self.balance, self.collateral] {
            bytes.extend(amount.to_be_bytes());
        }
        bytes.extend(stored::bytes(self.lines.len()).to_be_bytes());
        for line in &self.lines {
            line.write(&mut bytes);
        }
        bytes
    }

    /// Reads the encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("posting", bytes);
        reader.format(FORMAT)?;
        let kind = reader.u8()?;
        let kind = PostingKind::from_number(kind).ok_or_else(|| reader.invalid("kind"))?;
        let mut posting = Self {
            kind,
            epoch: Epoch::new(reader.u64()?),
            height: Height::new(reader.u64()?),
            time_secs: reader.u64()?,
            account: reader.address()?,
            number: reader.u64()?,
            debit: reader.tai()?,
            paid: reader.tai()?,
            written_off: reader.tai()?,
            outstanding: reader.tai()?,
            balance: reader.tai()?,
            collateral: reader.tai()?,
            lines: Vec::new(),
        };
        let count = reader.u32()?;
        if count > SHARDS_MAX {
            return Err(reader.invalid("lines"));
        }
        for _ in 0..count {
            let line = PostingLine::read(&mut reader)?;
            if posting.lines.last().is_some_and(|last| last.shard >= line.shard) {
                return Err(reader.invalid("lines"));
            }
            posting.lines.push(line);
        }
        reader.end()?;
        Ok(posting)
    }
}
