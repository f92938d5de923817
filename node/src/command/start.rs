//! `start`: the chain and its server, until a signal or a fault ends them.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use db3_chain::{Chain, ChainConfig, StopReason, genesis_file};
use db3_genesis::GenesisDocument;
use db3_relay::Relay;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::{self, Failure};
use super::home;
use super::settings::{StartArgs, default_listen};
use crate::kind::Kind;
use crate::relay::{RelaySettings, RelayTask, directions, relay};
use crate::server::{Served, bind, serve_on};
use crate::settings::{ChainEndpoints, ServeConfig};
use crate::state_sync;

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  {program} start
  {program} start --home ./mine-shard-0 --listen 127.0.0.1:7401 --metrics 127.0.0.1:7501";

/// Runs the node.
pub fn run<K: Kind>(asked: Option<&Path>, args: &StartArgs) -> Result<()> {
    let home = home::existing::<K>(asked)?;
    let log = args.log(&home).map_err(wrong)?;
    db3_chain::telemetry::init(&log.filter, log.format).map_err(wrong)?;
    let config = ChainConfig::load(&home, args.chain_flags()).map_err(wrong)?;
    // Everything is read before anything begins: a validator's key is at work as soon as the chain is.
    let settings = Settings::read(&home, args).map_err(wrong)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads")?;
    let result = runtime.block_on(serve_until_told::<K>(settings, config));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

fn wrong(error: impl Into<anyhow::Error>) -> anyhow::Error {
    Failure::Wrong(failure::text(&error.into())).into()
}

/// What a node is told beside its chain's settings.
struct Settings {
    serve: ServeConfig,
    /// None: nothing is carried.
    relay: Option<(Vec<ChainEndpoints>, RelaySettings)>,
}

impl Settings {
    fn read(home: &Path, args: &StartArgs) -> Result<Self> {
        let own = GenesisDocument::load(&genesis_file(home))?;
        let serve = args.serve(home, default_listen(own.chain_id()))?;
        if let Some(tls) = &serve.tls {
            tls.acceptor()?;
        }
        let section = args.relay(home)?;
        let carried = || Ok::<_, anyhow::Error>((section.known(&serve.endpoints)?, section.settings()?));
        let relay = section.enabled.then(carried).transpose()?;
        Ok(Self { serve, relay })
    }
}

async fn serve_until_told<K: Kind>(settings: Settings, config: ChainConfig) -> Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut config = config;
    let _sync_servers = state_sync::start(&mut config).await.map_err(wrong)?;
    let chain = Chain::<K::Machine>::launch(config).await?;
    let Open { served, relay } = match open::<K>(settings, &chain).await {
        Ok(open) => open,
        Err(error) => {
            chain.shutdown().await;
            return Err(error);
        }
    };
    let (chain_id, grpc) = (chain.chain_id(), served.addr());
    let told = async {
        tokio::select! {
            _ = interrupted.recv() => None,
            _ = terminated.recv() => None,
            reason = chain.stopped() => Some(reason),
        }
    };
    let ready = async {
        if !chain.can_prove() {
            tracing::info!(chain_id, %grpc, "node.waiting: for the first block");
        }
        // What keeps it from being ready stops the chain.
        if chain.ready().await.is_ok() {
            tracing::info!(chain_id, %grpc, height = %chain.committed().height, "node.ready");
        }
        std::future::pending::<()>().await;
    };
    let reason = tokio::select! {
        reason = told => reason,
        () = ready => None,
    };
    tracing::info!("node.stopping");
    if let Some(relay) = relay {
        relay.stop().await;
    }
    served.stop().await;
    chain.shutdown().await;
    tracing::info!("node.stopped");
    match reason {
        Some(StopReason::Fatal { detail }) => bail!(Failure::Fatal(detail)),
        Some(StopReason::Shutdown) | None => Ok(()),
    }
}

/// What a node runs beside its chain.
struct Open {
    served: Served,
    relay: Option<RelayTask>,
}

async fn open<K: Kind>(settings: Settings, chain: &Chain<K::Machine>) -> Result<Open> {
    let own = chain.genesis().chain_id();
    let Settings { serve: mut config, relay: carried } = settings;
    let plain = config.tls.is_none().then_some(config.listen);
    let public = [plain, config.metrics].into_iter().flatten().filter(|address| !address.ip().is_loopback());
    for address in public {
        tracing::warn!(%address, "this address can be reached from other machines, without encryption");
    }
    let listener = bind(&config).await?;
    let relay = match carried {
        Some((known, settings)) => {
            let directions = directions(own, listener.local_addr()?, &known);
            if directions.is_empty() {
                tracing::warn!("relay: no endpoint of another chain is known; set network_file or [relay.endpoints]");
            }
            Some(relay(directions, &settings).map_err(wrong)?)
        }
        None => None,
    };
    config.relay = relay.as_ref().map(Relay::monitor);
    let served = serve_on::<K>(listener, chain.clone(), config).await?;
    chain.announce(served.addr())?;
    Ok(Open { served, relay: relay.map(|relay| RelayTask::start(relay, chain)) })
}
