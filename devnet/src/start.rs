//! `db3 devnet start`: everything in this process, until a signal or `stop` ends it.
//!
//! Ports are bound first, so that a taken one is known before anything is made. Keys are encrypted while the chains
//! start. The network is ready when every account's credit has crossed from the settlement chain to the shards, where
//! it can be proven; the ready file is written last.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use db3_chain::telemetry::{self, LogFormat};
use db3_chain::{Chain, Machine, StopReason};
use db3_client::devnet_args::{ConsoleArgs, DevnetProgram, PORT_DEFAULT, StartArgs};
use db3_genesis::ChainEntry;
use db3_node::{ChainEndpoints, Cors, ServeConfig, Served};
use db3_primitives::Address;
use db3_relay::{Config, Monitor, Relay, Waker};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::accounts::{DevAccount, Keys, derive, write_keystore};
use crate::control;
use crate::control_server;
use crate::detach;
use crate::failure::Failure;
use crate::home::{Home, Made};
use crate::make::{Chains, make_chains, network_name, settings, settle};
use crate::network::{Network, RunningChains, tell_blocks};
use crate::publish::publish;
use crate::ready::{Node, Ready};
use crate::render;

/// How often the relay looks where no block wakes it.
const RELAY_POLL: Duration = Duration::from_secs(2);
/// How long one of its calls may take, and its longest wait after one that failed.
const RELAY_CALL: Duration = Duration::from_secs(10);
const RELAY_RETRY_MAX: Duration = Duration::from_secs(1);

