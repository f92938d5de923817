//! EIP-191 version 0x45, `personal_sign`: what a wallet hashes when it shows a text.

use crate::Hash32;
use crate::hash::keccak256;

/// Keccak-256 of `"\x19Ethereum Signed Message:\n"` ‖ the text's length in bytes, decimal ‖ the text.
#[must_use]
pub fn eip191_digest(text: &str) -> Hash32 {
    keccak256(&[b"\x19Ethereum Signed Message:\n", text.len().to_string().as_bytes(), text.as_bytes()])
}
