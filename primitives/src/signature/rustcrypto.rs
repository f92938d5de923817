//! k256: the same recovery by an independent library.

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

use super::Parts;
use crate::{Address, Hash32};

/// The signer's address, unless no key can be recovered.
pub(super) fn recover(digest: &Hash32, parts: &Parts) -> Option<Address> {
    let signature = Signature::from_slice(&parts.compact).ok()?;
    let id = RecoveryId::new(parts.odd, false);
    let key = VerifyingKey::recover_from_prehash(digest, &signature, id).ok()?;
    let point = key.to_sec1_point(false);
    let (_, coordinates) = point.as_bytes().split_first()?;
    Some(Address::of_public_key(coordinates.try_into().ok()?))
}
