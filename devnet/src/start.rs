//! `db3 devnet start`: everything in this process, until a signal or `stop` ends it.
//!
//! Ports are bound first, so that a taken one is known before anything is made. Keys are encrypted while the chains
//! start. The ready file is written last, once every port answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use db3_chain::telemetry::{self, LogFormat};
use db3_chain::{ChainHandle, StopReason};
use db3_client::console::OutputFormat;
use db3_client::devnet_args::{ConsoleArgs, DevnetProgram, PORT_DEFAULT, StartArgs};
use db3_genesis::ChainEntry;
use db3_primitives::ChainId;
use db3_shard_node::{Cors, ServeConfig, Served, ShardEndpoints, serve_on};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::accounts::{DevAccount, derive, write_keystore};
use crate::banner::banner;
use crate::command::status_json;
use crate::control::{self, Status};
use crate::control_server;
use crate::detach;
use crate::failure::Failure;
use crate::home::{Home, Made};
use crate::make::{make_chains, network_name, settings, settle};
use crate::network::Network;
use crate::publish::publish;
use crate::ready::{Node, Ready};

/// Starts the devnet, here or detached.
pub fn start(program: &DevnetProgram, home: &Home) -> Result<()> {
    let began = Instant::now();
    let args = program.devnet.start_args().unwrap_or_default();
    if args.detach {
        if home.is_locked()? {
            return Err(already_running(home));
        }
        let status = detach::start(program, home)?;
        show(&status, home, program.console, true);
        return Ok(());
    }
    telemetry::init("warn", LogFormat::Text)?;
    let Some(_lock) = home.lock()? else {
        return Err(already_running(home));
    };
    let made = settle(home, &args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads")?;
    let result = runtime.block_on(run(home, &args, made, program.console, began));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

fn already_running(home: &Home) -> anyhow::Error {
    let who = control::running(home).map_or_else(String::new, |status| format!(" (process {})", status.pid));
    anyhow!(
        "a devnet is already running in {}{who}; `db3 devnet status` shows it, `db3 devnet stop` ends it",
        home.path().display()
    )
}

fn show(status: &Status, home: &Home, console: ConsoleArgs, detached: bool) {
    match console.output {
        OutputFormat::Json => println!("{}", status_json(status)),
        OutputFormat::Table | OutputFormat::Csv if console.quiet => {}
        OutputFormat::Table | OutputFormat::Csv => print!("{}", banner(status, home, detached)),
    }
}

/// One shard that is served.
struct Shard {
    chain: ChainHandle,
    served: Served,
}

async fn run(home: &Home, args: &StartArgs, made: Made, console: ConsoleArgs, began: Instant) -> Result<()> {
    let listeners = bind_all(args.port.unwrap_or(PORT_DEFAULT), made.shards).await?;
    let control = control_server::bind(&home.control_socket())?;
    let accounts = derive(made.accounts)?;
    let chains = make_chains(home, &made, &accounts)?;
    home.keep_made(&made)?;
    let shards = start_all(home, &chains, listeners, &accounts).await?;
    let network = Arc::new(announce(home, args, made, &accounts, &shards, began)?);
    show(&network.status(), home, console, detach::is_detached());
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(control_server::serve(control, Arc::clone(&network), stop.clone()));
    let ended = until_told(&network.chains, stopped).await;
    stop.send_replace(true);
    retract(home, args);
    for shard in shards {
        shard.served.stop().await;
        shard.chain.shutdown().await;
    }
    // The server's task holds the network; both end before the folder's lock is given back.
    let _ = server.await;
    drop(network);
    match ended {
        Some(StopReason::Fatal { detail }) => bail!(Failure::Fatal(detail)),
        Some(StopReason::Shutdown) | None => Ok(()),
    }
}

/// Binds the ports of all shards.
async fn bind_all(port: u16, shards: u32) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for shard in 0..shards {
        let port =
            u16::try_from(shard).ok().and_then(|shard| port.checked_add(1)?.checked_add(shard)).ok_or_else(|| {
                Failure::Wrong(format!("--port {port} leaves no port for shard {shard}; name a lower one"))
            })?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address).await.map_err(|error| {
            anyhow!(
                "port {port} of {} cannot be used for shard {shard} ({error}); end the program that holds it, or choose \
                 other ports with --port",
                Ipv4Addr::LOCALHOST
            )
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

async fn start_all(
    home: &Home,
    chains: &[ChainId],
    listeners: Vec<TcpListener>,
    accounts: &[DevAccount],
) -> Result<Vec<Shard>> {
    let endpoints = chains
        .iter()
        .zip(0_u32..)
        .zip(&listeners)
        .map(|((_, shard), listener)| Ok(ShardEndpoints { shard, endpoints: vec![url(listener.local_addr()?)] }))
        .collect::<Result<Vec<_>>>()?;
    let starting: Vec<_> =
        chains.iter().map(|chain_id| tokio::spawn(ChainHandle::start(settings(home, chain_id)))).collect();
    tokio::task::block_in_place(|| write_keystore(&home.keystore(), accounts))?;
    let mut shards = Vec::new();
    for (started, listener) in starting.into_iter().zip(listeners) {
        let chain = started.await.context("a chain's start")??;
        let config = ServeConfig {
            cors: Cors::Localhost,
            shard_endpoints: endpoints.clone(),
            ..ServeConfig::new(listener.local_addr()?)
        };
        let served = serve_on(listener, chain.clone(), config).await?;
        shards.push(Shard { chain, served });
    }
    Ok(shards)
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Writes the network file and the ready file.
fn announce(
    home: &Home,
    args: &StartArgs,
    made: Made,
    accounts: &[DevAccount],
    shards: &[Shard],
    began: Instant,
) -> Result<Network> {
    let entries = shards
        .iter()
        .map(|shard| ChainEntry::of_shard(shard.chain.genesis(), vec![url(shard.served.addr())]))
        .collect();
    let epoch_secs = std::num::NonZeroU64::new(made.epoch_secs).context("epochs of no length")?;
    publish(network_name()?, epoch_secs, entries, home)?;
    let node = |shard: &Shard| Node {
        chain_id: shard.chain.chain_id().to_owned(),
        index: 0,
        grpc: url(shard.served.addr()),
        pid: std::process::id(),
    };
    let ready = Ready {
        network_file: home.network_file().display().to_string(),
        accounts: accounts.iter().map(DevAccount::account).collect(),
        nodes: shards.iter().map(node).collect(),
    };
    for file in ready_files(home, args) {
        ready.write(&file)?;
    }
    let ready_millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let chains = shards.iter().map(|shard| shard.chain.clone()).collect();
    Ok(Network { made, ready, ready_millis, chains })
}

fn ready_files(home: &Home, args: &StartArgs) -> Vec<PathBuf> {
    std::iter::once(home.ready_file()).chain(args.ready_file.clone()).collect()
}

/// Nothing may say that the network serves when it does not.
fn retract(home: &Home, args: &StartArgs) {
    for file in ready_files(home, args).into_iter().chain([home.control_socket()]) {
        if let Err(error) = std::fs::remove_file(&file) {
            tracing::debug!(%error, file = %file.display(), "not removed");
        }
    }
}

/// Returns when a signal, `stop` or a fault ends the network; why a chain stopped, if one did.
async fn until_told(chains: &[ChainHandle], mut stopped: watch::Receiver<bool>) -> Option<StopReason> {
    let (faults, mut fault) = tokio::sync::mpsc::channel(chains.len().max(1));
    for chain in chains {
        let (chain, faults) = (chain.clone(), faults.clone());
        tokio::spawn(async move {
            let reason = chain.stopped().await;
            // Nobody listens once the network stops.
            let _ = faults.send(reason).await;
        });
    }
    tokio::select! {
        () = told_by_signal() => None,
        _ = stopped.wait_for(|stop| *stop) => None,
        reason = fault.recv() => reason,
    }
}

async fn told_by_signal() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else {
        return std::future::pending().await;
    };
    let detached = detach::is_detached();
    loop {
        tokio::select! {
            _ = interrupt.recv() => return,
            _ = terminate.recv() => return,
            // A detached network outlives the terminal that it was started from.
            _ = hangup.recv() => if !detached { return },
        }
    }
}
