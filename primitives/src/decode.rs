//! Reading fixed-width big-endian encodings, totally: every failure is a [`DecodeError`], nothing panics.

use crate::hash::Hash32;
use crate::{Address, Tai};

/// Bytes that are not an encoding of what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("{what}: the bytes end too early")]
    Truncated {
        /// What was decoded.
        what: &'static str,
    },
    /// Bytes are left over after the value.
    #[error("{what}: {bytes} bytes are left over")]
    Trailing {
        /// What was decoded.
        what: &'static str,
        /// How many are left.
        bytes: usize,
    },
    /// The first byte is no format or tag that is known.
    #[error("{what}: format {format} is unknown")]
    UnknownFormat {
        /// What was decoded.
        what: &'static str,
        /// The byte found.
        format: u8,
    },
    /// A field holds a value it may not hold.
    #[error("{what}: {field} holds a value that it may not hold")]
    Invalid {
        /// What was decoded.
        what: &'static str,
        /// The field.
        field: &'static str,
    },
}

/// A cursor over the bytes of one value.
pub struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte; `what` names the value in errors.
    #[must_use]
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// Takes one byte that must be `format`.
    pub fn format(&mut self, format: u8) -> Result<(), DecodeError> {
        let found = self.u8()?;
        if found == format { Ok(()) } else { Err(self.unknown_format(found)) }
    }

    /// Takes so many bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(*head)
    }

    /// Takes so many bytes, a number that the bytes before told.
    pub fn slice(&mut self, bytes: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(bytes).ok_or(DecodeError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(head)
    }

    /// Takes a byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    /// Takes four bytes.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes eight bytes.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Takes an amount, 16 bytes.
    pub fn tai(&mut self) -> Result<Tai, DecodeError> {
        self.array().map(|bytes| Tai::new(u128::from_be_bytes(bytes)))
    }

    /// Takes an amount as its significant bytes: how many, at most 16, and these, of which the first is not zero. `field`
    /// names it in errors.
    pub fn short_tai(&mut self, field: &'static str) -> Result<Tai, DecodeError> {
        let count = usize::from(self.u8()?);
        let significant = self.slice(count)?;
        let mut bytes = [0; 16];
        let place = bytes.len().checked_sub(count).and_then(|start| bytes.get_mut(start..));
        match place.filter(|_| significant.first() != Some(&0)) {
            Some(place) => place.copy_from_slice(significant),
            None => return Err(self.invalid(field)),
        }
        Ok(Tai::new(u128::from_be_bytes(bytes)))
    }

    /// Takes an account, 20 bytes.
    pub fn address(&mut self) -> Result<Address, DecodeError> {
        self.array().map(Address::new)
    }

    /// Takes a hash, 32 bytes.
    pub fn hash(&mut self) -> Result<Hash32, DecodeError> {
        self.array()
    }

    /// Everything that is left.
    #[must_use]
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Succeeds iff nothing is left.
    pub fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing { what: self.what, bytes: self.rest.len() })
        }
    }

    /// The error for a field that holds what it may not hold.
    #[must_use]
    pub fn invalid(&self, field: &'static str) -> DecodeError {
        DecodeError::Invalid { what: self.what, field }
    }

    /// The error for a format or tag byte that is unknown.
    #[must_use]
    pub fn unknown_format(&self, format: u8) -> DecodeError {
        DecodeError::UnknownFormat { what: self.what, format }
    }
}
