//! The supervisor of one `CometBFT` process: starts it, judges it by height and not by exit code, redials peers that it
//! lost, restarts it with growing pauses, forwards its log, stops it. It dies with this process.
//!
//! What it sees is [`Health`]. A root that the other validators do not share is fatal: the process is not started again,
//! and the node must end (exit code 70). Nor is it where the others decided a block that it cannot judge: that node needs a
//! newer snapshot.

mod health;
mod inspect;
mod log;
mod outlook;
mod peers;
mod process;
mod run;
mod signer;
mod unfinished;
mod words;

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

pub use health::{Health, HealthState};
pub use inspect::{Stored, inspect};

use crate::binary::Binary;
use crate::error::CometError;
use crate::layout::Layout;
use crate::rpc::Rpc;
use crate::settings::CometSettings;

/// How long a process may take to end after it was asked to.
const STOP_TIME: Duration = Duration::from_secs(10);

/// Watches over one process. It is stopped when this is dropped.
#[derive(Debug)]
pub struct Supervisor {
    commands: mpsc::UnboundedSender<Command>,
    health: watch::Receiver<Health>,
    thread: Option<JoinHandle<()>>,
}

enum Command {
    Restart(String),
    Stop,
}

impl Supervisor {
    /// Starts `CometBFT` with what [`write_config`](crate::write_config) wrote. The application listens already.
    /// `has_executed` says whether it has ever executed a block: then nothing of what `CometBFT` has is ever put aside.
    ///
    /// # Errors
    /// The thread cannot be started. That the process cannot be started is seen in its health.
    pub fn start(
        layout: Layout,
        binary: Binary,
        settings: CometSettings,
        has_executed: bool,
    ) -> Result<Self, CometError> {
        let (commands, from) = mpsc::unbounded_channel();
        let (sender, health) = watch::channel(Health::starting());
        let rpc = Rpc::new(&layout.rpc_socket());
        let settings = Arc::new(settings);
        let keeper = run::Keeper { layout, binary, settings, rpc, health: sender, has_executed };
        // The death of a parent is the death of the thread that started a process: this one lasts as long as it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| CometError::Thread { source })?;
        let thread = thread::Builder::new()
            .name("comet".to_owned())
            .spawn(move || runtime.block_on(keeper.keep(from)))
            .map_err(|source| CometError::Thread { source })?;
        Ok(Self { commands, health, thread: Some(thread) })
    }

    /// How it is, whenever that changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Ends the process and starts it again at once.
    pub fn restart(&self, why: impl Into<String>) {
        // A supervisor that has ended starts nothing.
        let _ = self.commands.send(Command::Restart(why.into()));
    }

    /// Ends the process: asked first, killed if it takes longer than ten seconds.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // It may have ended by itself.
        let _ = self.commands.send(Command::Stop);
        // It does not panic; and there is nothing left to do if it did.
        let _ = thread.join();
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end();
    }
}
