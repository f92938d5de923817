//! One process: started so that it dies with this one, its output read, ended when it is time.

use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::STOP_TIME;
use super::log::{Verdict, forward, next_line};
use crate::abci::remove_stale;
use crate::binary::Binary;
use crate::layout::Layout;

/// Sets the signal that a process gets when its parent dies, then becomes that process (Debian: util-linux).
const SETPRIV: &str = "/usr/bin/setpriv";

pub(super) struct Process {
    pub(super) child: Child,
    /// What its output means, and its last words.
    pub(super) said: mpsc::Receiver<(Verdict, String)>,
}

/// Starts it. Sockets of an earlier one are removed.
pub(super) fn start(layout: &Layout, binary: &Binary) -> std::io::Result<Process> {
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
    command.arg("start").arg("--home").arg(layout.comet_home());
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

/// Hands its lines on until it says no more. What means something goes to the keeper; so does what is no line of its
/// log, for that is what it says when it ends.
async fn listen(from: impl AsyncRead + Unpin, to: mpsc::Sender<(Verdict, String)>) {
    let mut from = BufReader::new(from);
    while let Some(line) = next_line(&mut from).await {
        let verdict = forward(&line);
        let plain = !line.starts_with('{');
        if verdict != Verdict::Ordinary || plain {
            // A full queue has enough to tell.
            let _ = to.try_send((verdict, if plain { line } else { String::new() }));
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
