//! The operator's part of `CometBFT`'s configuration: section `[cometbft]` of node.toml, environment `DB3_COMETBFT_*`.
//! The rest of it is ours and stands in [`write_config`](crate::write_config).

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::CometError;
use crate::limits::MEMPOOL_BYTES;

/// Section `[cometbft]` of a node's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CometSettings {
    /// The program; none: the first of the right version in `PATH` and in `~/.cache/db3/bin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<PathBuf>,
    /// Where other validators' `CometBFT` connects: `host:port`.
    pub p2p_listen: String,
    /// What others are told to connect to, `host:port`; empty: what it finds out itself.
    pub p2p_external: String,
    /// Peers to stay connected with: `id@host:port`.
    pub persistent_peers: Vec<String>,
    /// Whether peers tell each other of peers.
    pub pex: bool,
    /// Whether peers stand in a private network: addresses that are not routable, several nodes at one address.
    pub private_network: bool,
    /// Wait after a commit before the next height, in ms, so that more votes come in.
    pub timeout_commit_ms: u64,
    /// Wait for a proposal, in ms; longer by half a second with each round.
    pub timeout_propose_ms: u64,
    /// Wait for votes, in ms; longer by half a second with each round.
    pub timeout_vote_ms: u64,
    /// Bytes a second to and from one peer.
    pub peer_bytes_per_sec: u64,
    /// Transactions (bundles and deliveries) that wait at most.
    pub mempool_txs: u32,
    /// Their bytes at most.
    pub mempool_bytes: u64,
    /// Transactions that are remembered so as not to be looked at again.
    pub mempool_cache: u32,
    /// State sync for a node without blocks; none: all blocks are fetched and executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_sync: Option<StateSyncSettings>,
    /// Where the application is served: `unix`, or `tcp://address:port` with an address of this machine alone.
    pub abci: String,
    /// Where a remote signer connects (`tcp://…` or `unix://…`); none: the key file of this machine signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priv_validator_laddr: Option<String>,
    /// Heights below the newest that are searched for one's own signature before signing at all; 0: none.
    pub double_sign_check_height: u32,
    /// What it logs: `debug`, `info`, `error` or `none`, or by module (`consensus:debug,*:error`).
    pub log_level: String,
    /// Seconds without a new height after which it counts as stalled, and is restarted with growing pauses.
    pub stalled_secs: u64,
}

impl Default for CometSettings {
    fn default() -> Self {
        Self {
            binary: None,
            p2p_listen: "0.0.0.0:26656".to_owned(),
            p2p_external: String::new(),
            persistent_peers: Vec::new(),
            pex: true,
            private_network: false,
            timeout_commit_ms: 200,
            timeout_propose_ms: 2_000,
            timeout_vote_ms: 1_000,
            peer_bytes_per_sec: 200_000_000,
            mempool_txs: 2_000,
            mempool_bytes: MEMPOOL_BYTES,
            mempool_cache: 20_000,
            state_sync: None,
            abci: "unix".to_owned(),
            priv_validator_laddr: None,
            double_sign_check_height: 0,
            log_level: "info".to_owned(),
            stalled_secs: 30,
        }
    }
}

/// How a node without blocks comes to a state of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSyncSettings {
    /// A height that the operator trusts.
    pub trust_height: u64,
    /// Hash of its header, 64 hex digits, with or without 0x.
    pub trust_hash: String,
    /// gRPC addresses of two or more nodes of this chain, of different operators.
    pub peers: Vec<String>,
    /// How old the trusted header may be, in hours.
    #[serde(default = "trust_hours")]
    pub trust_hours: u64,
}

fn trust_hours() -> u64 {
    168
}

