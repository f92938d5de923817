//! All directions at once.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::error;

use crate::config::{ChainEndpoints, Config};
use crate::direction::Task;
use crate::error::RelayError;
use crate::monitor::{Gauge, Monitor};
use crate::pass::Passes;
use crate::remote::Remote;

/// A relay that does not run yet.
#[must_use = "a relay carries nothing until it runs"]
pub struct Relay {
    tasks: Vec<Task>,
    monitor: Monitor,
    waker: Waker,
}

/// Makes a relay look at once, where it waits for the next poll. Waits after failures are not cut short. A clone is one pointer.
#[derive(Clone, Debug)]
pub struct Waker(Arc<watch::Sender<()>>);

impl Waker {
    /// Something may have happened: a chain has a new block.
    pub fn wake(&self) {
        self.0.send_replace(());
    }
}

impl Relay {
    /// Connects to nothing yet; must be called within a tokio runtime. Directions that name the same endpoints share their
    /// connections.
    pub fn new(config: &Config) -> Result<Self, RelayError> {
        let (sender, receiver) = watch::channel(());
        let mut remotes: Vec<(ChainEndpoints, Remote)> = Vec::new();
        let mut tasks = Vec::with_capacity(config.directions.len());
        let passes = Passes::new();
        for direction in &config.directions {
            let mut remote = |chain: &ChainEndpoints| {
                if let Some((_, remote)) = remotes.iter().find(|(known, _)| known == chain) {
                    return Ok(remote.clone());
                }
                let remote = Remote::new(chain, config.timeout, passes.as_ref())?;
                remotes.push((chain.clone(), remote.clone()));
                Ok(remote)
            };
            let (from, to) = (remote(&direction.from)?, remote(&direction.to)?);
            let gauge = Arc::new(Gauge::new(from.chain_id.clone(), to.chain_id.clone()));
            tasks.push(Task::new(from, to, gauge, config, receiver.clone()));
        }
        let monitor = Monitor::new(tasks.iter().map(|task| Arc::clone(&task.gauge)).collect(), passes);
        Ok(Self { tasks, monitor, waker: Waker(Arc::new(sender)) })
    }

    /// To look at it while it runs.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// To wake it while it runs.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Carries until `shutdown` is ready, and stops at once then: nothing that it does can be left half done.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { tasks, waker, .. } = self;
        let mut running: JoinSet<()> = tasks.into_iter().map(Task::run).collect();
        let ended = async {
            while let Some(ended) = running.join_next().await {
                if let Err(error) = ended {
                    error!(%error, "relay.direction_ended");
                }
            }
            // A relay without directions waits like any other.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = shutdown => {}
            () = ended => {}
        }
        // As long as this lives, no task takes the end of all wakers for a wake.
        drop(waker);
    }
}
