//! The identifier of something signed: 32 bytes, known before it is sent.

use std::fmt;
use std::str::FromStr;

use crate::Hash32;
use crate::hash::{HashTextError, hex_text, parse_hash};

/// The identifier of a mutation, a transaction or another signed or carried thing: SHA-256 of the kind's tag and the
/// body. As text: `0x` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(pub Hash32);

impl Identifier {
    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &Hash32 {
        &self.0
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex_text(&self.0))
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Identifier {
    type Err = HashTextError;

    fn from_str(text: &str) -> Result<Self, HashTextError> {
        parse_hash(text).map(Self)
    }
}
