//! The folder of one node: genesis document, settings, keys.
//!
//! ```text
//! <home>/config/genesis.json              the chain's genesis document
//! <home>/config/node.toml                 settings
//! <home>/config/priv_validator_key.json   signs blocks; here and nowhere else
//! <home>/config/node_key.json             names the node to its peers
//! ```
//! A key is moved and never copied to stay: one that signs in two places loses the validator its power.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use db3_comet::{PublicKeys, keys};
use db3_genesis::{write_atomic, write_secret};
use db3_primitives::ChainId;
use db3_primitives::name::ChainRole;
use serde::Serialize;
use toml::{Table, Value};

use crate::NetworkError;

/// The node of one chain on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The chain.
    pub chain_id: ChainId,
    /// The folder.
    pub path: PathBuf,
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Where its peers connect.
    pub p2p_listen: String,
    /// What its peers are told to connect to; empty for a node that nobody has to find.
    pub p2p_external: String,
    /// The validators' nodes: `id@host:port`.
    pub peers: Vec<String>,
    /// Where the signer that has the validator's key connects: `tcp://address:port`; none where the key is here.
    pub signer: Option<String>,
    /// Whether the peers' addresses are none of the public network's.
    pub private_network: bool,
    /// Whether every block is kept.
    pub archive: bool,
    /// Where `CometBFT` is; none: the node looks for it when it starts.
    pub comet: Option<PathBuf>,
}

#[derive(Serialize)]
struct Settings<'a> {
    chain: ChainSection,
    cometbft: CometSection<'a>,
    serve: ServeSection<'a>,
    relay: RelaySection<'a>,
}

#[derive(Serialize)]
struct ChainSection {
    engine: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks_kept: Option<u64>,
}

#[derive(Serialize)]
struct CometSection<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    binary: Option<&'a Path>,
    p2p_listen: &'a str,
    p2p_external: &'a str,
    persistent_peers: &'a [String],
    private_network: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    priv_validator_laddr: Option<&'a str>,
}

#[derive(Serialize)]
struct ServeSection<'a> {
    listen: SocketAddr,
    network_file: &'a str,
}

#[derive(Serialize)]
struct RelaySection<'a> {
    endpoints: &'a BTreeMap<String, Vec<String>>,
}

pub(crate) const COMMENT: &str = "\
# Settings of this node, as `db3-genesis join` made them. A variable DB3_NODE_<NAME>, DB3_COMETBFT_<NAME>,
# DB3_SERVE_<NAME> or DB3_RELAY_<NAME> in the environment goes before them. Everything else has its default.
#
# CometBFT: binary = \"/usr/local/bin/cometbft\" under [cometbft]; without it the first of the right version in PATH and
# where scripts/install-cometbft puts it, of the user that runs the node.
# A remote signer: priv_validator_laddr = \"tcp://127.0.0.1:26600\" under [cometbft] (`join --signer`).
# How many of the newest blocks are kept: blocks_kept = 100000 under [chain]; 0: all (`join --archive`).
# Files are looked for from this node's folder on.
# Where Prometheus reads: metrics = \"127.0.0.1:7500\" under [serve].

";

