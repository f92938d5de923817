//! The validator's key in `<home>/config/priv_validator_key.json`, the file that `CometBFT` reads.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db3_genesis::write_secret;
use db3_light_client::build::ValidatorKey;
use serde::{Deserialize, Serialize};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no key.
    #[error("{}: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {detail}")]
    Random {
        /// What it said.
        detail: String,
    },
    /// The key is not the validator's.
    #[error(
        "{}: key {found} is not the chain's one validator, {expected}: the embedded engine runs only where its key is",
        path.display()
    )]
    NotTheValidator {
        /// The file.
        path: PathBuf,
        /// Public key in the file.
        found: String,
        /// Public keys in the genesis.
        expected: String,
    },
}

#[derive(Serialize, Deserialize)]
struct KeyFile {
    address: String,
    pub_key: TypedKey,
    priv_key: TypedKey,
}

#[derive(Serialize, Deserialize)]
struct TypedKey {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

/// Where the key of a folder stands.
#[must_use]
pub(crate) fn key_file(home: &Path) -> PathBuf {
    home.join("config").join("priv_validator_key.json")
}

/// Makes a key and writes it; the file is readable by its owner alone.
pub fn new_key(home: &Path) -> Result<ValidatorKey, KeyError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| KeyError::Random { detail: error.to_string() })?;
    let key = ValidatorKey::from_seed(seed);
    let public = key.public_key();
    let file = KeyFile {
        address: hex::encode_upper(key.address()),
        pub_key: TypedKey { kind: "tendermint/PubKeyEd25519".to_owned(), value: STANDARD.encode(public) },
        priv_key: TypedKey {
            kind: "tendermint/PrivKeyEd25519".to_owned(),
            value: STANDARD.encode([seed, public].concat()),
        },
    };
    let path = key_file(home);
    let text = serde_json::to_string_pretty(&file)
        .map_err(|error| KeyError::Malformed { path: path.clone(), detail: error.to_string() })?;
    write_secret(&path, text.as_bytes()).map_err(|source| KeyError::File { path, source })?;
    Ok(key)
}

/// Reads the key of a folder.
pub fn load_key(home: &Path) -> Result<ValidatorKey, KeyError> {
    let path = key_file(home);
    let text = std::fs::read_to_string(&path).map_err(|source| KeyError::File { path: path.clone(), source })?;
    let malformed = |detail: String| KeyError::Malformed { path: path.clone(), detail };
    let file: KeyFile = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    if file.priv_key.kind != "tendermint/PrivKeyEd25519" {
        return Err(malformed(format!("key of type {}, expected tendermint/PrivKeyEd25519", file.priv_key.kind)));
    }
    let bytes = STANDARD.decode(&file.priv_key.value).map_err(|_| malformed("the key is not base64".to_owned()))?;
    let (seed, public) =
        bytes.split_first_chunk::<32>().ok_or_else(|| malformed("the key is shorter than 64 bytes".to_owned()))?;
    let key = ValidatorKey::from_seed(*seed);
    if public != key.public_key() {
        return Err(malformed("the key's secret and public halves do not belong together".to_owned()));
    }
    Ok(key)
}
