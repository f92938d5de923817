//! k256 against libsecp256k1, and the rules that stand before both.

use db3_primitives::signature::{eip191_digest, signature_from_slice};
use db3_primitives::{SecretKey, SignatureError, keccak256, recover_k256, verify};
use proptest::prelude::*;

/// The order of the group, big endian.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
/// The prime of the field.
const PRIME: &str = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";

fn bytes32(text: &str) -> [u8; 32] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// `a − b` of big-endian numbers.
fn minus(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut difference = [0; 32];
    let mut borrow = 0;
    for index in (0..32).rev() {
        let digit = i16::from(a[index]) - i16::from(b[index]) - borrow;
        borrow = i16::from(digit < 0);
        difference[index] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    difference
}

fn number(value: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[31] = value;
    bytes
}

fn signature(r: &[u8; 32], s: &[u8; 32], v: u8) -> [u8; 65] {
    [&r[..], &s[..], &[v]].concat().try_into().unwrap()
}

/// Both answers, which must be one.
fn both(digest: &[u8; 32], bytes: &[u8; 65]) -> Result<db3_primitives::Address, SignatureError> {
    let answer = verify(digest, bytes);
    assert_eq!(answer, recover_k256(digest, bytes), "digest {} signature {}", hex::encode(digest), hex::encode(bytes));
    answer
}

/// A stream of numbers from one seed (`SplitMix64`), so that every run checks the same inputs.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_be_bytes()));
        bytes
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).unwrap() % end
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }
}

