//! The accounts of the well-known test mnemonic. Everybody has their keys, so that they are good on a devnet alone.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use bip32::{ChildNumber, DerivationPath, XPrv};
use db3_primitives::{Address, SecretKey};

/// The mnemonic that wallets and anvil use for tests.
pub const TEST_MNEMONIC: &str = "test test test test test test test test test test test junk";
/// Rounds and salt of BIP-39's way from a mnemonic to a seed, with an empty passphrase.
const SEED_ROUNDS: u32 = 2_048;
const SEED_SALT: &[u8] = b"mnemonic";
/// Branches, and how many of each are known: a devnet's accounts, which most wallets come to first; its faucet and its
/// validators' payouts; and where other wallets look.
const BRANCHES: [(&str, u32); 9] = [
    ("m/44'/60'/0'/0", 1_100),
    ("m/44'/60'/1'/0", 1_000),
    ("m/44'/60'/2'/0", 1_000),
    ("m/44'/60'/3'/0", 100),
    ("m/44'/60'/4'/0", 100),
    ("m/44'/60'/0'", 100),
    ("m/44'/60'/0'/1", 100),
    ("m/44'/1'/0'/0", 100),
    ("m/44'/61'/0'/0", 100),
];

/// Whether the address is one of the mnemonic's that tools and wallets come to: the first of the usual branches (BIP-32,
/// BIP-39, BIP-44). There is no end of paths, so that one that nobody uses is not known. The first call takes a fraction
/// of a second.
#[must_use]
pub fn is_test_account(address: &Address) -> bool {
    static KNOWN: OnceLock<BTreeSet<Address>> = OnceLock::new();
    let all = || BRANCHES.iter().flat_map(|(branch, count)| accounts(branch, *count)).collect();
    KNOWN.get_or_init(all).contains(address)
}

fn accounts(branch: &str, count: u32) -> Vec<Address> {
    let mut seed = [0u8; 64];
    pbkdf2::pbkdf2_hmac::<sha2::Sha512>(TEST_MNEMONIC.as_bytes(), SEED_SALT, SEED_ROUNDS, &mut seed);
    let parent = branch.parse::<DerivationPath>().and_then(|path| XPrv::derive_from_path(&seed, &path));
    let Ok(parent) = parent else { return Vec::new() };
    (0..count).filter_map(|index| child(&parent, index)).collect()
}

fn child(parent: &XPrv, index: u32) -> Option<Address> {
    let child = parent.derive_child(ChildNumber::new(index, false).ok()?).ok()?;
    SecretKey::from_bytes(child.private_key().to_bytes().into()).ok().map(|key| key.address())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_accounts_that_anvil_prints_are_known() {
        for address in [
            "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
            "0x8626f6940e2eb28930efb4cef49b2d1f2c9c1199",
        ] {
            assert!(is_test_account(&address.parse().unwrap()), "{address}");
        }
        assert!(!is_test_account(&Address::new([1; 20])));
    }

    #[test]
    fn the_accounts_that_other_wallets_come_to_are_known() {
        for (branch, count) in [("m/44'/60'/0'", 1), ("m/44'/60'/3'/0", 1), ("m/44'/60'/0'/0", 1_001)] {
            let last = accounts(branch, count).pop().unwrap();
            assert!(is_test_account(&last), "number {count} of {branch}");
        }
    }
}
