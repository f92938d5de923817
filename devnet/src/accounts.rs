//! The keys of a devnet, all of the well-known test mnemonic that wallets and anvil use: the development accounts
//! `dev0`, `dev1` …, the faucet that funds others, and the addresses that the chains' validators are paid at.
//!
//! Path `m/44'/60'/a'/0/i` (BIP-32, BIP-44) under the mnemonic's seed with an empty passphrase (BIP-39): a is 0 for the
//! development accounts, 1 for the faucet, 2 for the validators (i is 0 for the settlement chain, 1 + n for shard n).
//! Everybody knows these keys: they must never hold anything of value, and `db3` refuses them on any other network.

use std::path::Path;

use anyhow::{Context as _, Result};
use bip32::{DerivationPath, XPrv};
use db3_client::devnet_args::DEV_PASSWORD;
use db3_client::keystore::{Folder, ScryptCost, seal};
use db3_genesis::TEST_MNEMONIC;
use db3_primitives::{Address, SecretKey};
use serde::{Deserialize, Serialize};

/// Rounds and salt of BIP-39's way from a mnemonic to a seed, with an empty passphrase.
const SEED_ROUNDS: u32 = 2_048;
const SEED_SALT: &[u8] = b"mnemonic";

/// An account as the ready file and the tables name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `dev0`, `dev1` …
    pub name: String,
    /// `0x` and 40 hex digits, EIP-55.
    pub address: String,
}

/// A development account with its key.
pub struct DevAccount {
    /// `dev0`, `dev1` …
    pub name: String,
    /// The address of the key.
    pub address: Address,
    key: [u8; 32],
}

impl DevAccount {
    /// How tables name it.
    pub fn account(&self) -> Account {
        Account { name: self.name.clone(), address: self.address.to_string() }
    }
}

/// The keys of a devnet.
pub struct Keys {
    /// The development accounts.
    pub accounts: Vec<DevAccount>,
    /// Funds others, and is the network's treasury.
    pub faucet: SecretKey,
    /// Where the settlement chain's validator is paid, and then each shard's.
    pub payouts: Vec<Address>,
}

/// The keys of a devnet with so many accounts and shards.
pub fn derive(accounts: u32, shards: u32) -> Result<Keys> {
    let mut seed = [0; 64];
    pbkdf2::pbkdf2_hmac::<sha2::Sha512>(TEST_MNEMONIC.as_bytes(), SEED_SALT, SEED_ROUNDS, &mut seed);
    let account = |index: u32| {
        let key = key_at(&seed, 0, index)?;
        let address = SecretKey::from_bytes(key).context("a derived key")?.address();
        Ok(DevAccount { name: format!("dev{index}"), address, key })
    };
    let payout = |index: u32| Ok(SecretKey::from_bytes(key_at(&seed, 2, index)?).context("a derived key")?.address());
    Ok(Keys {
        accounts: (0..accounts).map(account).collect::<Result<_>>()?,
        faucet: SecretKey::from_bytes(key_at(&seed, 1, 0)?).context("a derived key")?,
        payouts: (0..=shards).map(payout).collect::<Result<_>>()?,
    })
}

fn key_at(seed: &[u8; 64], purpose: u32, index: u32) -> Result<[u8; 32]> {
    let path: DerivationPath = format!("m/44'/60'/{purpose}'/0/{index}").parse()?;
    Ok(XPrv::derive_from_path(seed, &path)?.private_key().to_bytes().into())
}

/// Writes the keystore files that are missing, on all cores, because each costs a run of scrypt.
pub fn write_keystore(folder: &Path, accounts: &[DevAccount]) -> Result<()> {
    let missing: Vec<&DevAccount> =
        accounts.iter().filter(|account| !folder.join(file_name(account)).exists()).collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = missing.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = missing
            .chunks(share)
            .map(|chunk| scope.spawn(move || chunk.iter().try_for_each(|account| write_one(folder, account))))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a keystore thread died")))
    })
}

fn file_name(account: &DevAccount) -> String {
    format!("{}.json", account.name)
}

fn write_one(folder: &Path, account: &DevAccount) -> Result<()> {
    let file = seal(&account.key, DEV_PASSWORD, ScryptCost::LIGHT)?;
    Folder::new(folder).add(&account.name, &file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn the_accounts_are_those_that_anvil_shows() {
        let keys = derive(10, 2).unwrap();
        let accounts = &keys.accounts;
        assert_eq!(accounts[0].address.to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(accounts[1].address.to_string(), "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
        assert_eq!(accounts[9].address.to_string(), "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720");
        assert_eq!(accounts[3].name, "dev3");
        assert_eq!(keys.payouts.len(), 3, "one for each chain");
        assert!(accounts.iter().all(|account| account.address != keys.faucet.address()));
    }

    #[test]
    fn a_second_writing_leaves_the_files_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let accounts = derive(2, 1).unwrap().accounts;
        write_keystore(folder.path(), &accounts).unwrap();
        let first = std::fs::read(folder.path().join("dev1.json")).unwrap();
        write_keystore(folder.path(), &accounts).unwrap();
        assert_eq!(std::fs::read(folder.path().join("dev1.json")).unwrap(), first);
    }
}
