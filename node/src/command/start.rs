//! `start`: the chain and its server, until a signal or a fault ends them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use db3_chain::{Chain, ChainConfig, Reopenings, StartError, StopReason, genesis_file};
use db3_genesis::GenesisDocument;
use db3_relay::Relay;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

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

/// How long a chain that broke may take to let go of its folder: calls that were open end first.
const LET_GO_TIME: Duration = Duration::from_secs(60);
const LET_GO_STEP: Duration = Duration::from_millis(20);

/// Runs the node.
pub fn run<K: Kind>(asked: Option<&Path>, args: &StartArgs) -> Result<()> {
    let home = home::existing::<K>(asked)?;
    let log = args.log(&home).map_err(wrong)?;
    db3_chain::telemetry::init(&log.filter, log.format).map_err(wrong)?;
    let config = ChainConfig::load(&home, args.chain_flags()).map_err(wrong)?;
    // Everything is read before anything begins: a validator's key is at work as soon as the chain is.
    let settings = Settings::read(&home, args).map_err(wrong)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads")?;
    let result = runtime.block_on(serve_until_told::<K>(&settings, config));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

fn wrong(error: impl Into<anyhow::Error>) -> anyhow::Error {
    Failure::Wrong(failure::text(&error.into())).into()
}

/// What a node is told beside its chain's settings.
#[derive(Clone)]
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

/// The signals that end a node.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// A chain that broke, or comes again from a snapshot, is opened anew, with everything that stands on it: consensus, its
/// application, the server.
async fn serve_until_told<K: Kind>(settings: &Settings, config: ChainConfig) -> Result<()> {
    let mut signals =
        Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
    let mut config = config;
    let _sync_servers = state_sync::start(&mut config).await.map_err(wrong)?;
    let mut reopenings = Reopenings::default();
    let mut let_go = Duration::ZERO;
    loop {
        let chain = launch::<K>(&config, let_go).await?;
        match reopenings.judge(serve::<K>(settings.clone(), chain, &mut signals).await?) {
            StopReason::Shutdown => return Ok(()),
            StopReason::NoRoom { detail } => bail!(detail),
            StopReason::Fatal { detail } => bail!(Failure::Fatal(detail)),
            StopReason::Broken { height, detail } => {
                tracing::error!(%height, %detail, "node.broken: chain and CometBFT are started anew");
                let_go = LET_GO_TIME;
            }
            StopReason::Stranded { detail } => {
                tracing::error!(%detail, "node.anew: it comes again from a snapshot");
                let_go = LET_GO_TIME;
            }
        }
    }
}

/// Starts the chain; waits for so long while its folder is open.
async fn launch<K: Kind>(config: &ChainConfig, let_go: Duration) -> Result<Chain<K::Machine>, StartError> {
    let began = Instant::now();
    loop {
        match Chain::launch(config.clone()).await {
            Err(error) if error.is_already_running() && began.elapsed() < let_go => sleep(LET_GO_STEP).await,
            launched => return launched,
        }
    }
}

/// Serves a chain until a signal ends it, or it stops.
async fn serve<K: Kind>(settings: Settings, chain: Chain<K::Machine>, signals: &mut Signals) -> Result<StopReason> {
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
            _ = signals.interrupt.recv() => StopReason::Shutdown,
            _ = signals.terminate.recv() => StopReason::Shutdown,
            reason = chain.stopped() => reason,
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
        () = ready => StopReason::Shutdown,
    };
    tracing::info!("node.stopping");
    if let Some(relay) = relay {
        relay.stop().await;
    }
    served.stop().await;
    chain.shutdown().await;
    tracing::info!("node.stopped");
    Ok(reason)
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
