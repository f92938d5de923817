//! Leaves of a credit line, that is one account on one shard, as the settlement chain keeps it.
//!
//! Line: format 1 (1) ‖ want ‖ ceiling ‖ held ‖ 1 if a cut is pending, else 0 (1) ‖ if so, its index (8) ‖ its lease (8) ‖
//! reported ‖ debited ‖ paid ‖ written off. An amount is the number of its significant bytes (1) and these (0 to 16), so that a
//! line of common amounts, which every epoch writes twice, is hashed in one block of SHA-256 instead of three.
//! Cut, 29 bytes: format 1 (1) ‖ account (20) ‖ lease (8).
//!
//! In DESIGN.md's letters: K ceiling, H held, R reported, D debited, P paid, W written off; all are cumulative sums over
//! the line's whole life, and P + W ≤ D ≤ R ≤ H (rule I9).

use crate::decode::{DecodeError, Reader};
use crate::leaf::FORMAT;
use crate::{Address, Epoch, Tai};

/// A lower ceiling that was issued, and of which the shard has not yet confirmed that it knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Index of its entry in the log towards the shard.
    pub index: u64,
    /// The last epoch in which the shard could charge by what had been issued when the cut was.
    pub lease: Epoch,
}

/// One account's credit on one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineLeaf {
    /// How much unpaid credit the account wants here.
    pub want: Tai,
    /// K: the ceiling that was issued last.
    pub ceiling: Tai,
    /// H: the highest sum that the shard may still reach.
    pub held: Tai,
    /// The pending cut, if there is one.
    pub cut: Option<Cut>,
    /// R: what the shard has stated.
    pub reported: Tai,
    /// D: what rounds have debited.
    pub debited: Tai,
    /// P: what was paid to the shard's pool.
    pub paid: Tai,
    /// W: what will never be paid.
    pub written_off: Tai,
}

/// The account whose line waits for a cut to be confirmed: the value of `cut/<shard><index>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutLeaf {
    /// The account.
    pub account: Address,
    /// As in [`Cut`].
    pub lease: Epoch,
}

impl LineLeaf {
    /// Bytes that a new line is charged for, whatever its amounts will be. Common ones take half, and the longest 7 more.
    pub const BYTES_CHARGED: usize = 130;

    /// P + W: what is no longer owed. The sums of a line are far below 2^128, see [`crate::limits::CEILING_TAI_MAX`].
    #[must_use]
    pub const fn covered(&self) -> Tai {
        saturating_add(self.paid, self.written_off)
    }

    /// D − P − W: what was debited and is not paid.
    #[must_use]
    pub const fn outstanding(&self) -> Tai {
        self.debited.saturating_sub(self.covered())
    }

    /// R − D: what the next round will debit.
    #[must_use]
    pub const fn unsettled(&self) -> Tai {
        self.reported.saturating_sub(self.debited)
    }

    /// H − P − W: how much of the account's limit this line binds.
    #[must_use]
    pub const fn bound(&self) -> Tai {
        self.held.saturating_sub(self.covered())
    }

    /// Rule I9: P + W ≤ D ≤ R ≤ H, and no ceiling above what is held.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.paid.checked_add(self.written_off).is_some_and(|covered| covered <= self.debited)
            && self.debited <= self.reported
            && self.reported <= self.held
            && self.ceiling <= self.held
    }

    /// The encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(FORMAT);
        for amount in [self.want, self.ceiling, self.held] {
            amount.write_short(&mut bytes);
        }
        bytes.push(u8::from(self.cut.is_some()));
        if let Some(Cut { index, lease }) = self.cut {
            bytes.extend_from_slice(&index.to_be_bytes());
            bytes.extend_from_slice(&lease.get().to_be_bytes());
        }
        for amount in [self.reported, self.debited, self.paid, self.written_off] {
            amount.write_short(&mut bytes);
        }
        bytes
    }

    /// Reads the encoding; sums that break rule I9 are refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("line", bytes);
        reader.format(FORMAT)?;
        let leaf = Self {
            want: reader.short_tai("want")?,
            ceiling: reader.short_tai("ceiling")?,
            held: reader.short_tai("held")?,
            cut: match reader.u8()? {
                0 => None,
                1 => Some(Cut { index: reader.u64()?, lease: Epoch::new(reader.u64()?) }),
                _ => return Err(reader.invalid("cut")),
            },
            reported: reader.short_tai("reported")?,
            debited: reader.short_tai("debited")?,
            paid: reader.short_tai("paid")?,
            written_off: reader.short_tai("written off")?,
        };
        if !leaf.is_ordered() {
            return Err(reader.invalid("sums"));
        }
        reader.end()?;
        Ok(leaf)
    }
}

impl CutLeaf {
    /// Bytes of the encoding.
    pub const BYTES: usize = 29;

    /// The 29-byte encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [[FORMAT].as_slice(), self.account.as_bytes(), &self.lease.get().to_be_bytes()].concat()
    }

    /// Reads the 29-byte encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("cut", bytes);
        reader.format(FORMAT)?;
        let leaf = Self { account: reader.address()?, lease: Epoch::new(reader.u64()?) };
        reader.end()?;
        Ok(leaf)
    }
}

const fn saturating_add(left: Tai, right: Tai) -> Tai {
    match left.checked_add(right) {
        Some(sum) => sum,
        None => Tai::MAX,
    }
}