impl Home {
    /// The program that runs the chain.
    #[must_use]
    pub fn program(&self) -> &'static str {
        match self.chain_id.parts() {
            Some((_, ChainRole::Shard(_))) => "shard-node",
            Some((_, ChainRole::Settlement)) | None => "settlement-node",
        }
    }

    /// A home as its settings describe it.
    pub(crate) fn of_settings(chain_id: ChainId, path: PathBuf, settings: &Table) -> Result<Self, NetworkError> {
        let file = path.join("config").join("node.toml").display().to_string();
        let value = |section: &str, name: &str| settings.get(section).and_then(|section| section.get(name));
        let text =
            |section: &str, name: &str| value(section, name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let listen = text("serve", "listen");
        let expected = "expected an address with a port, such as 127.0.0.1:7300";
        let listen = listen.parse().map_err(|_| NetworkError::field(&file, "serve.listen", listen, expected))?;
        let peers = value("cometbft", "persistent_peers").and_then(Value::as_array);
        Ok(Self {
            chain_id,
            path,
            listen,
            p2p_listen: text("cometbft", "p2p_listen"),
            p2p_external: text("cometbft", "p2p_external"),
            peers: peers.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            signer: value("cometbft", "priv_validator_laddr").and_then(Value::as_str).map(str::to_owned),
            private_network: value("cometbft", "private_network").and_then(Value::as_bool).unwrap_or_default(),
            archive: value("chain", "blocks_kept").and_then(Value::as_integer) == Some(0),
            comet: value("cometbft", "binary").and_then(Value::as_str).map(PathBuf::from),
        })
    }

    /// Every address that the node binds on this machine, and which option it comes from.
    pub(crate) fn binds(&self) -> Vec<(&'static str, SocketAddr)> {
        let signer = self.signer.as_deref().and_then(|signer| signer.strip_prefix("tcp://"));
        let mut all = vec![("--port", self.listen)];
        all.extend(self.p2p_listen.parse().ok().map(|address| ("p2p", address)));
        all.extend(signer.and_then(|signer| signer.parse().ok()).map(|address| ("--signer", address)));
        all
    }

    /// The chain's genesis document.
    #[must_use]
    pub fn genesis_file(&self) -> PathBuf {
        self.path.join("config").join("genesis.json")
    }

    /// Refuses a folder that holds another chain, or one that has begun.
    pub(crate) fn check_free(&self, document: &str) -> Result<(), NetworkError> {
        let begun = ["data", "cometbft/data"].iter().map(|name| self.path.join(name)).find(|path| path.exists());
        if let Some(path) = begun {
            return Err(NetworkError::Taken {
                path,
                remedy: "this node has begun; choose another folder, or, if it came from another machine, say --moved",
            });
        }
        let genesis = self.genesis_file();
        match fs::read_to_string(&genesis) {
            Ok(found) if found != document => {
                let remedy = "it is another chain's genesis; choose another folder";
                Err(NetworkError::Taken { path: genesis, remedy })
            }
            Err(error) if error.kind() != ErrorKind::NotFound => Err(NetworkError::file(&genesis)(error)),
            _ => Ok(()),
        }
    }

    /// Writes genesis document and settings. `endpoints` are where the machine's chains are served.
    pub(crate) fn write(
        &self,
        document: &str,
        network_file: &str,
        endpoints: &BTreeMap<String, Vec<String>>,
    ) -> Result<(), NetworkError> {
        let settings = Settings {
            chain: ChainSection { engine: "cometbft", blocks_kept: self.archive.then_some(0) },
            cometbft: CometSection {
                binary: self.comet.as_deref(),
                p2p_listen: &self.p2p_listen,
                p2p_external: &self.p2p_external,
                persistent_peers: &self.peers,
                private_network: self.private_network,
                priv_validator_laddr: self.signer.as_deref(),
            },
            serve: ServeSection { listen: self.listen, network_file },
            relay: RelaySection { endpoints },
        };
        let path = self.path.join("config").join("node.toml");
        let body = toml::to_string(&settings)
            .map_err(|error| NetworkError::Malformed { file: path.display().to_string(), detail: error.to_string() })?;
        write_atomic(&path, format!("{COMMENT}{body}").as_bytes()).map_err(NetworkError::file(&path))?;
        let genesis = self.genesis_file();
        write_atomic(&genesis, document.as_bytes()).map_err(NetworkError::file(&genesis))
    }

    /// The keys that are in the folder `keys` or in this one already; none if neither holds both. Where a signer has the
    /// validator's, which is `signed_by`, only the node's is looked for.
    pub(crate) fn find_keys(&self, keys: &Path, signed_by: [u8; 32]) -> Result<Option<PublicKeys>, NetworkError> {
        let from = keys.join(self.chain_id.as_str());
        for folder in [&from, &self.path] {
            let [validator, node] = key_files(folder);
            if self.signer.is_none() && validator.exists() && node.exists() {
                return Ok(Some(keys::ensure(folder)?));
            }
            if self.signer.is_some() && validator.exists() {
                let remedy = "a signer has the validator's key, so none may be here; remove it, or leave out --signer";
                return Err(NetworkError::Taken { path: validator, remedy });
            }
            if self.signer.is_some() && node.exists() {
                return Ok(Some(PublicKeys { validator: signed_by, node_id: keys::ensure_node(folder)? }));
            }
        }
        Ok(None)
    }

    /// Refuses a folder that an earlier join has put a validator's key into: its node would sign.
    pub(crate) fn check_keyless(&self) -> Result<(), NetworkError> {
        let path = keys::validator_key_file(&self.path);
        if path.exists() {
            let remedy = "a node without power must not have a validator's key; choose another folder, or name the \
                          validator with --validator";
            return Err(NetworkError::Taken { path, remedy });
        }
        Ok(())
    }

    /// Moves the keys from the folder `keys` into this one; those that are here already stay.
    pub(crate) fn take_keys(&self, keys: &Path) -> Result<(), NetworkError> {
        let from = key_files(&keys.join(self.chain_id.as_str()));
        for (from, to) in from.iter().zip(&key_files(&self.path)) {
            if from.exists() {
                move_secret(from, to)?;
            }
        }
        Ok(())
    }
}

/// The node's key last: while it is at the old place, a move that was interrupted begins again.
fn key_files(folder: &Path) -> [PathBuf; 2] {
    [keys::validator_key_file(folder), keys::node_key_file(folder)]
}

/// Also between file systems. The old file goes when the new one is on the disk.
fn move_secret(from: &Path, to: &Path) -> Result<(), NetworkError> {
    let bytes = fs::read(from).map_err(NetworkError::file(from))?;
    write_secret(to, &bytes).map_err(NetworkError::file(to))?;
    fs::remove_file(from).map_err(NetworkError::file(from))
}
