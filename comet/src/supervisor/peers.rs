//! Connects again with the peers that were lost. `CometBFT` does so by itself, with pauses that grow to minutes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::rpc::{Rpc, RpcError};
use crate::settings::CometSettings;

/// Lost peers are dialed this often.
const DIAL_TIME: Duration = Duration::from_secs(3);

pub(super) struct Peers {
    dialed: Instant,
}

impl Peers {
    pub(super) fn new() -> Self {
        Self { dialed: Instant::now() }
    }

    /// Looks who is connected, and dials who should be. Gives the number of peers.
    pub(super) async fn look(&mut self, rpc: &Rpc, settings: &CometSettings) -> Result<usize, RpcError> {
        let connected = rpc.net_info().await?;
        let lost = lost(settings, &connected);
        if !lost.is_empty() && self.dialed.elapsed() >= DIAL_TIME {
            self.dialed = Instant::now();
            // It says no while it is dialing already.
            if let Err(error) = rpc.dial_peers(&lost).await {
                tracing::debug!(%error, "comet.dial_peers");
            }
        }
        Ok(connected.len())
    }
}

fn lost(settings: &CometSettings, connected: &BTreeSet<String>) -> Vec<String> {
    let lost = settings.peers().filter(|(id, _)| !connected.contains(&id.to_ascii_lowercase()));
    lost.map(|(_, peer)| peer.to_owned()).collect()
}
