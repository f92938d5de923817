//! `network.toml`: what a client has to know of a network before it asks anybody.
//!
//! ```toml
//! name = "devnet"
//! kind = "devnet"
//! epoch_secs = 60
//! keystore = "keystore"                 # optional, relative to this file
//!
//! [[chains]]
//! chain_id = "devnet-shard-0"
//! kind = "shard"
//! index = 0
//! endpoints = ["http://127.0.0.1:7301"]
//!
//! [chains.trust_root]
//! height = 0
//! time = "2026-01-31T09:30:00Z"
//! validators = [{ pubkey = "<64 hex digits>", power = 1 }]
//! ```
//!
//! The trust roots are what everything else is verified from, so this file has to come by a way
//! that its reader trusts. [`NetworkFile::id`] is a hash over them alone: endpoints may change.

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use db3_light_client::{TrustRoot, UnixTime};
use db3_primitives::{BlockTime, ChainId, Hash32, Height, NetworkName, ShardId, ShardMap, limits};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{GenesisDocument, NetworkFileError, Validator, write_atomic};

const ID_TAG: &[u8] = b"db3.v1.Network";

/// What sort of network it is, which decides what tools allow on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// A local network with well-known funded accounts, whose time can be moved.
    Devnet,
    /// One validator in the node's own process, for development and tests.
    Solo,
    /// Validators on `CometBFT`.
    Validators,
}

/// What a chain does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChainKind {
    /// Keeps data.
    Shard,
    /// Settles what is owed.
    Settlement,
}

/// A network, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkFile {
    /// Its name, as in every mutation.
    pub name: NetworkName,
    /// What sort it is.
    pub kind: NetworkKind,
    /// Length of an epoch in seconds.
    pub epoch_secs: NonZeroU64,
    /// Folder of keys that belong to it, relative to the file; a devnet's accounts.
    pub keystore: Option<PathBuf>,
    /// Its chains: every shard once, in order; a settlement chain before them, if there is one.
    pub chains: Vec<ChainEntry>,
}

/// One chain of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEntry {
    /// Its identifier.
    pub chain_id: ChainId,
    /// What it does.
    pub kind: ChainKind,
    /// Number of the shard; 0 for the settlement chain.
    pub index: u32,
    /// URLs of nodes, `http://` or `https://`.
    pub endpoints: Vec<String>,
    /// What its headers are verified from.
    pub trust: TrustEntry,
}

/// Height, time and validators that are trusted without proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustEntry {
    /// The height before the first block.
    pub height: u64,
    /// A second before the chain's genesis.
    pub time: BlockTime,
    /// The validators of the first block.
    pub validators: Vec<Validator>,
}

impl NetworkFile {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, NetworkFileError> {
        let text =
            fs::read_to_string(path).map_err(|source| NetworkFileError::File { path: path.to_owned(), source })?;
        Self::from_toml(&text, path)
    }

