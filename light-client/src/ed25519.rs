//! ed25519 signatures by the rules of ZIP-215, which are `CometBFT`'s: many at once, or one.
//!
//! Keys and the first half of a signature (R) may be any encoding of a point, also one that is not canonical; the second
//! half (s) must be below the group's order L; and 8·s·B = 8·R + 8·k·A, where k = SHA-512(R ‖ A ‖ message) mod L. By these rules
//! many signatures at once are good exactly where each of them is, but for one chance in 2^128.
//!
//! The sum for many takes each equation times a coefficient of 128 bits. They come from a hash of all keys, signatures and
//! messages instead of a random source (rule I7): whoever wants false signatures to cancel out would have to find them by
//! trial, and each trial has that one chance. It must never accept what a single verification refuses.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use sha2::{Digest, Sha512};

/// What the coefficients' hash begins with, so that it is no other hash.
const SEED_TAG: &[u8] = b"db3 light client: coefficients of a batch of ed25519 signatures";

/// Somebody claims that a key signed a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) message: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// A claim whose parts are points and numbers.
struct Equation {
    key: [u8; 32],
    signature: [u8; 64],
    a: EdwardsPoint,
    r: EdwardsPoint,
    s: Scalar,
    k: Scalar,
}

/// The first claim, in their order, that is not true.
pub(crate) fn first_false(claims: &[Claim<'_>]) -> Option<usize> {
    let equations: Vec<Option<Equation>> = claims.iter().map(Equation::of).collect();
    let formed: Option<Vec<&Equation>> = equations.iter().map(Option::as_ref).collect();
    if formed.is_some_and(|equations| hold_together(&equations)) {
        return None;
    }
    equations.iter().position(|equation| !equation.as_ref().is_some_and(Equation::holds))
}

/// Whether all equations hold: Σ zᵢ·Rᵢ + Σ zᵢ·kᵢ·Aᵢ − (Σ zᵢ·sᵢ)·B, times 8, is nothing.
#[expect(clippy::arithmetic_side_effects, reason = "sums in a group and its field wrap by their nature")]
fn hold_together(equations: &[&Equation]) -> bool {
    let mut hasher = Sha512::new_with_prefix(SEED_TAG);
    for equation in equations {
        // k stands for the message: it is the hash of R, A and the message.
        hasher.update(equation.key);
        hasher.update(equation.signature);
        hasher.update(equation.k.as_bytes());
    }
    let seed = hasher.finalize();
    let terms = equations.len().saturating_mul(2).saturating_add(1);
    let (mut scalars, mut points) = (Vec::with_capacity(terms), Vec::with_capacity(terms));
    let mut of_base = Scalar::ZERO;
    for (number, equation) in (0_u64..).zip(equations) {
        let z = coefficient(&seed, number);
        of_base -= z * equation.s;
        scalars.extend([z, z * equation.k]);
        points.extend([equation.r, equation.a]);
    }
    scalars.push(of_base);
    points.push(ED25519_BASEPOINT_POINT);
    EdwardsPoint::vartime_multiscalar_mul(&scalars, &points).mul_by_cofactor().is_identity()
}

fn coefficient(seed: &[u8], number: u64) -> Scalar {
    let hash = Sha512::new().chain_update(seed).chain_update(number.to_be_bytes()).finalize();
    let half = hash.first_chunk::<16>().copied().unwrap_or_default();
    // Never 0, which would leave a claim out.
    Scalar::from(u128::from_le_bytes(half).max(1))
}

impl Equation {
    /// None, where the claim is false by its form alone.
    fn of(claim: &Claim<'_>) -> Option<Self> {
        let key: [u8; 32] = claim.key.try_into().ok()?;
        let signature: [u8; 64] = claim.signature.try_into().ok()?;
        let (r_bytes, s_bytes) = signature.split_first_chunk::<32>()?;
        let s = Option::from(Scalar::from_canonical_bytes(s_bytes.try_into().ok()?))?;
        let a = CompressedEdwardsY(key).decompress()?;
        let r = CompressedEdwardsY(*r_bytes).decompress()?;
        let hash = Sha512::new().chain_update(r_bytes).chain_update(key).chain_update(claim.message).finalize();
        Some(Self { key, signature, a, r, s, k: Scalar::from_bytes_mod_order_wide(&hash.into()) })
    }

    /// 8·R = 8·(s·B − k·A).
    #[expect(clippy::arithmetic_side_effects, reason = "sums in a group and its field wrap by their nature")]
    fn holds(&self) -> bool {
        let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&-self.k, &self.a, &self.s);
        (self.r - expected).mul_by_cofactor().is_identity()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
    use curve25519_dalek::constants::EIGHT_TORSION;
    use ed25519_consensus::{Signature, SigningKey, VerificationKey};
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    struct Signed {
        key: Vec<u8>,
        message: Vec<u8>,
        signature: Vec<u8>,
    }

    fn signed(seed: u8, message: &[u8]) -> Signed {
        let key = SigningKey::from([seed; 32]);
        Signed {
            key: key.verification_key().to_bytes().to_vec(),
            message: message.to_vec(),
            signature: key.sign(message).to_bytes().to_vec(),
        }
    }

    /// The judgement of the library that this module must agree with.
    fn is_true(signed: &Signed) -> bool {
        let key = VerificationKey::try_from(signed.key.as_slice());
        let signature = Signature::try_from(signed.signature.as_slice());
        key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify(&signature, &signed.message).is_ok()))
    }

    fn first_false_of(all: &[Signed]) -> Option<usize> {
        let claim =
            |s: &'_ Signed| -> (Vec<u8>, Vec<u8>, Vec<u8>) { (s.key.clone(), s.message.clone(), s.signature.clone()) };
        let parts: Vec<_> = all.iter().map(claim).collect();
        let claims: Vec<Claim<'_>> =
            parts.iter().map(|(key, message, signature)| Claim { key, message, signature }).collect();
        first_false(&claims)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_batch_refuses_exactly_what_single_verification_refuses(
            seeds in prop::collection::vec((1..9_u8, any::<[u8; 8]>()), 1..12),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<prop::sample::Index>(), 0..8_u32), 0..3),
        ) {
            let mut all: Vec<Signed> = seeds.iter().map(|(seed, message)| signed(*seed, message)).collect();
            for (which, part, byte, bit) in flips {
                let one = which.index(all.len());
                let bytes = match part {
                    0 => &mut all[one].key,
                    1 => &mut all[one].message,
                    _ => &mut all[one].signature,
                };
                let at = byte.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            prop_assert_eq!(first_false_of(&all), all.iter().position(|signed| !is_true(signed)));
        }
    }

    /// ZIP-215's own test: every pair of encodings of points of small order, the ones that are not canonical too, with s = 0.
    #[test]
    fn points_of_small_order_are_judged_as_zip_215_wants() {
        let mut encodings: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
        // y = 1 and y = 0 and −1 with the other sign, and with the field's prime added.
        for low in [0xed_u8, 0xee, 0xec] {
            for sign in [0x7f, 0xff] {
                let mut bytes = [0xff; 32];
                (bytes[0], bytes[31]) = (low, sign);
                encodings.push(bytes);
            }
        }
        let mut one_negative = [0; 32];
        (one_negative[0], one_negative[31]) = (1, 0x80);
        encodings.push(one_negative);
        let mut accepted = Vec::new();
        for key in &encodings {
            for r in &encodings {
                let claim = Signed {
                    key: key.to_vec(),
                    message: b"Zcash".to_vec(),
                    signature: [r.as_slice(), &[0; 32]].concat(),
                };
                assert_eq!(first_false_of(std::slice::from_ref(&claim)).is_none(), is_true(&claim), "{claim:02x?}");
                if is_true(&claim) {
                    accepted.push(claim);
                }
            }
        }
        assert!(accepted.len() > 150, "{}", accepted.len());
        assert_eq!(first_false_of(&accepted), None, "together as well");
        // A number that is not below the order is refused, whatever the points.
        let mut claim = accepted[0].clone();
        claim.signature[63] = 0xff;
        accepted.insert(3, claim);
        assert_eq!(first_false_of(&accepted), Some(3));
    }

    #[test]
    fn wrong_lengths_are_false_and_no_claims_are_true() {
        assert_eq!(first_false(&[]), None);
        let good = signed(1, b"m");
        for (key, signature) in [(31, 64), (32, 63)] {
            let bad = Signed {
                key: good.key[..key].to_vec(),
                signature: good.signature[..signature].to_vec(),
                ..good.clone()
            };
            assert_eq!(first_false_of(&[good.clone(), bad]), Some(1));
        }
    }
}
