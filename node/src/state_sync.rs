//! What `CometBFT`'s light client asks when a node comes from a snapshot: two servers on loopback, each fed by other nodes
//! of the chain over gRPC. The operator names the nodes and a height and hash to trust; nothing here is trusted.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use db3_chain::{ChainConfig, EngineKind, genesis_file};
use db3_comet::state_sync::{LightBlockSource, SourceError, SyncBlock, SyncServer, params_of_genesis, serve};
use db3_genesis::GenesisDocument;
use db3_relay::{ChainEndpoints, PeerBlock, Peers, RelayError};
use tendermint_proto::v0_38::types::ConsensusParams;

/// How long one call may take; the light client tries again.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the servers where the settings want state sync, and names them in the settings. They last as long as what is
/// given back.
pub async fn start(config: &mut ChainConfig) -> Result<Vec<SyncServer>> {
    let Some(sync) = config.cometbft.state_sync.clone().filter(|_| config.engine == EngineKind::CometBft) else {
        return Ok(Vec::new());
    };
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