    /// Checks a file's text; `path` is for the error's.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, NetworkFileError> {
        let raw: RawNetwork = toml::from_str(text)
            .map_err(|error| NetworkFileError::Malformed { path: path.to_owned(), detail: error.to_string() })?;
        raw.check()
    }

    /// Writes the file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), NetworkFileError> {
        let text = self
            .to_toml()
            .map_err(|error| NetworkFileError::Malformed { path: path.to_owned(), detail: error.to_string() })?;
        write_atomic(path, text.as_bytes()).map_err(|source| NetworkFileError::File { path: path.to_owned(), source })
    }

    /// The file's text.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&RawNetwork::from(self))
    }

    /// The network's identity: SHA-256 over a tag and, for every chain, its trust root's identifier.
    /// Two files with the same identity trust the same things, whatever they are called and
    /// wherever their nodes are.
    pub fn id(&self) -> Result<Hash32, NetworkFileError> {
        let mut hasher = Sha256::new_with_prefix(ID_TAG);
        for chain in &self.chains {
            hasher.update(chain.trust_root()?.id());
        }
        Ok(hasher.finalize().into())
    }

    /// A shard chain.
    #[must_use]
    pub fn shard(&self, shard: ShardId) -> Option<&ChainEntry> {
        self.shards().find(|chain| chain.index == shard.get())
    }

    /// The shard chains, in order.
    pub fn shards(&self) -> impl Iterator<Item = &ChainEntry> {
        self.chains.iter().filter(|chain| chain.kind == ChainKind::Shard)
    }

    /// The settlement chain, if the network has one.
    #[must_use]
    pub fn settlement(&self) -> Option<&ChainEntry> {
        self.chains.iter().find(|chain| chain.kind == ChainKind::Settlement)
    }

    /// A chain by its identifier.
    #[must_use]
    pub fn chain(&self, chain_id: &str) -> Option<&ChainEntry> {
        self.chains.iter().find(|chain| chain.chain_id.as_str() == chain_id)
    }

    /// How the slots are spread over this file's shards (version 1, contiguous ranges).
    pub fn shard_map(&self) -> Result<ShardMap, NetworkFileError> {
        let shards = u32::try_from(self.shards().count()).unwrap_or(u32::MAX);
        ShardMap::new(1, shards).map_err(|error| NetworkFileError::field("chains", format!("{shards} shards"), error))
    }

    /// Folder of the network's keys, if it has one; `file` is where this network was read from.
    #[must_use]
    pub fn keystore_folder(&self, file: &Path) -> Option<PathBuf> {
        let base = file.parent().unwrap_or(Path::new(""));
        self.keystore.as_ref().map(|keystore| base.join(keystore))
    }
}

impl TrustEntry {
    /// What is trusted of a chain that begins with this height, at this time, under these validators. Known before
    /// its genesis is written, which names other chains in the same way.
    #[must_use]
    pub fn before(initial_height: Height, time: BlockTime, validators: Vec<Validator>) -> Self {
        Self {
            height: initial_height.get().saturating_sub(1),
            time: BlockTime { secs: time.secs.saturating_sub(1), nanos: time.nanos },
            validators,
        }
    }
}

impl ChainEntry {
    /// The entry of the chain that begins with `genesis`.
    #[must_use]
    pub fn of_genesis(genesis: &GenesisDocument, endpoints: Vec<String>) -> Self {
        Self {
            chain_id: genesis.chain_id().clone(),
            kind: genesis.kind(),
            index: genesis.app_state().index(),
            endpoints,
            trust: TrustEntry::before(genesis.initial_height(), genesis.time(), genesis.validators().to_vec()),
        }
    }

