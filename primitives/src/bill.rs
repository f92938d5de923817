//! A bill: what one mutation cost and why. It is a leaf of its epoch's RFC 6962 tree and never changes.
//!
//! Encoding, 159 bytes, big endian: format 1 (1) ‖ shard (4) ‖ height (8) ‖ index (4) ‖ account (20) ‖ payee (21) ‖
//! kind (1) ‖ reference (32) ‖ outcome code (4) ‖ metered (20) ‖ price version (4) ‖ fee (16) ‖ seq (8) ‖ sum after (16).
//! Payee, 21 bytes: tag 0 and 20 zero bytes for the shard's validator pool.

use crate::decode::{DecodeError, Reader};
use crate::limits::BILL_BYTES;
use crate::{Address, Hash32, Height, Metered, ShardId, Tai};

const FORMAT: u8 = 1;
const POOL_TAG: u8 = 0;

/// What a bill is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BillKind {
    /// A mutation; the bill's reference is its identifier.
    Mutation = 1,
}

/// Who is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Payee {
    /// The validators of the shard.
    ValidatorPool,
}

/// What one mutation cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// The shard that wrote it.
    pub shard: ShardId,
    /// The block.
    pub height: Height,
    /// Position among the mutations of the block, from 0.
    pub index: u32,
    /// Who owes.
    pub account: Address,
    /// Who is paid.
    pub payee: Payee,
    /// What it is for.
    pub kind: BillKind,
    /// The identifier of the mutation.
    pub reference: Hash32,
    /// 0 if it was applied, else the code of the rejection.
    pub outcome_code: u32,
    /// What was used.
    pub metered: Metered,
    /// The version of the prices.
    pub price_version: u32,
    /// What it cost.
    pub fee: Tai,
    /// Its number among the account's bills on this shard, from 1.
    pub seq: u64,
    /// The account's cumulative sum on this shard after it.
    pub cum_after: Tai,
}

impl BillKind {
    /// The number in encodings and on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Mutation),
            _ => None,
        }
    }
}

impl Payee {
    /// Bytes of the encoding.
    pub const BYTES: usize = 21;

    /// The 21-byte encoding.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        match self {
            Self::ValidatorPool => [POOL_TAG; Self::BYTES],
        }
    }

    /// Reads the 21-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("payee", bytes);
        let payee = Self::read(&mut reader)?;
        reader.end()?;
        Ok(payee)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match (reader.u8()?, reader.array::<20>()?) {
            (POOL_TAG, [0, rest @ ..]) if rest == [0; 19] => Ok(Self::ValidatorPool),
            _ => Err(reader.invalid("payee")),
        }
    }
}

impl Bill {
    /// Bytes of the encoding.
    pub const BYTES: usize = BILL_BYTES;

    /// The 159-byte encoding, which is the leaf of the epoch's tree of bills.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [
            [FORMAT].as_slice(),
            &self.shard.get().to_be_bytes(),
            &self.height.get().to_be_bytes(),
            &self.index.to_be_bytes(),
            self.account.as_bytes(),
            &self.payee.to_bytes(),
            &[self.kind.number()],
            &self.reference,
            &self.outcome_code.to_be_bytes(),
            &self.metered.to_bytes(),
            &self.price_version.to_be_bytes(),
            &self.fee.to_be_bytes(),
            &self.seq.to_be_bytes(),
            &self.cum_after.to_be_bytes(),
        ]
        .concat()
    }

    /// Reads the 159-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("bill", bytes);
        reader.format(FORMAT)?;
        let bill = Self {
            shard: ShardId::new(reader.u32()?),
            height: Height::new(reader.u64()?),
            index: reader.u32()?,
            account: reader.address()?,
            payee: Payee::read(&mut reader)?,
            kind: {
                let number = reader.u8()?;
                BillKind::from_number(number).ok_or_else(|| reader.invalid("kind"))?
            },
            reference: reader.hash()?,
            outcome_code: reader.u32()?,
            metered: Metered::read(&mut reader)?,
            price_version: reader.u32()?,
            fee: reader.tai()?,
            seq: reader.u64()?,
            cum_after: reader.tai()?,
        };
        reader.end()?;
        Ok(bill)
    }
}
