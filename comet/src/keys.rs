//! The keys of a validator, in `CometBFT`'s own files: `<home>/config/priv_validator_key.json` signs blocks (the embedded
//! engine reads the same file), `<home>/config/node_key.json` names the node to its peers. Both are made when they are
//! missing, readable by their owner alone, and never leave the machine.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use db3_genesis::write_secret;
use db3_light_client::build::ValidatorKey;
use serde::{Deserialize, Serialize};

use crate::error::CometError;

const PUBLIC_TYPE: &str = "tendermint/PubKeyEd25519";
const PRIVATE_TYPE: &str = "tendermint/PrivKeyEd25519";

/// What others may know of a validator's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKeys {
    /// The key that its blocks are signed with.
    pub validator: [u8; 32],
    /// The node's name among its peers.
    pub node_id: [u8; 20],
}

impl PublicKeys {
    /// The node's name as peers write it: 40 hex digits.
    #[must_use]
    pub fn node_id_hex(&self) -> String {
        hex::encode(self.node_id)
    }
}

#[derive(Serialize, Deserialize)]
struct TypedKey {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

#[derive(Serialize, Deserialize)]
struct ValidatorFile {
    address: String,
    pub_key: TypedKey,
    priv_key: TypedKey,
}

#[derive(Serialize, Deserialize)]
struct NodeFile {
    priv_key: TypedKey,
}

/// The file of the validator's key.
#[must_use]
pub fn validator_key_file(home: &Path) -> PathBuf {
    home.join("config").join("priv_validator_key.json")
}

/// The file of the node's key.
#[must_use]
pub fn node_key_file(home: &Path) -> PathBuf {
    home.join("config").join("node_key.json")
}

/// Makes the keys of a node's folder that are missing, and gives their public parts.
///
/// # Errors
/// A file cannot be read or written, or holds no key.
pub fn ensure(home: &Path) -> Result<PublicKeys, CometError> {
    let validator = match read(&validator_key_file(home), |file: ValidatorFile| file.priv_key)? {
        Some(key) => key,
        None => new_validator_key(home)?,
    };
    Ok(PublicKeys { validator: validator.public_key(), node_id: ensure_node(home)? })
}

/// Makes the node's own key if it is missing, and gives the node's name: of a validator whose blocks a signer elsewhere
/// signs, this machine has nothing else.
///
/// # Errors
/// The file cannot be read or written, or holds no key.
pub fn ensure_node(home: &Path) -> Result<[u8; 20], CometError> {
    let node = match read(&node_key_file(home), |file: NodeFile| file.priv_key)? {
        Some(key) => key,
        None => new_node_key(home)?,
    };
    Ok(node.address())
}

/// A validator's public key as a signer tells it: 64 hex digits, or base64 as in `CometBFT`'s files. None if it is none.
#[must_use]
pub fn parse_public(text: &str) -> Option<[u8; 32]> {
    let bytes = hex::decode(text).ok().or_else(|| STANDARD.decode(text).ok())?;
    bytes.try_into().ok()
}

/// The key that blocks are signed with.
///
/// # Errors
/// The file cannot be read, or holds no key.
pub fn load_validator_key(home: &Path) -> Result<ValidatorKey, CometError> {
    let path = validator_key_file(home);
    read(&path, |file: ValidatorFile| file.priv_key)?.ok_or_else(|| CometError::File {
        path,
        source: std::io::Error::new(std::io::ErrorKind::NotFound, "there is no validator's key"),
    })
}

/// Makes a new key for a validator, over one that may be there.
///
/// # Errors
/// The file cannot be written.
pub fn new_validator_key(home: &Path) -> Result<ValidatorKey, CometError> {
    let (key, private) = new_key()?;
    let public = TypedKey { kind: PUBLIC_TYPE.to_owned(), value: STANDARD.encode(key.public_key()) };
    let file = ValidatorFile { address: hex::encode_upper(key.address()), pub_key: public, priv_key: private };
    write(&validator_key_file(home), &file)?;
    Ok(key)
}

fn new_node_key(home: &Path) -> Result<ValidatorKey, CometError> {
    let (key, private) = new_key()?;
    write(&node_key_file(home), &NodeFile { priv_key: private })?;
    Ok(key)
}

fn new_key() -> Result<(ValidatorKey, TypedKey), CometError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| CometError::Random { detail: error.to_string() })?;
    let key = ValidatorKey::from_seed(seed);
    let value = STANDARD.encode([seed, key.public_key()].concat());
    Ok((key, TypedKey { kind: PRIVATE_TYPE.to_owned(), value }))
}

fn write(path: &Path, file: &impl Serialize) -> Result<(), CometError> {
    let text = serde_json::to_string_pretty(file)
        .map_err(|error| CometError::Key { path: path.to_owned(), detail: error.to_string() })?;
    write_secret(path, text.as_bytes()).map_err(CometError::file(path))
}

/// The key in a file; none if there is no such file.
fn read<F>(path: &Path, private: impl FnOnce(F) -> TypedKey) -> Result<Option<ValidatorKey>, CometError>
where
    F: for<'de> Deserialize<'de>,
{
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CometError::file(path)(error)),
    };
    let malformed = |detail: String| CometError::Key { path: path.to_owned(), detail };
    let file = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    let private = private(file);
    if private.kind != PRIVATE_TYPE {
        return Err(malformed(format!("key of type {}, expected {PRIVATE_TYPE}", private.kind)));
    }
    let bytes = STANDARD.decode(&private.value).map_err(|_| malformed("the key is not base64".to_owned()))?;
    let (seed, public) =
        bytes.split_first_chunk::<32>().ok_or_else(|| malformed("the key is shorter than 64 bytes".to_owned()))?;
    let key = ValidatorKey::from_seed(*seed);
    if public != key.public_key() {
        return Err(malformed("the key's secret and public halves do not belong together".to_owned()));
    }
    Ok(Some(key))
}
