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
/// The branches that a devnet takes keys from: its accounts, its faucet, its validators' payouts.
const BRANCHES: [&str; 3] = ["m/44'/60'/0'/0", "m/44'/60'/1'/0", "m/44'/60'/2'/0"];
/// How many of each branch are known: as many accounts as a devnet can have.
const COUNT: u32 = 1_000;

/// Whether the address is one of the mnemonic's, `m/44'/60'/a'/0/i` with a < 3 and i < 1 000 (BIP-32, BIP-39, BIP-44).
/// The first call takes a fraction of a second.
#[must_use]
pub fn is_test_account(address: &Address) -> bool {
    static KNOWN: OnceLock<BTreeSet<Address>> = OnceLock::new();
    KNOWN.get_or_init(|| BRANCHES.iter().flat_map(|branch| accounts(branch)).collect()).contains(address)
}

fn accounts(branch: &str) -> Vec<Address> {
    let mut seed = [0u8; 64];
    pbkdf2::pbkdf2_hmac::<sha2::Sha512>(TEST_MNEMONIC.as_bytes(), SEED_SALT, SEED_ROUNDS, &mut seed);
    let parent = branch.parse::<DerivationPath>().and_then(|path| XPrv::derive_from_path(&seed, &path));
    let Ok(parent) = parent else { return Vec::new() };
    (0..COUNT).filter_map(|index| child(&parent, index)).collect()
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
}