/// Starts the devnet, here or detached.
pub fn start(program: &DevnetProgram, home: &Home) -> Result<()> {
    let began = Instant::now();
    let args = program.devnet.start_args().unwrap_or_default();
    if args.detach {
        if home.is_locked()? {
            return Err(already_running(home));
        }
        let status = detach::start(program, home)?;
        return Ok(render::started(&status, home, program.console, true)?);
    }
    telemetry::init("warn", LogFormat::Text)?;
    let Some(_lock) = home.lock()? else {
        return Err(already_running(home));
    };
    let made = settle(home, &args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads")?;
    let result = runtime.block_on(run(home, &args, made, program.console, began));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

fn already_running(home: &Home) -> anyhow::Error {
    let who = control::running(home).map_or_else(String::new, |status| format!(" (process {})", status.pid));
    anyhow!(
        "a devnet is already running in {}{who}; `db3 devnet status` shows it, `db3 devnet stop` ends it",
        home.path().display()
    )
}

/// What ends with the network, beside its chains.
struct Serving {
    nodes: Vec<Served>,
    tasks: Vec<JoinHandle<()>>,
    relay: watch::Sender<bool>,
}

async fn run(home: &Home, args: &StartArgs, made: Made, console: ConsoleArgs, began: Instant) -> Result<()> {
    let listeners = bind_all(args.port.unwrap_or(PORT_DEFAULT), made.shards).await?;
    let control = control_server::bind(&home.control_socket())?;
    let keys = derive(made.accounts, made.shards)?;
    home.keep_made(&made)?;
    let names = make_chains(home, &made, &keys)?;
    let chains = start_chains(home, &names, &keys.accounts).await?;
    chains.align_time().await?;
    let endpoints = endpoints(&names, &listeners)?;
    let (relay, monitor, waker) = relay(&endpoints)?;
    let serving = serve(&chains, listeners, &endpoints, relay, &monitor, &waker).await?;
    // From here on a signal stops the network in order: whoever sees the ready file may send one.
    let mut signals = Signals::listen()?;
    let started = tokio::select! {
        started = ready(home, args, made, keys, &chains, &endpoints, monitor, began) => started.map(Some),
        () = signals.told() => Ok(None),
    };
    let network = match started {
        Ok(Some(network)) => Arc::new(network),
        Ok(None) => {
            end(home, args, serving, &chains).await;
            return Ok(());
        }
        Err(error) => {
            end(home, args, serving, &chains).await;
            return Err(error);
        }
    };
    if let Err(error) = render::started(&network.status()?, home, console, detach::is_detached()) {
        // It serves nevertheless.
        tracing::warn!("{error}");
    }
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(control_server::serve(control, Arc::clone(&network), stop.clone()));
    let ended = until_told(&chains, stopped, &mut signals).await;
    stop.send_replace(true);
    end(home, args, serving, &chains).await;
    // The server's task holds the network; both end before the folder's lock is given back.
    let _ = server.await;
    drop(network);
    match ended {
        Some(StopReason::NoRoom { detail }) => bail!(detail),
        // Only CometBFT's chains break, or come again from a snapshot.
        Some(StopReason::Fatal { detail } | StopReason::Broken { detail, .. } | StopReason::Stranded { detail }) => {
            bail!(Failure::Fatal(detail))
        }
        Some(StopReason::Shutdown) | None => Ok(()),
    }
}

/// Binds the ports: the settlement chain's, and above it the shards'.
async fn bind_all(port: u16, shards: u32) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for number in 0..=shards {
        let whose = match number.checked_sub(1) {
            None => "the settlement chain".to_owned(),
            Some(shard) => format!("shard {shard}"),
        };
        let port = u16::try_from(number)
            .ok()
            .and_then(|number| port.checked_add(number))
            .ok_or_else(|| Failure::Wrong(format!("--port {port} leaves no port for {whose}; name a lower one")))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address).await.map_err(|error| {
            anyhow!(
                "port {port} of {} cannot be used for {whose} ({error}); end the program that holds it, or choose other \
                 ports with --port",
                Ipv4Addr::LOCALHOST
            )
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Where each chain is served, the settlement chain first.
fn endpoints(chains: &Chains, listeners: &[TcpListener]) -> Result<Vec<ChainEndpoints>> {
    chains
        .all()
        .zip(listeners)
        .map(|(chain_id, listener)| {
            let endpoints = vec![format!("http://{}", listener.local_addr()?)];
            Ok(ChainEndpoints { chain_id: chain_id.clone(), endpoints })
        })
        .collect()
}

/// Starts all chains at once, and encrypts the accounts' keys meanwhile.
pub(crate) async fn start_chains(home: &Home, chains: &Chains, accounts: &[DevAccount]) -> Result<RunningChains> {
    let settlement = tokio::spawn(Chain::start(settings(home, &chains.settlement)));
    let starting: Vec<_> =
        chains.shards.iter().map(|chain_id| tokio::spawn(Chain::start(settings(home, chain_id)))).collect();
    tokio::task::block_in_place(|| write_keystore(&home.keystore(), accounts))?;
    let mut shards = Vec::new();
    for started in starting {
        shards.push(started.await.context("a chain's start")??);
    }
    let settlement = settlement.await.context("a chain's start")??;
    Ok(RunningChains { settlement, shards, blocks: Arc::new(Notify::new()) })
}

/// A relay between all chains that carries what there is at once.
fn relay(endpoints: &[ChainEndpoints]) -> Result<(Relay, Monitor, Waker)> {
    let chains: Vec<_> = endpoints
        .iter()
        .map(|chain| db3_relay::ChainEndpoints { chain_id: chain.chain_id.clone(), urls: chain.endpoints.clone() })
        .collect();
    let (settlement, shards) = chains.split_first().context("a network has a settlement chain")?;
    let config = Config {
        poll: RELAY_POLL,
        jitter: Duration::ZERO,
        timeout: RELAY_CALL,
        retry_max: RELAY_RETRY_MAX,
        ..Config::of_network(settlement, shards)
    };
    let relay = Relay::new(&config)?;
    let (monitor, waker) = (relay.monitor(), relay.waker());
    Ok((relay, monitor, waker))
}

/// Serves every chain and begins to carry.
async fn serve(
    chains: &RunningChains,
    listeners: Vec<TcpListener>,
    endpoints: &[ChainEndpoints],
    relay: Relay,
    monitor: &Monitor,
    waker: &Waker,
) -> Result<Serving> {
    let mut serving = Serving { nodes: Vec::new(), tasks: Vec::new(), relay: watch::channel(false).0 };
    let mut listeners = listeners.into_iter();
    let config = |listener: &TcpListener, relay: Option<Monitor>| -> Result<ServeConfig> {
        Ok(ServeConfig {
            cors: Cors::Localhost,
            endpoints: endpoints.to_vec(),
            relay,
            ..ServeConfig::new(listener.local_addr()?)
        })
    };
    let listener = listeners.next().context("a listener for the settlement chain")?;
    let config_of = config(&listener, Some(monitor.clone()))?;
    serving.nodes.push(db3_settlement_node::serve_on(listener, chains.settlement.clone(), config_of).await?);
    serving.tell(&chains.settlement, chains, waker);
    for (shard, listener) in chains.shards.iter().zip(listeners) {
        let config_of = config(&listener, None)?;
        serving.nodes.push(db3_shard_node::serve_on(listener, shard.clone(), config_of).await?);
        serving.tell(shard, chains, waker);
    }
    let mut stopped = serving.relay.subscribe();
    serving.tasks.push(tokio::spawn(relay.run(async move {
        // A sender that is gone has stopped as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    })));
    Ok(serving)
}

impl Serving {
    /// Has a chain's blocks wake the relay, and whoever waits for something to cross.
    fn tell<M: Machine>(&mut self, chain: &Chain<M>, chains: &RunningChains, waker: &Waker) {
        self.tasks.push(tokio::spawn(tell_blocks(chain.clone(), Arc::clone(&chains.blocks), waker.clone())));
    }
}

/// Waits until everybody's credit stands where it may be spent, funds who is new, and says that the network serves.
#[expect(clippy::too_many_arguments, reason = "all that a network is made of")]
async fn ready(
    home: &Home,
    args: &StartArgs,
    made: Made,
    keys: Keys,
    chains: &RunningChains,
    endpoints: &[ChainEndpoints],
    relay: Monitor,
    began: Instant,
) -> Result<Network> {
    chains.until_credit_stands().await?;
    let geneses = std::iter::once(chains.settlement.genesis()).chain(chains.shards.iter().map(Chain::genesis));
    let entries = geneses.zip(endpoints).map(|(genesis, at)| ChainEntry::of_genesis(genesis, at.endpoints.clone()));
    let epoch_secs = std::num::NonZeroU64::new(made.epoch_secs).context("epochs of no length")?;
    publish(network_name()?, epoch_secs, entries.collect(), home)?;
    let node = |chain: &ChainEndpoints| Node {
        chain_id: chain.chain_id.as_str().to_owned(),
        index: 0,
        grpc: chain.endpoints.concat(),
        pid: std::process::id(),
    };
    let ready = Ready {
        network_file: home.network_file().display().to_string(),
        accounts: keys.accounts.iter().map(DevAccount::account).collect(),
        nodes: endpoints.iter().map(node).collect(),
    };
    let new: Vec<Address> = args.fund.iter().copied().filter(|who| !made.funded.contains(&who.to_string())).collect();
    let mut network = Network {
        home: home.clone(),
        made: Mutex::new(made),
        ready,
        ready_millis: 0,
        chains: chains.clone(),
        relay,
        faucet: tokio::sync::Mutex::new(keys.faucet),
    };
    for address in new {
        network.fund(address, None).await?;
    }
    for file in ready_files(home, args) {
        network.ready.write(&file)?;
    }
    network.ready_millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(network)
}

fn ready_files(home: &Home, args: &StartArgs) -> Vec<PathBuf> {
    std::iter::once(home.ready_file()).chain(args.ready_file.clone()).collect()
}

/// Stops everything. Nothing may say that the network serves when it does not.
async fn end(home: &Home, args: &StartArgs, serving: Serving, chains: &RunningChains) {
    for file in ready_files(home, args).into_iter().chain([home.control_socket()]) {
        if let Err(error) = std::fs::remove_file(&file) {
            tracing::debug!(%error, file = %file.display(), "not removed");
        }
    }
    serving.relay.send_replace(true);
    for node in serving.nodes {
        node.stop().await;
    }
    for shard in &chains.shards {
        shard.shutdown().await;
    }
    chains.settlement.shutdown().await;
    for task in serving.tasks {
        // A panic in there is in the log.
        let _ = task.await;
    }
}

/// Returns when a signal, `stop` or a fault ends the network; why a chain stopped, if one did.
async fn until_told(
    chains: &RunningChains,
    mut stopped: watch::Receiver<bool>,
    signals: &mut Signals,
) -> Option<StopReason> {
    tokio::select! {
        () = signals.told() => None,
        _ = stopped.wait_for(|stop| *stop) => None,
        reason = chains.stopped() => Some(reason),
    }
}

/// The signals that stop a network. As soon as this listens, none of them ends the process by itself.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("this process cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Returns when one of them tells the network to stop.
    async fn told(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                // A detached network outlives the terminal that it was started from.
                _ = self.hangup.recv() => if !detach::is_detached() { return },
            }
        }
    }
}
