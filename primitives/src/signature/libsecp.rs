//! libsecp256k1: recovery in the hot path, and signing.

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey};

use super::Parts;
use crate::{Address, Hash32};

/// The signer's address, unless no key can be recovered.
pub(super) fn recover(digest: &Hash32, parts: &Parts) -> Option<Address> {
    let id = if parts.odd { RecoveryId::One } else { RecoveryId::Zero };
    let signature = RecoverableSignature::from_compact(&parts.compact, id).ok()?;
    let key = signature.recover_ecdsa(Message::from_digest(*digest)).ok()?;
    Some(address(&key))
}

fn address(key: &PublicKey) -> Address {
    let [_, coordinates @ ..] = key.serialize_uncompressed();
    Address::of_public_key(&coordinates)
}

/// An account's secret key. It is never shown, and erased from where it lay when dropped.
#[derive(Clone)]
pub struct SecretKey(secp256k1::SecretKey);

/// 32 bytes that are no secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret key is a number from 1 to the order of secp256k1 less 1")]
pub struct SecretKeyError;

impl SecretKey {
    /// The key with these 32 bytes, big endian; 0 and numbers from the group order on are none.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, SecretKeyError> {
        secp256k1::SecretKey::from_secret_bytes(bytes).map(Self).map_err(|_| SecretKeyError)
    }

    /// The 32 bytes, for a keystore.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_secret_bytes()
    }

    /// The account's address.
    #[must_use]
    pub fn address(&self) -> Address {
        address(&PublicKey::from_secret_key(&self.0))
    }

    /// Signs a digest: r ‖ s ‖ v, deterministic (RFC 6979), s in the lower half.
    #[must_use]
    pub fn sign(&self, digest: &Hash32) -> [u8; 65] {
        let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(*digest), &self.0);
        let (id, compact) = signature.serialize_compact();
        let mut bytes = [id.to_u8(); 65];
        for (to, from) in bytes.iter_mut().zip(compact) {
            *to = from;
        }
        bytes
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(…)")
    }
}
