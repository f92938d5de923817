//! Encrypting and decrypting one key. Derived keys and secrets are wiped from memory after use.

use aes::Aes128;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use db3_primitives::{Address, SecretKey};
use sha2::Sha256;
use sha3::{Digest, Keccak256};
use zeroize::Zeroizing;

use super::document::{CipherParams, Crypto, KdfParams};
use super::{KeyFile, KeystoreError};

/// Most memory that opening a file may take; geth's standard takes half of it.
const SCRYPT_MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Most work (n · r · p) that opening a file may take: thirty-two times geth's standard.
const SCRYPT_WORK_MAX: u64 = 1 << 26;
/// Most rounds of PBKDF2; geth wrote 262 144.
const PBKDF2_ROUNDS_MAX: u64 = 10_000_000;

/// What scrypt costs whoever opens, or guesses at, a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ScryptCost {
    log_n: u8,
}

impl ScryptCost {
    /// n = 4 096, r = 8, p = 1: 4 MiB and about 10 ms. For development networks, whose keys everybody knows.
    pub const LIGHT: Self = Self { log_n: 12 };
    /// n = 262 144, r = 8, p = 1: 256 MiB and about a second. geth's standard.
    pub const STANDARD: Self = Self { log_n: 18 };
    const R: u32 = 8;
    const P: u32 = 1;

    fn n(self) -> u64 {
        1 << self.log_n
    }
}

/// Encrypts a secret key under a password.
pub fn seal(secret: &[u8; 32], password: &str, cost: ScryptCost) -> Result<KeyFile, KeystoreError> {
    let address = address_of(secret)?;
    let salt: [u8; 32] = random()?;
    let iv: [u8; 16] = random()?;
    let kdfparams = KdfParams {
        dklen: 32,
        n: Some(cost.n()),
        r: Some(u64::from(ScryptCost::R)),
        p: Some(u64::from(ScryptCost::P)),
        salt: hex::encode(salt),
        ..KdfParams::default()
    };
    let derived = derive("scrypt", &kdfparams, password)?;
    let mut text = *secret;
    apply_cipher(&derived, &iv, &mut text);
    Ok(KeyFile {
        address: Some(hex::encode(address.as_bytes())),
        crypto: Crypto {
            cipher: "aes-128-ctr".to_owned(),
            cipherparams: CipherParams { iv: hex::encode(iv) },
            ciphertext: hex::encode(text),
            kdf: "scrypt".to_owned(),
            kdfparams,
            mac: hex::encode(mac(&derived, &text)),
        },
        id: random_uuid()?,
        version: 3,
    })
}

/// Decrypts a file. The secret is wiped when the result is dropped.
pub fn open(file: &KeyFile, password: &str) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let crypto = &file.crypto;
    if crypto.cipher != "aes-128-ctr" {
        return Err(unsupported("cipher", &crypto.cipher, "aes-128-ctr"));
    }
    let iv: [u8; 16] = hex_field("crypto.cipherparams.iv", &crypto.cipherparams.iv)?;
    let mut text: [u8; 32] = hex_field("crypto.ciphertext", &crypto.ciphertext)?;
    let expected: [u8; 32] = hex_field("crypto.mac", &crypto.mac)?;
    let derived = derive(&crypto.kdf, &crypto.kdfparams, password)?;
    let actual = mac(&derived, &text);
    let difference = actual.iter().zip(&expected).fold(0u8, |sum, (left, right)| sum | (left ^ right));
    if difference != 0 {
        return Err(KeystoreError::WrongPassword);
    }
    apply_cipher(&derived, &iv, &mut text);
    let secret = Zeroizing::new(text);
    zeroize::Zeroize::zeroize(&mut text);
    check_address(file, &secret)?;
    Ok(secret)
}

fn check_address(file: &KeyFile, secret: &[u8; 32]) -> Result<(), KeystoreError> {
    let actual = address_of(secret)?;
    let Some(named) = &file.address else { return Ok(()) };
    if file.address_hex().as_deref() == Some(hex::encode(actual.as_bytes()).as_str()) {
        return Ok(());
    }
    Err(KeystoreError::AddressMismatch { named: named.clone(), actual: actual.to_string() })
}

fn address_of(secret: &[u8; 32]) -> Result<Address, KeystoreError> {
    SecretKey::from_bytes(*secret).map(|key| key.address()).map_err(|_| KeystoreError::InvalidSecret)
}