    /// What a light client of this chain starts from.
    pub fn trust_root(&self) -> Result<TrustRoot, NetworkFileError> {
        let trust = &self.trust;
        let validators: Vec<_> = trust.validators.iter().map(|v| (v.pubkey, v.power)).collect();
        let field = || format!("trust_root of {}", self.chain_id.as_str());
        let time = i64::try_from(trust.time.secs).ok().and_then(|secs| UnixTime::new(secs, trust.time.nanos));
        let time =
            time.ok_or_else(|| NetworkFileError::field(field(), trust.time, "expected a time before the year 10000"))?;
        TrustRoot::new(self.chain_id.as_str(), trust.height, time, &validators)
            .map_err(|error| NetworkFileError::field(field(), format!("height {}", trust.height), error))
    }
}
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNetwork {
    name: String,
    kind: NetworkKind,
    epoch_secs: NonZeroU64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keystore: Option<PathBuf>,
    chains: Vec<RawChain>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChain {
    chain_id: String,
    kind: ChainKind,
    index: u32,
    endpoints: Vec<String>,
    trust_root: RawTrust,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTrust {
    height: u64,
    time: String,
    validators: Vec<RawValidator>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawValidator {
    pubkey: String,
    power: u64,
}

impl RawNetwork {
    fn check(self) -> Result<NetworkFile, NetworkFileError> {
        let name: NetworkName = self.name.parse().map_err(|_| {
            let expected = format!("expected 1 to {} of a-z 0-9 -", limits::NETWORK_NAME_BYTES_MAX);
            NetworkFileError::field("name", &self.name, expected)
        })?;
        let chains = self.chains.into_iter().map(|chain| chain.check(&name)).collect::<Result<Vec<_>, _>>()?;
        let shards = chains.iter().filter(|chain| chain.kind == ChainKind::Shard);
        for (expected, chain) in (0_u32..).zip(shards) {
            if chain.index != expected {
                return Err(NetworkFileError::field(
                    format!("index of {}", chain.chain_id.as_str()),
                    chain.index,
                    format!("expected {expected}: every shard once, in order"),
                ));
            }
        }
        if chains.iter().filter(|chain| chain.kind == ChainKind::Settlement).count() > 1 {
            return Err(NetworkFileError::field("chains", "settlement", "expected one at most"));
        }
        if chains.is_empty() {
            return Err(NetworkFileError::field("chains", "[]", "expected at least one chain"));
        }
        Ok(NetworkFile { name, kind: self.kind, epoch_secs: self.epoch_secs, keystore: self.keystore, chains })
    }
}

impl RawChain {
    fn check(self, network: &NetworkName) -> Result<ChainEntry, NetworkFileError> {
        let expected = match self.kind {
            ChainKind::Shard => ChainId::shard(network, ShardId::new(self.index)),
            ChainKind::Settlement => ChainId::settlement(network),
        };
        if self.chain_id != expected.as_str() {
            let expected = format!("expected {} by name, kind and index", expected.as_str());
            return Err(NetworkFileError::field("chain_id", &self.chain_id, expected));
        }
        for endpoint in &self.endpoints {
            if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
                return Err(NetworkFileError::field(
                    format!("endpoints of {}", self.chain_id),
                    endpoint,
                    "expected a URL such as http://127.0.0.1:7301",
                ));
            }
        }
        let entry = ChainEntry {
            trust: self.trust_root.check(&self.chain_id)?,
            chain_id: expected,
            kind: self.kind,
            index: self.index,
            endpoints: self.endpoints,
        };
        entry.trust_root()?;
        Ok(entry)
    }
}

impl RawTrust {
    fn check(self, chain_id: &str) -> Result<TrustEntry, NetworkFileError> {
        let time = BlockTime::parse_rfc3339(&self.time)
            .map_err(|error| NetworkFileError::field(format!("trust_root.time of {chain_id}"), &self.time, error))?;
        let mut validators = Vec::with_capacity(self.validators.len());
        for validator in self.validators {
            let mut pubkey = [0; 32];
            hex::decode_to_slice(&validator.pubkey, &mut pubkey).map_err(|error| {
                let field = format!("trust_root.validators of {chain_id}");
                NetworkFileError::field(field, &validator.pubkey, error)
            })?;
            validators.push(Validator { pubkey, power: validator.power });
        }
        Ok(TrustEntry { height: self.height, time, validators })
    }
}

impl From<&NetworkFile> for RawNetwork {
    fn from(network: &NetworkFile) -> Self {
        Self {
            name: network.name.as_str().to_owned(),
            kind: network.kind,
            epoch_secs: network.epoch_secs,
            keystore: network.keystore.clone(),
            chains: network.chains.iter().map(RawChain::from).collect(),
        }
    }
}

impl From<&ChainEntry> for RawChain {
    fn from(chain: &ChainEntry) -> Self {
        let validators = chain
            .trust
            .validators
            .iter()
            .map(|validator| RawValidator { pubkey: hex::encode(validator.pubkey), power: validator.power });
        Self {
            chain_id: chain.chain_id.as_str().to_owned(),
            kind: chain.kind,
            index: chain.index,
            endpoints: chain.endpoints.clone(),
            trust_root: RawTrust {
                height: chain.trust.height,
                time: chain.trust.time.rfc3339(),
                validators: validators.collect(),
            },
        }
    }
}
