//! Signatures: secp256k1, recoverable, 65 bytes r ‖ s ‖ v with v 0 or 1, and s in the lower half.
//!
//! [`verify`] is the one function that decides whether a signature holds. libsecp256k1 does its work, because it
//! recovers about twice as fast as k256; [`recover_k256`] answers the same by the other library, and the tests compare
//! the two. [`verify_all`] gives the same answers about many signatures at once, in a third of the time where accounts
//! sign often. Recovery ids 2 and 3 (an r above the group order, which nobody can produce on purpose) are refused.

mod batch;
mod eip191;
mod libsecp;
mod rustcrypto;

pub use batch::{Claim, KnownKeys, verify_all};
pub use eip191::eip191_digest;
pub use libsecp::{SecretKey, SecretKeyError};

use crate::{Address, Hash32};

/// Half of the group order: the highest s that is accepted (SEC 2 §2.4.1; BIP 62, EIP-2).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d, 0x57, 0x6e,
    0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Why a signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not 65 bytes.
    #[error("a signature has 65 bytes, r, s and v, not {bytes}")]
    Length {
        /// How many there were.
        bytes: usize,
    },
    /// v is neither 0 nor 1.
    #[error("the signature's last byte v is {v}, it must be 0 or 1")]
    RecoveryId {
        /// The byte found.
        v: u8,
    },
    /// s is above half the group order.
    #[error(
        "the signature's s is above half the group order; the same signature with n − s and the other v is accepted"
    )]
    HighS,
    /// r or s is 0 or at least the group order, r is no point's coordinate, or no key fits.
    #[error("no public key can be recovered from the signature: r or s is out of range, or r is no point")]
    Unrecoverable,
}

/// The address whose key made `signature` over `digest`. Every caller that trusts a signature asks here.
pub fn verify(digest: &Hash32, signature: &[u8; 65]) -> Result<Address, SignatureError> {
    let parts = Parts::of(signature)?;
    libsecp::recover(digest, &parts).ok_or(SignatureError::Unrecoverable)
}

/// The same answer as [`verify`], found by the other library.
pub fn recover_k256(digest: &Hash32, signature: &[u8; 65]) -> Result<Address, SignatureError> {
    let parts = Parts::of(signature)?;
    rustcrypto::recover(digest, &parts).ok_or(SignatureError::Unrecoverable)
}

/// The 65 bytes of a signature from a byte string of any length.
pub fn signature_from_slice(bytes: &[u8]) -> Result<[u8; 65], SignatureError> {
    bytes.try_into().map_err(|_| SignatureError::Length { bytes: bytes.len() })
}

/// A signature whose v is 0 or 1 and whose s is in the lower half; the libraries check the rest.
struct Parts {
    /// r ‖ s
    compact: [u8; 64],
    odd: bool,
}

impl Parts {
    fn of(signature: &[u8; 65]) -> Result<Self, SignatureError> {
        let [compact @ .., v] = *signature;
        let odd = match v {
            0 => false,
            1 => true,
            v => return Err(SignatureError::RecoveryId { v }),
        };
        let s = compact.last_chunk::<32>().ok_or(SignatureError::Unrecoverable)?;
        if *s > HALF_ORDER {
            return Err(SignatureError::HighS);
        }
        Ok(Self { compact, odd })
    }
}

#[cfg(test)]
mod tests {
    //! The two libraries without the rules that stand before them, so that these rules hide no difference.

    use super::{Parts, libsecp, rustcrypto};
    use crate::sha256;

    /// Numbers at the edges: 0, 1, the order and its neighbours, the largest.
    fn edges() -> Vec<[u8; 32]> {
        let mut edges = vec![[0; 32], [0xff; 32], super::HALF_ORDER];
        for last in [0x40, 0x41, 0x42] {
            let mut order = [0xff; 32];
            let tail: [u8; 17] =
                [0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, last];
            order.iter_mut().skip(15).zip(tail).for_each(|(to, from)| *to = from);
            edges.push(order);
        }
        edges
    }

    #[test]
    fn the_libraries_agree_on_high_s_and_on_numbers_out_of_range() {
        let edges = edges();
        for round in 0..3_000u32 {
            let number = |name: &[u8]| {
                let hash = sha256(&[name, &round.to_be_bytes()]);
                let [choice, which, ..] = sha256(&[&hash]);
                let edge = edges.get(usize::from(which).rem_euclid(edges.len())).copied().unwrap_or_default();
                if choice < 64 { edge } else { hash }
            };
            let (digest, r, mut s) = (number(b"digest"), number(b"r"), number(b"s"));
            if round.is_multiple_of(2) {
                s[0] |= 0x80;
            }
            let mut compact = [0; 64];
            compact.iter_mut().zip(r.into_iter().chain(s)).for_each(|(to, from)| *to = from);
            for odd in [false, true] {
                let parts = Parts { compact, odd };
                assert_eq!(libsecp::recover(&digest, &parts), rustcrypto::recover(&digest, &parts), "round {round}");
            }
        }
    }
}
