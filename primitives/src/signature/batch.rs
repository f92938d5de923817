//! Many signatures at once, with the answers that [`verify`](super::verify) gives about each.
//!
//! A signature (r, s, v) over the digest z recovers the key Q exactly if s·R = z·G + r·Q, where R is the point with
//! abscissa r and the parity v. An account's first signature is recovered alone and gives Q, which is remembered. Later
//! ones hold if every Rᵢ − (zᵢ/sᵢ)·G − (rᵢ/sᵢ)·Qᵢ is the neutral element. These are summed, each times a coefficient aᵢ
//! of 128 bits (Bellare, Garay and Rabin, Fast batch verification for modular exponentiation and digital signatures,
//! 1998): a product for every R, two for every account, two for G, by buckets. The group has prime order, so a sum with
//! a wrong term is neutral for one in 2¹²⁸ choices of its coefficient.
//!
//! The coefficients are a hash of the whole batch: nobody can choose a signature after having seen them. Where the sum
//! is not neutral, every signature is verified alone; so a false one costs its batch no more than half as much again.

#![expect(clippy::arithmetic_side_effects, reason = "scalars and points: a field and a group, nothing overflows")]

mod buckets;
mod known;

use std::collections::BTreeMap;

use k256::elliptic_curve::ff::BatchInverter;
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::{Group, PrimeField};
use k256::{AffinePoint, FieldBytes, Scalar};

use super::{Parts, SignatureError, libsecp};
use crate::{Address, Hash32, sha256};
pub use known::KnownKeys;
use known::{Doubled, Key, generator};

/// Recovering one key takes as long as so many additions of points here.
const ADDITIONS_ALONE: usize = 130;

/// What stands before a batch where its coefficients are hashed.
const TAG: &[u8] = b"db3.v1/batch\0";

/// A signature that is to be verified, and who should have made it.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// What was signed.
    pub digest: Hash32,
    /// r ‖ s ‖ v
    pub signature: &'a [u8; 65],
    /// The account that is said to have signed. A false one costs time and changes no answer.
    pub signer: Address,
}

impl Claim<'_> {
    fn verify(&self) -> Result<Address, SignatureError> {
        super::verify(&self.digest, self.signature)
    }
}

/// What [`verify`](super::verify) answers about each of the claims, in order: the address whose key made the signature,
/// or why it does not hold. What is in `known` decides about the time that it takes and about no answer.
#[must_use]
pub fn verify_all(claims: &[Claim<'_>], known: &KnownKeys) -> Vec<Result<Address, SignatureError>> {
    let mut keys = known.of(claims.iter().map(|claim| claim.signer));
    let mut answers = Vec::with_capacity(claims.len());
    let mut batch = Batch::default();
    for (place, claim) in claims.iter().enumerate() {
        answers.push(match keys.get_mut(&claim.signer) {
            Some(key) => match Term::of(claim) {
                Some(term) => {
                    batch.add(place, claim, key.ready(), term);
                    None
                }
                None => Some(claim.verify()),
            },
            None => Some(Parts::of(claim.signature).and_then(|parts| {
                let key = libsecp::recover_key(&claim.digest, &parts).ok_or(SignatureError::Unrecoverable)?;
                let address = libsecp::address(&key);
                if let (true, Some(point)) = (address == claim.signer, libsecp::point(&key)) {
                    keys.insert(address, Key::Seen(point));
                }
                Ok(address)
            })),
        });
    }
    known.remember(keys);
    let hold = batch.is_worth_it() && batch.holds();
    let answer = |(answer, claim): (Option<_>, &Claim<'_>)| {
        answer.unwrap_or_else(|| if hold { Ok(claim.signer) } else { claim.verify() })
    };
    answers.into_iter().zip(claims).map(answer).collect()
}

/// Signatures whose numbers are in range, of accounts whose keys are known.
#[derive(Default)]
struct Batch {
    terms: Vec<(usize, Term)>,
    keys: Vec<Doubled>,
    accounts: BTreeMap<Address, usize>,
    /// SHA-256 over what the terms were made of.
    seed: Hash32,
}

/// What a signature says, where that is a point and two numbers.
struct Term {
    point: AffinePoint,
    r: Scalar,
    s: Scalar,
    z: Scalar,
}

impl Term {
    fn of(claim: &Claim<'_>) -> Option<Self> {
        let parts = Parts::of(claim.signature).ok()?;
        let (r, s) = parts.compact.split_first_chunk::<32>()?;
        let number = |bytes: &Hash32| {
            let number: Option<Scalar> = Scalar::from_repr(FieldBytes::from(*bytes)).into();
            number.filter(|number| *number != Scalar::ZERO)
        };
        let z = <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::from(claim.digest));
        Some(Self { r: number(r)?, s: number(s.first_chunk()?)?, z, point: libsecp::signature_point(&parts)? })
    }
}

impl Batch {
    fn add(&mut self, place: usize, claim: &Claim<'_>, key: Doubled, term: Term) {
        let place = u64::try_from(place).unwrap_or(u64::MAX).to_be_bytes();
        self.seed = sha256(&[TAG, &self.seed, &place, claim.signer.as_bytes(), &claim.digest, claim.signature]);
        let next = self.keys.len();
        let index = *self.accounts.entry(claim.signer).or_insert(next);
        if index == next {
            self.keys.push(key);
        }
        self.terms.push((index, term));
    }

