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

/// The keys of a node's folder: those that are there, and new ones in the place of those that are missing, which are on no
/// disk before they are saved.
pub struct NodeKeys {
    public: PublicKeys,
    /// New files and what they hold.
    new: Vec<(PathBuf, String)>,
}

impl NodeKeys {
    /// Of a node that signs with a key of its own.
    ///
    /// # Errors
    /// A file cannot be read, or holds no key.
    pub fn of(home: &Path) -> Result<Self, CometError> {
        let mut new = Vec::new();
        let path = validator_key_file(home);
        let validator = match read(&path, |file: ValidatorFile| file.priv_key)? {
            Some(key) => key,
            None => made(path, validator_file, &mut new)?,
        };
        Self::with(home, validator.public_key(), new)
    }

    /// Of a node whose blocks a signer elsewhere signs with `validator`: it has no other key than its own.
    ///
    /// # Errors
    /// The file cannot be read, or holds no key.
    pub fn signed_elsewhere(home: &Path, validator: [u8; 32]) -> Result<Self, CometError> {
        Self::with(home, validator, Vec::new())
    }

    fn with(home: &Path, validator: [u8; 32], mut new: Vec<(PathBuf, String)>) -> Result<Self, CometError> {
        let path = node_key_file(home);
        let node = match read(&path, |file: NodeFile| file.priv_key)? {
            Some(key) => key,
            None => made(path, |_, private| to_json(&NodeFile { priv_key: private }), &mut new)?,
        };
        Ok(Self { public: PublicKeys { validator, node_id: node.address() }, new })
    }

    /// Their public parts.
    #[must_use]
    pub fn public(&self) -> PublicKeys {
        self.public
    }

    /// Writes the new ones.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self) -> Result<(), CometError> {
        self.new.iter().try_for_each(|(path, text)| write_secret(path, text.as_bytes()).map_err(CometError::file(path)))
    }
}

/// Makes the keys of a node's folder that are missing, and gives their public parts.
///
/// # Errors
/// A file cannot be read or written, or holds no key.
pub fn ensure(home: &Path) -> Result<PublicKeys, CometError> {
    let keys = NodeKeys::of(home)?;
    keys.save()?;
    Ok(keys.public)
}

/// Makes the node's own key if it is missing, and gives the node's name: of a validator whose blocks a signer elsewhere
/// signs, this machine has nothing else.
///
/// # Errors
/// The file cannot be read or written, or holds no key.
pub fn ensure_node(home: &Path) -> Result<[u8; 20], CometError> {
    let keys = NodeKeys::signed_elsewhere(home, [0; 32])?;
    keys.save()?;
    Ok(keys.public.node_id)
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
    let path = validator_key_file(home);
    let mut new = Vec::new();
    let key = made(path, validator_file, &mut new)?;
    new.iter().try_for_each(|(path, text)| write_secret(path, text.as_bytes()).map_err(CometError::file(path)))?;
    Ok(key)
}

fn validator_file(key: &ValidatorKey, private: TypedKey) -> Result<String, serde_json::Error> {
    let public = TypedKey { kind: PUBLIC_TYPE.to_owned(), value: STANDARD.encode(key.public_key()) };
    to_json(&ValidatorFile { address: hex::encode_upper(key.address()), pub_key: public, priv_key: private })
}

fn to_json(file: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(file)
}

/// A new key, whose file is added to the new ones.
fn made(
    path: PathBuf,
    text: impl FnOnce(&ValidatorKey, TypedKey) -> Result<String, serde_json::Error>,
    new: &mut Vec<(PathBuf, String)>,
) -> Result<ValidatorKey, CometError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| CometError::Random { detail: error.to_string() })?;
    let key = ValidatorKey::from_seed(seed);
    let value = STANDARD.encode([seed, key.public_key()].concat());
    match text(&key, TypedKey { kind: PRIVATE_TYPE.to_owned(), value }) {
        Ok(text) => new.push((path, text)),
        Err(error) => return Err(CometError::Key { path, detail: error.to_string() }),
    }
    Ok(key)
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
