//! The accounts of the well-known test mnemonic. Everybody has their keys, so that they are good on a devnet alone.

use bip32::{ChildNumber, DerivationPath, XPrv};
use db3_primitives::{Address, SecretKey};

use crate::devnet_args::DEV_MNEMONIC;

/// How many of them are known: as many as a devnet can have.
const COUNT: u32 = 1_000;

/// Whether the address is one of the mnemonic's, `m/44'/60'/0'/0/i` (BIP-32, BIP-39, BIP-44).
pub fn is_dev_account(address: &Address) -> bool {
    let Some(parent) = parent() else { return false };
    (0..COUNT).any(|index| child(&parent, index) == Some(*address))
}

fn parent() -> Option<XPrv> {
    let mut seed = [0u8; 64];
    pbkdf2::pbkdf2_hmac::<sha2::Sha512>(DEV_MNEMONIC.as_bytes(), b"mnemonic", 2_048, &mut seed);
    let path: DerivationPath = "m/44'/60'/0'/0".parse().ok()?;
    XPrv::derive_from_path(&seed, &path).ok()
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
            assert!(is_dev_account(&address.parse().unwrap()), "{address}");
        }
        assert!(!is_dev_account(&Address::new([1; 20])));
    }
}
