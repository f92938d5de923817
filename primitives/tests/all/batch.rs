//! Many signatures verified together against the same signatures one by one.

use db3_primitives::signature::{Claim, KnownKeys, verify_all};
use db3_primitives::{Address, Hash32, SecretKey, sha256, verify};
use proptest::prelude::*;

type Made = (Hash32, [u8; 65], Address);

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number.max(1); 32]).unwrap()
}

/// What is done to a good signature, or to what is said about it.
#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    Signature { byte: usize, bit: u8 },
    Digest { byte: usize, bit: u8 },
    Claimed(u8),
    HighS,
    Junk([u8; 65]),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (0..65_usize, 0..8_u8).prop_map(|(byte, bit)| Damage::Signature { byte, bit }),
        (0..32_usize, 0..8_u8).prop_map(|(byte, bit)| Damage::Digest { byte, bit }),
        (1..6_u8).prop_map(Damage::Claimed),
        Just(Damage::HighS),
        proptest::array::uniform(any::<u8>()).prop_map(Damage::Junk),
    ]
}

fn make(number: u64, signer: u8, damage: Damage) -> Made {
    let mut digest = sha256(&[&number.to_be_bytes()]);
    let (mut signature, mut account) = (key(signer).sign(&digest), key(signer).address());
    match damage {
        Damage::None => {}
        Damage::Signature { byte, bit } => signature[byte] ^= 1 << bit,
        Damage::Digest { byte, bit } => digest[byte] ^= 1 << bit,
        Damage::Claimed(other) => account = key(other).address(),
        Damage::HighS => signature[32] |= 0x80,
        Damage::Junk(junk) => signature = junk,
    }
    (digest, signature, account)
}

fn agree(made: &[Made], known: &KnownKeys) {
    let claims: Vec<Claim<'_>> =
        made.iter().map(|(digest, signature, signer)| Claim { digest: *digest, signature, signer: *signer }).collect();
    let alone: Vec<_> = made.iter().map(|(digest, signature, _)| verify(digest, signature)).collect();
    assert_eq!(verify_all(&claims, known), alone);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_batch_answers_as_one_by_one_does(
        signers in proptest::collection::vec(1..6_u8, 0..60),
        damaged in proptest::collection::vec((any::<prop::sample::Index>(), damage()), 0..3),
        first in 0..1_000_u64,
    ) {
        let mut made: Vec<Made> =
            signers.iter().zip(first..).map(|(signer, number)| make(number, *signer, Damage::None)).collect();
        let known = KnownKeys::default();
        agree(&made, &known);
        for (place, damage) in damaged {
            if !made.is_empty() {
                let place = place.index(made.len());
                made[place] = make(first + place as u64, signers[place], damage);
            }
        }
        agree(&made, &known);
        agree(&made, &KnownKeys::default());
    }
}

#[test]
fn one_signature_may_stand_in_a_batch_many_times() {
    let known = KnownKeys::default();
    let made = vec![make(1, 1, Damage::None); 50];
    agree(&made, &known);
    agree(&made, &known);
}

#[test]
fn a_key_that_was_learned_serves_no_other_account() {
    let known = KnownKeys::default();
    let good: Vec<Made> = (0..20).map(|number| make(number, 1, Damage::None)).collect();
    agree(&good, &known);
    let stolen: Vec<Made> = (0..20).map(|number| make(number, 2, Damage::Claimed(1))).collect();
    agree(&stolen, &known);
    let claimed: Vec<Made> = (0..20).map(|number| make(number, 1, Damage::Claimed(2))).collect();
    agree(&claimed, &known);
}
