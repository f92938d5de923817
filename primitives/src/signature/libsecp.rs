//! libsecp256k1: recovery in the hot path, and signing.

use k256::elliptic_curve::sec1::FromSec1Point;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey};

use super::Parts;
use crate::{Address, Hash32};

/// The signer's address, unless no key can be recovered.
pub(super) fn recover(digest: &Hash32, parts: &Parts) -> Option<Address> {
    recover_key(digest, parts).map(|key| address(&key))
}

/// The signer's key, unless none can be recovered.
pub(super) fn recover_key(digest: &Hash32, parts: &Parts) -> Option<PublicKey> {
    let id = if parts.odd { RecoveryId::One } else { RecoveryId::Zero };
    let signature = RecoverableSignature::from_compact(&parts.compact, id).ok()?;
    signature.recover_ecdsa(Message::from_digest(*digest)).ok()
}

/// The point whose abscissa is a signature's r and whose ordinate is as odd as its v says. This library takes the root
/// in half of k256's time.
pub(super) fn signature_point(parts: &Parts) -> Option<k256::AffinePoint> {
    let mut compressed = [if parts.odd { 3 } else { 2 }; 33];
    for (to, from) in compressed.iter_mut().skip(1).zip(parts.compact) {
        *to = from;
    }
    point(&PublicKey::from_byte_array_compressed(compressed).ok()?)
}

/// A key as k256 has it.
pub(super) fn point(key: &PublicKey) -> Option<k256::AffinePoint> {
    let point = k256::Sec1Point::from_bytes(key.serialize_uncompressed()).ok()?;
    Option::from(k256::AffinePoint::from_sec1_point(&point))
}

/// The address of a key.
pub(super) fn address(key: &PublicKey) -> Address {
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