impl CometSettings {
    /// Looks whether the values can be.
    ///
    /// # Errors
    /// [`CometError::Setting`] names the first that cannot.
    pub fn check(&self) -> Result<(), CometError> {
        let setting = |name: &'static str, value: &str, detail: &str| {
            Err(CometError::Setting { name, value: value.to_owned(), detail: detail.to_owned() })
        };
        if !is_host_port(&self.p2p_listen) {
            return setting("p2p_listen", &self.p2p_listen, "expected host:port, for example 0.0.0.0:26656");
        }
        if !self.p2p_external.is_empty() && !is_host_port(&self.p2p_external) {
            return setting("p2p_external", &self.p2p_external, "expected host:port, or nothing");
        }
        if let Some(peer) = self.persistent_peers.iter().find(|peer| !is_peer(peer)) {
            return setting("persistent_peers", peer, "expected id@host:port, the id as 40 hex digits");
        }
        if self.abci != "unix" && !self.abci.strip_prefix("tcp://").is_some_and(is_own_port) {
            let detail = "expected unix, or tcp://127.0.0.1:port: whoever connects there drives the application, so no \
                          other machine may, and a name could become another address";
            return setting("abci", &self.abci, detail);
        }
        if let Some(laddr) = self.priv_validator_laddr.as_deref().filter(|laddr| !is_laddr(laddr)) {
            return setting("priv_validator_laddr", laddr, "expected tcp://host:port or unix:///path");
        }
        if !self.log_level.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":*,-_".contains(&byte)) {
            return setting("log_level", &self.log_level, "expected debug, info, error or none, or module:level,…");
        }
        let ranges = [
            ("timeout_commit_ms", self.timeout_commit_ms, 10, 60_000),
            ("timeout_propose_ms", self.timeout_propose_ms, 100, 60_000),
            ("timeout_vote_ms", self.timeout_vote_ms, 100, 60_000),
            ("peer_bytes_per_sec", self.peer_bytes_per_sec, 100_000, 10_000_000_000),
            ("mempool_txs", self.mempool_txs.into(), 1, 1_000_000),
            ("mempool_bytes", self.mempool_bytes, 2 * 1_048_576, 10_000_000_000),
            ("mempool_cache", self.mempool_cache.into(), 1, 10_000_000),
            ("stalled_secs", self.stalled_secs, 5, 86_400),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return setting(name, &value.to_string(), &format!("expected {least} to {most}"));
            }
        }
        self.state_sync.as_ref().map_or(Ok(()), StateSyncSettings::check)
    }

    /// The persistent peers: id and address.
    pub(crate) fn peers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.persistent_peers.iter().filter_map(|peer| Some((peer.split_once('@')?.0, peer.as_str())))
    }
}

impl StateSyncSettings {
    /// The hash's digits alone.
    pub(crate) fn trust_hash_digits(&self) -> &str {
        self.trust_hash.strip_prefix("0x").unwrap_or(&self.trust_hash)
    }

    fn check(&self) -> Result<(), CometError> {
        let setting = |name: &'static str, value: String, detail: &str| {
            Err(CometError::Setting { name, value, detail: detail.to_owned() })
        };
        if self.trust_height == 0 || i64::try_from(self.trust_height).is_err() {
            return setting("state_sync.trust_height", self.trust_height.to_string(), "expected 1 or more");
        }
        if hex::decode(self.trust_hash_digits()).map_or(0, |hash| hash.len()) != 32 {
            return setting("state_sync.trust_hash", self.trust_hash.clone(), "expected 64 hex digits");
        }
        if !(1..=100_000).contains(&self.trust_hours) {
            return setting("state_sync.trust_hours", self.trust_hours.to_string(), "expected 1 to 100000");
        }
        let different = self
            .peers
            .iter()
            .enumerate()
            .all(|(index, peer)| !self.peers.iter().skip(index.saturating_add(1)).any(|other| other == peer));
        if self.peers.len() < 2 || !different {
            let detail = "expected two different nodes or more: one alone could lie to the light client";
            return setting("state_sync.peers", self.peers.join(", "), detail);
        }
        Ok(())
    }
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok())
}

/// A loopback address in numbers and a port.
fn is_own_port(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
}

/// Letters, digits and what addresses have between them: nothing that ends a TOML text or a list of peers.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(&byte))
}

fn is_peer(text: &str) -> bool {
    let id = |id: &str| id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split_once('@').is_some_and(|(left, right)| id(left) && is_host_port(right))
}

fn is_laddr(text: &str) -> bool {
    let path = |path: &str| path.starts_with('/') && !path.contains(['"', '\\', ',', '\n']);
    text.strip_prefix("tcp://").is_some_and(is_host_port) || text.strip_prefix("unix://").is_some_and(path)
}
