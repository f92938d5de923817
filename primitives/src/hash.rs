//! The two hash functions and how 32 bytes are written as text.
//!
//! SHA-256 (FIPS 180-4) names things and builds the trees; Keccak-256 (Ethereum's, with the original padding, not
//! FIPS 202's SHA3-256) makes addresses and signing digests. Both take many parts, so that no caller concatenates.

use sha2::Digest;

use crate::quote::quoted;

/// 32 bytes of a hash.
pub type Hash32 = [u8; 32];

/// SHA-256 of the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Hash32 {
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Keccak-256 of the concatenation of `parts`.
#[must_use]
pub fn keccak256(parts: &[&[u8]]) -> Hash32 {
    let mut hasher = sha3::Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// `0x` and two lower-case hexadecimal digits for every byte.
#[must_use]
pub fn hex_text(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    let mut text = String::with_capacity(bytes.len().saturating_mul(2).saturating_add(2));
    text.push_str("0x");
    text.extend(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)));
    text
}

/// The 32 bytes that `text` writes as `0x` and 64 hexadecimal digits.
pub fn parse_hash(text: &str) -> Result<Hash32, HashTextError> {
    text.strip_prefix("0x").and_then(hex_bytes::<32>).ok_or_else(|| HashTextError { text: quoted(text) })
}

/// A text that is not `0x` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} is not a 32-byte hash: write 0x and 64 hexadecimal digits")]
pub struct HashTextError {
    /// The text, quoted and shortened.
    pub text: String,
}

/// `N` bytes from exactly `2 N` hexadecimal digits in any case.
pub(crate) fn hex_bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut nibbles = digits.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()));
    let mut bytes = [0; N];
    for byte in &mut bytes {
        *byte = (nibbles.next()?? << 4) | nibbles.next()??;
    }
    nibbles.next().is_none().then_some(bytes)
}
