//! What `CometBFT`'s light client asks when a node comes from a snapshot: two servers on loopback, each fed by other nodes
//! of the chain over gRPC. The operator names the nodes and a height and hash to trust; nothing here is trusted.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use db3_chain::{ChainConfig, EngineKind, genesis_file};
use db3_comet::Layout;
use db3_comet::state_sync::{LightBlockSource, SourceError, SyncBlock, SyncServer, params_of_genesis, serve};
use db3_genesis::GenesisDocument;
use db3_relay::{ChainEndpoints, PeerBlock, Peers, RelayError};
use tendermint_proto::v0_38::types::ConsensusParams;
use tonic::transport::Uri;

/// How long one call may take; the light client tries again.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the servers where the settings want state sync, and names them in the settings. They last as long as what is
/// given back.
pub async fn start(config: &mut ChainConfig) -> Result<Vec<SyncServer>> {
    let Some(sync) = config.cometbft.state_sync.clone().filter(|_| config.engine == EngineKind::CometBft) else {
        return Ok(Vec::new());
    };
    check_peers(&config.home, &sync.peers).await?;
    let file = genesis_file(&config.home);
    let genesis = GenesisDocument::load(&file)?;
    let params = params_of_genesis(&genesis.to_json()?).map_err(|detail| anyhow!("{}: {detail}", file.display()))?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut servers = Vec::new();
    for first in 0..2 {
        // No node feeds both: one that lies is found out by the other.
        let urls: Vec<_> = sync.peers.iter().skip(first).step_by(2).cloned().collect();
        let chain = ChainEndpoints { chain_id: genesis.chain_id().clone(), urls };
        let peers = Peers::new(&chain, TIMEOUT).context("cometbft.state_sync.peers")?;
        servers.push(serve(any, PeerSource { peers, params: params.clone() }).await.context("state sync")?);
    }
    if let [one, other] = servers.as_slice() {
        config.sync_servers = Some([one.address(), other.address()]);
    }
    Ok(servers)
}

/// Refuses two names of one node where they are needed. A node with blocks asks them nothing, and must not end because
/// somebody else's address has changed.
async fn check_peers(home: &Path, peers: &[String]) -> Result<()> {
    match check_different(peers).await {
        Err(same) if Layout::new(home).is_ok_and(|layout| layout.has_blocks()) => {
            tracing::warn!(%same, "state_sync.peers: not asked, because this node has blocks");
            Ok(())
        }
        checked => checked,
    }
}

/// Refuses two names of one node: it could lie to the light client from both sides. A name that is not known just now is
/// looked at no further; nobody answers at it either.
async fn check_different(peers: &[String]) -> Result<()> {
    let mut seen: Vec<(&String, SocketAddr)> = Vec::new();
    for peer in peers {
        let Some(place) = host_port(peer) else { continue };
        let Ok(found) = tokio::net::lookup_host(place).await else { continue };
        let found: Vec<_> = found.collect();
        if let Some((other, address)) = seen.iter().find(|(_, address)| found.contains(address)) {
            bail!(
                "cometbft.state_sync.peers: {other} and {peer} are one node, at {address}: expected two different nodes or \
                 more, of different operators"
            );
        }
        seen.extend(found.into_iter().map(|address| (peer, address)));
    }
    Ok(())
}

/// Where a URL leads: its host, without brackets, and port.
fn host_port(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), uri.port_u16().unwrap_or(usual)))
}

struct PeerSource {
    peers: Peers,
    /// Those of the genesis: nothing changes them. `CometBFT` compares them with the hash in the header.
    params: ConsensusParams,
}

impl LightBlockSource for PeerSource {
    async fn light_block(&self, height: u64) -> Result<SyncBlock, SourceError> {
        match self.peers.block(height).await.map_err(unavailable)? {
            Some(PeerBlock { light_block, priorities, .. }) => {
                Ok(SyncBlock { light_block: light_block.to_vec(), priorities })
            }
            None => Err(self.missing(height).await?),
        }
    }

    async fn consensus_params(&self, _height: u64) -> Result<ConsensusParams, SourceError> {
        Ok(self.params.clone())
    }
}

impl PeerSource {
    /// Whether a height is not there yet, or not there any more.
    async fn missing(&self, height: u64) -> Result<SourceError, SourceError> {
        let newest = self.peers.block(0).await.map_err(unavailable)?.map_or(0, |block| block.height);
        if newest < height {
            return Ok(SourceError::TooHigh { height, newest });
        }
        Ok(SourceError::Pruned { height, oldest: height.saturating_add(1) })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` passes it")]
fn unavailable(error: RelayError) -> SourceError {
    tracing::warn!(%error, "state_sync.peer");
    SourceError::Unavailable { detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn a_node_with_blocks_starts_although_its_two_peers_became_one() {
        let home = tempfile::tempdir().unwrap();
        let peers = ["http://127.0.0.1:7400", "http://localhost:7400"].map(str::to_owned);
        assert!(check_peers(home.path(), &peers).await.is_err());
        let blocks = home.path().join("cometbft/data/blockstore.db");
        std::fs::create_dir_all(&blocks).unwrap();
        std::fs::write(blocks.join("000001.ldb"), b"rows").unwrap();
        assert!(check_peers(home.path(), &peers).await.is_ok());
    }

    #[tokio::test]
    async fn two_names_of_one_node_are_one_node() {
        let of = async |peers: [&str; 2]| {
            check_different(&peers.map(str::to_owned)).await.map_err(|error| error.to_string())
        };
        let told = of(["http://127.0.0.1:7400", "http://localhost:7400"]).await;
        assert!(told.is_err_and(|told| told.contains("localhost") && told.contains("one node")));
        assert!(of(["http://127.0.0.1", "http://127.0.0.1:80/"]).await.is_err());
        assert!(of(["http://[::1]:7400", "https://[0:0:0:0:0:0:0:1]:7400"]).await.is_err());
        assert_eq!(of(["http://127.0.0.1:7400", "http://127.0.0.1:7401"]).await, Ok(()));
        assert_eq!(of(["http://127.0.0.1:7400", "http://nowhere.invalid:7400"]).await, Ok(()));
    }
}