#[test]
fn two_libraries_agree_on_a_hundred_thousand_random_and_adversarial_inputs() {
    let (order, prime) = (bytes32(ORDER), bytes32(PRIME));
    let half = bytes32("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");
    let edges = [
        [0; 32],
        number(1),
        number(2),
        half,
        minus(half, number(1)),
        minus(order, half),
        order,
        minus(order, number(1)),
        prime,
        minus(prime, number(1)),
        minus(prime, order),
        minus(minus(prime, order), number(1)),
        [0xff; 32],
        [0x80; 32],
    ];
    let ids = [0, 1, 2, 3, 4, 27, 28, 29, 31, 35, 128, 255];
    let mut stream = Stream(7);
    let keys: Vec<SecretKey> = (0..64).filter_map(|_| SecretKey::from_bytes(stream.bytes()).ok()).collect();
    let (mut good, mut refused) = (0u32, 0u32);
    for round in 0..110_000u32 {
        let digest = match round % 16 {
            0 => [0; 32],
            1 => [0xff; 32],
            2 => order,
            _ => stream.bytes(),
        };
        let key = &keys[stream.below(keys.len())];
        let whole = if round % 3 == 0 { signature(&stream.bytes(), &stream.bytes(), 0) } else { key.sign(&digest) };
        let mut r: [u8; 32] = whole[..32].try_into().unwrap();
        let mut s: [u8; 32] = whole[32..64].try_into().unwrap();
        let mut v = whole[64];
        match stream.next() % 10 {
            0 => r = stream.pick(&edges),
            1 => s = stream.pick(&edges),
            2 => v = stream.pick(&ids),
            3 => s = minus(order, s),
            4 => (r, s, v) = (stream.pick(&edges), stream.pick(&edges), stream.pick(&ids)),
            5 => r[stream.below(32)] ^= 1 << stream.below(8),
            6 => v ^= 1,
            7 => (r, s) = (s, r),
            _ => {}
        }
        let whole = signature(&r, &s, v);
        if round % 16 == 5 {
            let length = stream.below(130);
            let other: Vec<u8> = whole.iter().copied().cycle().take(length).collect();
            assert_eq!(signature_from_slice(&other).is_ok(), length == 65);
        }
        match both(&digest, &whole) {
            Ok(_) => good += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(good > 20_000 && refused > 20_000, "{good} recovered, {refused} refused");
}

#[test]
fn high_s_is_refused_and_its_low_twin_is_accepted() {
    let key = SecretKey::from_bytes([7; 32]).unwrap();
    for round in 0..200u8 {
        let digest = keccak256(&[&[round]]);
        let low = key.sign(&digest);
        assert_eq!(both(&digest, &low), Ok(key.address()));
        let s: [u8; 32] = low[32..64].try_into().unwrap();
        let high = signature(&low[..32].try_into().unwrap(), &minus(bytes32(ORDER), s), low[64] ^ 1);
        assert_eq!(both(&digest, &high), Err(SignatureError::HighS));
    }
}

#[test]
fn half_the_order_is_the_highest_s() {
    let half = bytes32("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");
    let r = SecretKey::from_bytes([7; 32]).unwrap().sign(&[1; 32])[..32].try_into().unwrap();
    assert!(both(&[1; 32], &signature(&r, &half, 0)).is_ok());
    // n is odd, so the half above is n − half = half + 1.
    assert_eq!(both(&[1; 32], &signature(&r, &minus(bytes32(ORDER), half), 0)), Err(SignatureError::HighS));
}

#[test]
fn r_and_s_must_be_numbers_of_the_group() {
    let good = SecretKey::from_bytes([7; 32]).unwrap().sign(&[1; 32]);
    let (r, s): ([u8; 32], [u8; 32]) = (good[..32].try_into().unwrap(), good[32..64].try_into().unwrap());
    for v in [0, 1] {
        for wrong in [[0; 32], bytes32(ORDER), bytes32(PRIME), [0xff; 32]] {
            assert_eq!(both(&[1; 32], &signature(&wrong, &s, v)), Err(SignatureError::Unrecoverable));
        }
        assert_eq!(both(&[1; 32], &signature(&r, &[0; 32], v)), Err(SignatureError::Unrecoverable));
    }
}

#[test]
fn v_is_0_or_1_and_a_wallets_27_is_named() {
    let good = SecretKey::from_bytes([7; 32]).unwrap().sign(&[1; 32]);
    for v in 2..=255 {
        let mut changed = good;
        changed[64] = v;
        assert_eq!(both(&[1; 32], &changed), Err(SignatureError::RecoveryId { v }));
    }
}

#[test]
fn signatures_of_another_length_are_refused() {
    for bytes in [0, 1, 63, 64, 66, 130, 1_000] {
        assert_eq!(signature_from_slice(&vec![0; bytes]), Err(SignatureError::Length { bytes }));
    }
    assert!(signature_from_slice(&[0; 65]).is_ok());
}

#[test]
fn a_digest_of_zeros_is_signed_and_recovered_like_any_other() {
    let key = SecretKey::from_bytes([7; 32]).unwrap();
    assert_eq!(both(&[0; 32], &key.sign(&[0; 32])), Ok(key.address()));
}

#[test]
fn signing_is_deterministic_by_rfc_6979() {
    // Key 1 over SHA-256 of a known text, as published with the first deterministic Bitcoin signers.
    let digest = db3_primitives::sha256(&[b"Satoshi Nakamoto"]);
    let signature = SecretKey::from_bytes(number(1)).unwrap().sign(&digest);
    assert_eq!(
        hex::encode(&signature[..64]),
        "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
         2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
    );
}

#[test]
fn secret_keys_are_numbers_of_the_group_and_never_shown() {
    assert!(SecretKey::from_bytes([0; 32]).is_err());
    assert!(SecretKey::from_bytes(bytes32(ORDER)).is_err());
    let largest = SecretKey::from_bytes(minus(bytes32(ORDER), number(1))).unwrap();
    assert_eq!(format!("{largest:?}"), "SecretKey(…)");
    assert_eq!(SecretKey::from_bytes([7; 32]).unwrap().to_bytes(), [7; 32]);
}

#[test]
fn personal_sign_hashes_as_wallets_do() {
    // The example in the documentation of ethers.js, hashMessage("Hello World").
    assert_eq!(
        hex::encode(eip191_digest("Hello World")),
        "a1de988600a42c4b4ab089b619297c17d53cffae5d5120d82d8a92d0bb3b78f2"
    );
}

proptest! {
    #[test]
    fn what_is_signed_is_recovered(secret: [u8; 32], digest: [u8; 32]) {
        if let Ok(key) = SecretKey::from_bytes(secret) {
            prop_assert_eq!(both(&digest, &key.sign(&digest)), Ok(key.address()));
        }
    }
}
