//! All of `CometBFT` on this side: the server of the application, the process and its supervisor, the bundler, the
//! follower, and what is known of their health.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use db3_comet::{
    AbciFault, AbciServer, Binary, Broadcast, FrameLimits, Health, HealthState, Layout, Rpc, Supervisor, abci,
    write_config,
};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::anew;
use super::archive::CometArchive;
use super::bundler::Bundler;
use super::follower::follow;
use super::health::{Consensus, ConsensusState};
use super::served::Served;
use super::signed::Signed;
use crate::app::{App, Inner};
use crate::error::{FatalError, StartError};
use crate::init::genesis_file;
use crate::machine::Machine;
use crate::signal::Signal;
use crate::store::StoreError;

/// How long ended tasks are waited for.
const END_STEP: Duration = Duration::from_millis(2);
const END_STEPS: u32 = 500;

/// A `CometBFT` at work for this chain.
pub(crate) struct CometEngine {
    supervisor: Supervisor,
    server: AbciServer,
    bundler: JoinHandle<()>,
    tasks: JoinSet<()>,
    signal: Arc<Signal>,
    told: watch::Sender<bool>,
}

impl CometEngine {
    /// Serves the application and starts `CometBFT` with the folder's genesis and keys. `stopped` ends the bundler.
    pub(crate) fn start<M: Machine>(
        app: App<M>,
        stopped: Arc<AtomicBool>,
        runtime: &Handle,
    ) -> Result<Self, StartError> {
        let inner = Arc::clone(&app.inner);
        let settings = inner.config.cometbft.clone();
        let layout = Layout::new(&inner.config.home)?;
        let binary = Binary::find(&settings)?;
        let height = inner.versions.committed().height;
        if height >= inner.genesis.initial_height() && !layout.has_blocks() && settings.state_sync.is_none() {
            return Err(StartError::NoBlocks { home: inner.config.home.clone(), height });
        }
        let path = genesis_file(&inner.config.home);
        let genesis = fs::read_to_string(&path).map_err(|source| StoreError::File { path, source })?;
        layout.make_folders()?;

        let has_executed = inner.store.first_summary()?.is_some();
        let application = Served::new(app, layout.has_blocks(), Signed::of(&layout, &settings));
        let starts = application.starts();
        let address = layout.abci_address(&settings)?;
        let server = abci::serve(application, &address, FrameLimits::of(genesis.len(), &settings))
            .map_err(|source| StartError::Serve { address: address.to_string(), source })?;
        write_config(&layout, &settings, server.address(), &genesis, inner.config.sync_servers)?;

        let rpc = Rpc::new(&layout.rpc_socket());
        inner.blocks.set_archive(Box::new(CometArchive::new(rpc.clone(), runtime.clone())));
        let broadcast = {
            let _within = runtime.enter();
            Broadcast::new(&layout.grpc_socket())
        };
        let bundler = Bundler::new(Arc::clone(&inner), broadcast, runtime.clone(), stopped, starts);
        let thread = std::thread::Builder::new().name("bundler".to_owned());
        let bundler = thread.spawn(move || bundler.run()).map_err(StartError::Thread)?;

        let supervisor = Supervisor::start(layout, binary, settings, has_executed)?;
        let (told, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn_on(follow(Arc::clone(&inner), rpc, stopped), runtime);
        tasks.spawn_on(watch_health(Arc::clone(&inner), supervisor.health()), runtime);
        tasks.spawn_on(watch_faults(Arc::clone(&inner), server.broken()), runtime);
        Ok(Self { supervisor, server, bundler, tasks, signal: Arc::clone(&inner.signal), told })
    }

    /// Ends the process, then everything that served it. Blocks; whoever calls has raised the flag that ends the
    /// bundler.
    pub(crate) fn stop(self) {
        let Self { supervisor, server, bundler, tasks, signal, told } = self;
        supervisor.stop();
        server.stop();
        signal.raise();
        // A panic in there is in the log.
        let _ = bundler.join();
        told.send_replace(true);
        end(tasks);
    }
}

/// Ends tasks and waits until they let go of what they hold, the folder among it; on a runtime whose one thread waits
/// here they do so a moment later.
pub(super) fn end(mut tasks: JoinSet<()>) {
    tasks.abort_all();
    for _ in 0..END_STEPS {
        while tasks.try_join_next().is_some() {}
        if tasks.is_empty() {
            return;
        }
        std::thread::sleep(END_STEP);
    }
}

/// Notes how the process does; a fatal word of it ends the node, or has it begin anew.
async fn watch_health<M: Machine>(inner: Arc<Inner<M>>, mut health: watch::Receiver<Health>) {
    let mut before = ConsensusState::Starting;
    loop {
        let seen = health.borrow_and_update().clone();
        let consensus = consensus_of(&seen);
        inner.metrics.comet(&seen, &consensus);
        inner.consensus.send_replace(consensus);
        if consensus.state != before {
            before = consensus.state;
            let (state, peers, height) = (consensus.state.name(), consensus.peers, seen.height);
            tracing::info!(state, height, peers, catching_up = consensus.catching_up, "comet.health");
        }
        match seen.state {
            HealthState::Fatal(detail) => return inner.fail(FatalError::Engine { detail }),
            HealthState::Stranded(detail) => match anew::prepare(&inner) {
                Ok(()) => return inner.fail(FatalError::Stranded { detail }),
                Err(obstacle) => {
                    let remedy = db3_comet::SYNC_ANEW;
                    tracing::error!(
                        detail,
                        obstacle,
                        remedy,
                        "chain.stranded: it does not come from a snapshot by itself"
                    );
                }
            },
            HealthState::Starting
            | HealthState::Advancing
            | HealthState::Stalled
            | HealthState::Behind(_)
            | HealthState::Failed(_)
            | HealthState::Stopped => {}
        }
        if health.changed().await.is_err() {
            return;
        }
    }
}

fn consensus_of(health: &Health) -> Consensus {
    let state = match &health.state {
        HealthState::Starting => ConsensusState::Starting,
        HealthState::Advancing => ConsensusState::Advancing,
        HealthState::Stalled => ConsensusState::Stalled,
        HealthState::Behind(_) => ConsensusState::Behind,
        HealthState::Stranded(_) => ConsensusState::Stranded,
        HealthState::Failed(_) | HealthState::Fatal(_) | HealthState::Stopped => ConsensusState::Failed,
    };
    Consensus {
        state,
        catching_up: health.catching_up,
        peers: u32::try_from(health.peers).unwrap_or(u32::MAX),
        restarts: health.restarts,
    }
}

/// Stops the chain once it broke: it is opened anew, and `CometBFT` started with it.
async fn watch_faults<M: Machine>(inner: Arc<Inner<M>>, mut broken: watch::Receiver<Option<AbciFault>>) {
    let fault = match broken.wait_for(Option::is_some).await {
        Ok(fault) => fault.as_ref().map(ToString::to_string),
        Err(_) => None,
    };
    if let Some(detail) = fault {
        inner.fail(FatalError::Broken { height: inner.versions.committed().height, detail });
    }
}
