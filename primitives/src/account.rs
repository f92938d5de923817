//! Accounts: Ethereum addresses, the last 20 bytes of Keccak-256 of the uncompressed public key.
//!
//! Text is `0x` and 40 hexadecimal digits. Mixed case carries EIP-55's checksum and is checked; all-lower and
//! all-upper digits carry none and are taken as they are.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::hash::{hex_bytes, hex_text, keccak256};
use crate::quote::quoted;

/// The address of an account: 20 bytes, in the order of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address([u8; 20]);

impl Ord for Address {
    /// As words, because a call to compare 20 bytes costs several times as much, and rounds compare millions.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.words().cmp(&other.words())
    }
}

impl PartialOrd for Address {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Why a text or a byte string is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `0x` and 40 hexadecimal digits.
    #[error("{text} is not an address: write 0x and 40 hexadecimal digits")]
    Form {
        /// The text, quoted and shortened.
        text: String,
    },
    /// Mixed case that is not EIP-55's.
    #[error("the address {text} has a typing error: its capitals do not fit its digits (EIP-55), expected {expected}")]
    Checksum {
        /// The text, quoted and shortened.
        text: String,
        /// How these digits are written if they are right.
        expected: String,
    },
    /// Not 20 bytes.
    #[error("an address has 20 bytes, not {bytes}")]
    Length {
        /// How many there were.
        bytes: usize,
    },
}

impl Address {
    /// The address with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The address in a byte string that must have 20 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, AddressError> {
        bytes.try_into().map(Self).map_err(|_| AddressError::Length { bytes: bytes.len() })
    }

    /// The bytes as two numbers, the first above the second.
    #[inline]
    fn words(&self) -> (u128, u32) {
        let head = self.0.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
        let tail = self.0.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        (head, tail)
    }

    /// The address of a public key given as its 64 bytes x ‖ y.
    #[must_use]
    pub fn of_public_key(coordinates: &[u8; 64]) -> Self {
        let hash = keccak256(&[coordinates]);
        let mut bytes = [0; 20];
        for (to, from) in bytes.iter_mut().zip(hash.iter().skip(12)) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The 20 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The 20 bytes by value.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 20] {
        self.0
    }

    /// `0x` and 40 lower-case digits: the form that names the account's own namespace.
    #[must_use]
    pub fn lower_hex(&self) -> String {
        hex_text(&self.0)
    }
}

impl fmt::Display for Address {
    /// EIP-55: a letter is a capital iff the matching digit of Keccak-256 of the lower-case digits is ≥ 8.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lower = self.lower_hex();
        let digits = lower.trim_start_matches("0x");
        let hash = keccak256(&[digits.as_bytes()]);
        let capitals = hash.iter().flat_map(|byte| [byte >> 4 >= 8, byte & 0x0f >= 8]);
        let text: String = digits
            .chars()
            .zip(capitals)
            .map(|(digit, capital)| if capital { digit.to_ascii_uppercase() } else { digit })
            .collect();
        f.pad(&format!("0x{text}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let form = || AddressError::Form { text: quoted(text) };
        let digits = text.strip_prefix("0x").ok_or_else(form)?;
        let address = hex_bytes::<20>(digits).map(Self).ok_or_else(form)?;
        let mixed =
            digits.contains(|c: char| c.is_ascii_lowercase()) && digits.contains(|c: char| c.is_ascii_uppercase());
        let expected = address.to_string();
        if mixed && expected != text {
            return Err(AddressError::Checksum { text: quoted(text), expected });
        }
        Ok(address)
    }
}

impl From<[u8; 20]> for Address {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Address {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
