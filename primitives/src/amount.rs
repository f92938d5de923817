//! Money: whole tai in 128 bits, with checked operations only.
//!
//! 1 DB3 is 10^9 tai. Machines read and write plain decimal tai; people write an amount with its unit, `5db3`,
//! `0.25db3` or `300tai`, because a bare number has been off by 10^9 too often.

use std::fmt;
use std::str::FromStr;

use crate::quote::quoted;

/// How many tai make one DB3.
pub const TAI_PER_DB3: u128 = 1_000_000_000;
/// How many decimals a DB3 has.
const DB3_DECIMALS: usize = 9;
const _: () = assert!(TAI_PER_DB3 == 10u128.pow(9) && DB3_DECIMALS == 9);

/// An amount in tai, the smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tai(u128);

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a plain decimal number of tai.
    #[error("{text} is not a number of tai: write digits only, without sign, separators or leading zeros")]
    Form {
        /// The text, quoted and shortened.
        text: String,
    },
    /// A number without unit.
    #[error("the amount {text} has no unit: write {text}db3 or {text}tai")]
    UnitMissing {
        /// The number.
        text: String,
    },
    /// Not a number with a unit.
    #[error("{text} is not an amount: write a number and its unit, such as 5db3, 0.25db3 or 300tai")]
    WithUnitForm {
        /// The text, quoted and shortened.
        text: String,
    },
    /// Smaller than one tai.
    #[error("the amount {text} is finer than one tai: a db3 has at most nine decimals, a tai has none")]
    TooFine {
        /// The text, quoted and shortened.
        text: String,
    },
    /// More than 2^128 − 1 tai.
    #[error("the amount {text} is too large: at most {max} tai", max = u128::MAX)]
    TooLarge {
        /// The text, quoted and shortened.
        text: String,
    },
}

impl Tai {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that can be written.
    pub const MAX: Self = Self(u128::MAX);

    /// This many tai.
    #[must_use]
    pub const fn new(tai: u128) -> Self {
        Self(tai)
    }

    /// The number of tai.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, unless it overflows.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, unless it would be negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// This amount `quantity` times, unless it overflows.
    #[must_use]
    pub const fn checked_mul(self, quantity: u64) -> Option<Self> {
        match self.0.checked_mul(quantity as u128) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// The difference, or nothing if it would be negative.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// 16 bytes, big endian.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Writes the amount as its significant bytes: how many there are (1), and these. Most amounts have 5 or 6 of the 16.
    pub fn write_short(self, to: &mut Vec<u8>) {
        let bytes = self.to_be_bytes();
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        let significant = bytes.get(start..).unwrap_or_default();
        to.push(u8::try_from(significant.len()).unwrap_or(u8::MAX));
        to.extend_from_slice(significant);
    }

    /// The amount in DB3, without unit and without trailing zeros: `"5"`, `"0.250000001"`.
    #[must_use]
    pub fn to_db3_string(self) -> String {
        let digits = format!("{:0>width$}", self.0, width = DB3_DECIMALS.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(DB3_DECIMALS));
        match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        }
    }

    /// Reads an amount with its unit: `5db3`, `0.25db3`, `300tai`. The unit may be in any case; a bare number, a sign,
    /// a space, more than nine decimals of a db3 and any decimal of a tai are refused.
    pub fn parse_with_unit(text: &str) -> Result<Self, AmountError> {
        let lower = text.to_ascii_lowercase();
        if let Some(number) = lower.strip_suffix("db3") {
            return parse_decimal(number, DB3_DECIMALS, text);
        }
        if let Some(number) = lower.strip_suffix("tai") {
            return parse_decimal(number, 0, text);
        }
        if is_number(text) {
            return Err(AmountError::UnitMissing { text: text.to_owned() });
        }
        Err(AmountError::WithUnitForm { text: quoted(text) })
    }
}

/// Digits, or digits, a point and digits.
fn is_number(text: &str) -> bool {
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => all_digits(text),
    }
}

/// A decimal number times 10^decimals; `text` is what the error shows.
fn parse_decimal(number: &str, decimals: usize, text: &str) -> Result<Tai, AmountError> {
    if !is_number(number) {
        return Err(AmountError::WithUnitForm { text: quoted(text) });
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > decimals {
        return Err(AmountError::TooFine { text: quoted(text) });
    }
    format!("{whole}{fraction:0<decimals$}").parse().map(Tai).map_err(|_| AmountError::TooLarge { text: quoted(text) })
}

impl fmt::Display for Tai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Tai {
    type Err = AmountError;

    /// Plain decimal tai: no sign, no separators, no leading zero except `0` itself.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || (text.len() > 1 && text.starts_with('0')) {
            return Err(AmountError::Form { text: quoted(text) });
        }
        text.parse().map(Self).map_err(|_| AmountError::TooLarge { text: quoted(text) })
    }
}