fn derive(kdf: &str, params: &KdfParams, password: &str) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    if params.dklen != 32 {
        return Err(KeystoreError::Cost { what: "dklen", value: params.dklen, bounds: "32" });
    }
    let salt = hex::decode(&params.salt)
        .map_err(|error| KeystoreError::Damaged { field: "crypto.kdfparams.salt", detail: error.to_string() })?;
    let mut derived = Zeroizing::new([0u8; 32]);
    match kdf {
        "scrypt" => {
            let scrypt_params = scrypt_params(params)?;
            scrypt::scrypt(password.as_bytes(), &salt, &scrypt_params, derived.as_mut_slice())
                .map_err(|_| KeystoreError::Cost { what: "dklen", value: params.dklen, bounds: "32" })?;
        }
        "pbkdf2" => {
            let prf = params.prf.as_deref().unwrap_or_default();
            if prf != "hmac-sha256" {
                return Err(unsupported("prf", prf, "hmac-sha256"));
            }
            let rounds = required("crypto.kdfparams.c", params.c)?;
            let bounded = u32::try_from(rounds).ok().filter(|_| (1..=PBKDF2_ROUNDS_MAX).contains(&rounds));
            let rounds = bounded.ok_or(KeystoreError::Cost { what: "c", value: rounds, bounds: "1 to 10000000" })?;
            pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, rounds, derived.as_mut_slice());
        }
        other => return Err(unsupported("kdf", other, "scrypt and pbkdf2")),
    }
    Ok(derived)
}

fn scrypt_params(params: &KdfParams) -> Result<scrypt::Params, KeystoreError> {
    let n = required("crypto.kdfparams.n", params.n)?;
    let r = required("crypto.kdfparams.r", params.r)?;
    let p = required("crypto.kdfparams.p", params.p)?;
    let cost = |what, value, bounds| KeystoreError::Cost { what, value, bounds };
    if !n.is_power_of_two() || n < 2 {
        return Err(cost("n", n, "the powers of two"));
    }
    if r == 0 || r > 1024 {
        return Err(cost("r", r, "1 to 1024"));
    }
    if p == 0 || p > 1024 {
        return Err(cost("p", p, "1 to 1024"));
    }
    // Below the checks above, r and p have at most 11 bits each, so that only n needs saturating products.
    if n.saturating_mul(r).saturating_mul(128) > SCRYPT_MEMORY_BYTES_MAX {
        return Err(cost("n", n, "128 n r <= 512 MiB"));
    }
    if n.saturating_mul(r).saturating_mul(p) > SCRYPT_WORK_MAX {
        return Err(cost("p", p, "n r p <= 2^26"));
    }
    let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| cost("n", n, "the powers of two"))?;
    let (r, p) = (u32::try_from(r).unwrap_or(u32::MAX), u32::try_from(p).unwrap_or(u32::MAX));
    scrypt::Params::new(log_n, r, p).map_err(|_| cost("n", n, "what scrypt allows"))
}

fn required(field: &'static str, value: Option<u64>) -> Result<u64, KeystoreError> {
    value.ok_or_else(|| KeystoreError::Damaged { field, detail: "is missing".to_owned() })
}

fn unsupported(what: &'static str, name: &str, supported: &'static str) -> KeystoreError {
    KeystoreError::Unsupported { what, name: name.to_owned(), supported }
}

fn hex_field<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], KeystoreError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut bytes = [0u8; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| KeystoreError::Damaged {
        field,
        detail: format!("is not {N} bytes of hex but `{}`", text.chars().take(80).collect::<String>()),
    })?;
    Ok(bytes)
}

/// Keccak-256 over the second half of the derived key and the ciphertext.
fn mac(derived: &[u8; 32], ciphertext: &[u8]) -> [u8; 32] {
    let (_, second) = derived.split_at(16);
    Keccak256::new().chain_update(second).chain_update(ciphertext).finalize().into()
}

fn apply_cipher(derived: &[u8; 32], iv: &[u8; 16], text: &mut [u8; 32]) {
    let mut key = Zeroizing::new([0u8; 16]);
    let (first, _) = derived.split_at(16);
    key.copy_from_slice(first);
    Ctr128BE::<Aes128>::new(&(*key).into(), &(*iv).into()).apply_keystream(text);
}

fn random<const N: usize>() -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|error| KeystoreError::NoRandomness { detail: error.to_string() })?;
    Ok(bytes)
}

/// A version 4 UUID (RFC 9562, section 5.4).
fn random_uuid() -> Result<String, KeystoreError> {
    let mut bytes: [u8; 16] = random()?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = hex::encode(bytes);
    let mut text = String::with_capacity(36);
    for (position, digit) in digits.chars().enumerate() {
        if matches!(position, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    Ok(text)
}