    /// Whether it is decided sooner than its signatures one by one.
    fn is_worth_it(&self) -> bool {
        let products = self.terms.len() + 2 * self.keys.len() + 2;
        buckets::additions(products) < ADDITIONS_ALONE.saturating_mul(self.terms.len())
    }

    /// Whether all of it holds.
    fn holds(&self) -> bool {
        let mut numbers = coefficients(&self.seed, self.terms.len());
        let mut inverses: Vec<Scalar> = self.terms.iter().map(|(_, term)| term.s).collect();
        BatchInverter::invert_with_external_scratch(&mut inverses, &mut vec![Scalar::ZERO; self.terms.len()]);
        let mut of_generator = Scalar::ZERO;
        let mut of_keys = vec![Scalar::ZERO; self.keys.len()];
        for ((key, term), (number, inverse)) in self.terms.iter().zip(numbers.iter().zip(&inverses)) {
            let factor = Scalar::from(*number) * inverse;
            of_generator -= factor * term.z;
            if let Some(of_key) = of_keys.get_mut(*key) {
                *of_key -= factor * term.r;
            }
        }
        let mut points: Vec<AffinePoint> = self.terms.iter().map(|(_, term)| term.point).collect();
        for (key, number) in self.keys.iter().chain([generator()]).zip(of_keys.iter().chain([&of_generator])) {
            let (high, low) = halves(number);
            points.extend([key.high, key.low]);
            numbers.extend([high, low]);
        }
        bool::from(buckets::sum_of_products(&points, &numbers).is_identity())
    }
}

/// A number as its upper and lower 128 bits.
fn halves(number: &Scalar) -> (u128, u128) {
    let bytes: Hash32 = number.to_repr().into();
    let mut halves = bytes.as_chunks::<16>().0.iter().map(|half| u128::from_be_bytes(*half));
    (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
}

/// So many numbers of 128 bits, from a seed.
fn coefficients(seed: &Hash32, count: usize) -> Vec<u128> {
    let mut coefficients = Vec::with_capacity(count + 1);
    let mut block = 0_u64;
    while coefficients.len() < count {
        let hash = sha256(&[TAG, seed, &block.to_be_bytes()]);
        coefficients.extend(hash.as_chunks::<16>().0.iter().map(|half| u128::from_be_bytes(*half)));
        block += 1;
    }
    coefficients.truncate(count);
    coefficients
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;
    use crate::SecretKey;

    fn key(number: usize) -> SecretKey {
        SecretKey::from_bytes(sha256(&[&number.to_be_bytes()])).unwrap()
    }

    /// Digests signed in turn by so many accounts.
    fn signed(count: usize, accounts: usize) -> Vec<(Hash32, [u8; 65], Address)> {
        let one = |number: usize| {
            let (digest, key) = (sha256(&[b"digest", &number.to_be_bytes()]), key(number % accounts));
            (digest, key.sign(&digest), key.address())
        };
        (0..count).map(one).collect()
    }

    fn batch(signed: &[(Hash32, [u8; 65], Address)]) -> Batch {
        let mut batch = Batch::default();
        for (place, (digest, signature, signer)) in signed.iter().enumerate() {
            let claim = Claim { digest: *digest, signature, signer: *signer };
            let key = (0..100).map(key).find(|key| key.address() == *signer).unwrap();
            let parts = Parts::of(signature).unwrap();
            let known = libsecp::recover_key(&[1; 32], &Parts::of(&key.sign(&[1; 32])).unwrap()).unwrap();
            assert!(libsecp::signature_point(&parts).is_some());
            batch.add(place, &claim, Key::Seen(libsecp::point(&known).unwrap()).ready(), Term::of(&claim).unwrap());
        }
        batch
    }

    #[test]
    fn what_is_signed_holds_together() {
        for (count, accounts) in [(1, 1), (2, 2), (7, 3), (100, 1), (100, 100), (300, 7)] {
            assert!(batch(&signed(count, accounts)).holds(), "{count} of {accounts}");
        }
        assert!(batch(&[]).holds());
    }

    #[test]
    fn one_changed_digest_among_many_does_not_hold() {
        for place in 0..40 {
            let mut signed = signed(40, 4);
            signed[place].0[31] ^= 1;
            assert!(!batch(&signed).holds(), "{place}");
        }
    }

    /// z + s of one signature and z − s of another leave the sum of all R − (z/s)·G − (r/s)·Q as it was.
    #[test]
    fn errors_that_cancel_each_other_do_not_hold() {
        let mut signed = signed(20, 1);
        let shift = |(digest, signature, _): &mut (Hash32, [u8; 65], Address), up: bool| {
            let number = |bytes: &[u8]| <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::try_from(bytes).unwrap());
            let (z, s) = (number(digest), number(&signature[32..64]));
            *digest = if up { z + s } else { z - s }.to_repr().into();
        };
        shift(&mut signed[3], true);
        shift(&mut signed[11], false);
        let changed = batch(&signed);
        let unweighted: Scalar = changed.terms.iter().map(|(_, term)| term.z * term.s.invert().unwrap()).sum();
        let before: Scalar =
            batch(&self::signed(20, 1)).terms.iter().map(|(_, term)| term.z * term.s.invert().unwrap()).sum();
        assert_eq!(unweighted, before, "without coefficients nobody would see it");
        assert!(!changed.holds());
    }

    #[test]
    fn few_signatures_of_many_accounts_are_verified_one_by_one() {
        assert!(!batch(&signed(3, 3)).is_worth_it());
        assert!(batch(&signed(64, 64)).is_worth_it());
        assert!(batch(&signed(16, 1)).is_worth_it());
    }
}
