//! The signing key of a validator. It never shows its secret.

use std::fmt;

use ed25519_consensus::SigningKey;
use sha2::{Digest, Sha256};

/// An ed25519 key pair.
#[derive(Clone)]
pub struct ValidatorKey(SigningKey);

impl ValidatorKey {
    /// From the 32 secret bytes (the seed of RFC 8032).
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from(seed))
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.0.verification_key().to_bytes()
    }

    /// The validator's address: the first 20 bytes of SHA-256 of the public key.
    #[must_use]
    pub fn address(&self) -> [u8; 20] {
        let hash: [u8; 32] = Sha256::digest(self.public_key()).into();
        hash.first_chunk().copied().unwrap_or_default()
    }

    /// Signature of a message (RFC 8032; the same bytes every time).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for ValidatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValidatorKey").field(&self.0.verification_key()).finish()
    }
}
