//! `shard-node start`: the chain and its server, until a signal or a fault ends them.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use db3_chain::{ChainConfig, ChainHandle, StopReason};
use db3_shard_node::{Served, bind, serve_on};
use tokio::signal::unix::{SignalKind, signal};

use super::failure::{self, Failure};
use super::home;
use super::settings::StartArgs;

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  shard-node start
  shard-node start --home ./mine-shard-0 --listen 127.0.0.1:7401 --metrics 127.0.0.1:7501";

/// Runs the node.
pub fn run(asked: Option<&Path>, args: &StartArgs) -> Result<()> {
    let home = home::existing(asked)?;
    let log = args.log(&home).map_err(wrong)?;
    db3_chain::telemetry::init(&log.filter, log.format).map_err(wrong)?;
    let config = ChainConfig::load(&home, args.chain_flags()).map_err(wrong)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads")?;
    let result = runtime.block_on(serve_until_told(&home, args, config));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

fn wrong(error: impl Into<anyhow::Error>) -> anyhow::Error {
    Failure::Wrong(failure::text(&error.into())).into()
}

async fn serve_until_told(home: &Path, args: &StartArgs, config: ChainConfig) -> Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let chain = ChainHandle::start(config).await?;
    let shard = chain.genesis().app_state().shard;
    let served = match open(home, args, &chain, shard).await {
        Ok(served) => served,
        Err(error) => {
            chain.shutdown().await;
            return Err(error);
        }
    };
    tracing::info!(chain_id = chain.chain_id(), grpc = %served.addr(), height = %chain.committed().height, "node.ready");
    let reason = tokio::select! {
        _ = interrupted.recv() => None,
        _ = terminated.recv() => None,
        reason = chain.stopped() => Some(reason),
    };
    tracing::info!("node.stopping");
    served.stop().await;
    chain.shutdown().await;
    tracing::info!("node.stopped");
    match reason {
        Some(StopReason::Fatal { detail }) => bail!(Failure::Fatal(detail)),
        Some(StopReason::Shutdown) | None => Ok(()),
    }
}

async fn open(home: &Path, args: &StartArgs, chain: &ChainHandle, shard: u32) -> Result<Served> {
    let config = args.serve(home, shard).map_err(wrong)?;
    let public =
        [Some(config.listen), config.metrics].into_iter().flatten().filter(|address| !address.ip().is_loopback());
    for address in public {
        tracing::warn!(%address, "this address can be reached from other machines, without encryption");
    }
    let listener = bind(config.listen).await?;
    Ok(serve_on(listener, chain.clone(), config).await?)
}
