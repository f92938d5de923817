//! One process: started so that it dies with this one, its output read, ended when it is time.

use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::STOP_TIME;
use super::log::{Said, forward, next_line};
use crate::abci::remove_stale;
use crate::binary::Binary;
use crate::layout::Layout;

/// Sets the signal that a process gets when its parent dies, then becomes that process (Debian: util-linux).
const SETPRIV: &str = "/usr/bin/setpriv";

pub(super) struct Process {
    pub(super) child: Child,
    /// What its output means.
    pub(super) said: mpsc::Receiver<Said>,
}

/// Starts it with one of its commands and what that takes. Sockets of an earlier one are removed.
pub(super) fn start(layout: &Layout, binary: &Binary, command_line: &[&str]) -> std::io::Result<Process> {
    remove_stale(&layout.rpc_socket())?;
    remove_stale(&layout.grpc_socket())?;
    let mut command = if Path::new(SETPRIV).exists() {
        let mut command = Command::new(SETPRIV);
        command.args(["--pdeathsig", "KILL", "--"]).arg(binary.path());
        command
    } else {
        // It ends all the same once its connections to the application close.
        Command::new(binary.path())
    };
    command.args(command_line).arg("--home").arg(layout.comet_home());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A terminal's Ctrl-C is for the node, which stops it in order.
    command.process_group(0).kill_on_drop(true);
    // The environment could say otherwise what the configuration says.
    for (name, _) in std::env::vars_os() {
        let ours = name.to_str().is_some_and(|name| name.starts_with("CMT_") || name.starts_with("CMTHOME"));
        if ours {
            command.env_remove(name);
        }
    }
    let mut child = command.spawn()?;
    let (sender, said) = mpsc::channel(64);
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(listen(stdout, sender.clone()));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(listen(stderr, sender));
    }
    Ok(Process { child, said })
}

/// Hands its lines on until it says no more. What means something goes to the keeper.
async fn listen(from: impl AsyncRead + Unpin, to: mpsc::Sender<Said>) {
    let mut from = BufReader::new(from);
    while let Some(line) = next_line(&mut from).await {
        let said = forward(&line);
        if said != Said::Ordinary {
            // A full queue has enough to tell.
            let _ = to.try_send(said);
        }
    }
}

impl Process {
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks it to end, and kills it if it takes too long.
    pub(super) async fn stop(mut self) {
        self.signal(Signal::TERM);
        if timeout(STOP_TIME, self.child.wait()).await.is_err() {
            tracing::warn!(seconds = STOP_TIME.as_secs(), "comet.killed");
        }
        // It has ended, or ends now.
        let _ = self.child.kill().await;
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended; its number is not given away before we have waited for it.
            let _ = kill_process(pid, signal);
        }
    }
}
