//! The loop: start, watch, end, pause, start again.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use db3_primitives::BlockTime;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::health::{Ending, Health, HealthState};
use super::log::Said;
use super::outlook::Outlook;
use super::peers::Peers;
use super::process::{self, Process};
use super::signer::{self, Signer};
use super::words::Words;
use super::{Command, STOP_TIME, unfinished};
use crate::binary::Binary;
use crate::layout::Layout;
use crate::rpc::{Rpc, RpcError};
use crate::settings::CometSettings;

/// How often it is asked how it is.
const LOOK_TIME: Duration = Duration::from_millis(500);
/// The pauses between starts that made no block: doubled from the first to the last.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A process that answers no question for so long is ended.
const SILENT_TIME: Duration = Duration::from_secs(60);

pub(super) struct Keeper {
    pub(super) layout: Layout,
    pub(super) binary: Binary,
    pub(super) settings: Arc<CometSettings>,
    pub(super) rpc: Rpc,
    pub(super) health: watch::Sender<Health>,
    /// Whether the application has ever executed a block.
    pub(super) has_executed: bool,
}

impl Keeper {
    /// Keeps a process running until it is stopped, or must not run.
    pub(super) async fn keep(self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut pause = PAUSE_MIN;
        // Restarts because nothing moves come ever more seldom: it may be others who are missing.
        let mut patience = self.stalled_after();
        let mut signer = Signer::default();
        loop {
            let before = self.health.borrow().height;
            let ending = self.run_once(&mut commands, patience, &mut signer).await;
            let grew = self.health.borrow().height > before;
            if grew {
                (pause, patience) = (PAUSE_MIN, self.stalled_after());
            } else {
                patience = patience.saturating_mul(2).min(self.stalled_after().saturating_mul(8));
            }
            let is_unsigned = matches!(ending, Ending::Unsigned(_));
            let why = match ending {
                Ending::Stop => return self.end(HealthState::Stopped),
                Ending::Fatal(text) => {
                    tracing::error!(why = %text, "comet.fatal");
                    return self.end(HealthState::Fatal(text));
                }
                Ending::Stranded(text) => {
                    tracing::error!(why = %text, "comet.stranded");
                    return self.end(HealthState::Stranded(text));
                }
                Ending::AtOnce(why) => {
                    pause = PAUSE_MIN;
                    why
                }
                Ending::Unfinished(why) => self.begin_again(&why),
                Ending::Unsigned(why) => {
                    signer.misses(self.signer_address(), &why);
                    pause = pause.min(signer::PAUSE_MAX);
                    why
                }
                Ending::Again(why) => why,
            };
            // What has been told with its remedy is not told at every start.
            if is_unsigned {
                tracing::debug!(%why, pause_ms = pause.as_millis(), "comet.restart");
            } else {
                tracing::warn!(%why, pause_ms = pause.as_millis(), "comet.restart");
            }
            self.health.send_modify(|health| {
                health.state = HealthState::Failed(why);
                health.pid = None;
                health.answers = false;
            });
            match timeout(pause, commands.recv()).await {
                Ok(None | Some(Command::Stop)) => return self.end(HealthState::Stopped),
                Ok(Some(Command::Restart(_))) | Err(_) => {}
            }
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
            self.health.send_modify(|health| health.restarts = health.restarts.saturating_add(1));
        }
    }

    /// Puts aside what a kill in the middle of state sync left, where this node never had a block and state sync can come
    /// again. Gives what to tell.
    fn begin_again(&self, why: &str) -> String {
        if self.has_executed || self.health.borrow().height > 0 {
            return format!("{why}: this node had blocks, and CometBFT has lost them: {}", crate::SYNC_ANEW);
        }
        if self.settings.state_sync.is_none() {
            return format!(
                "{why}: state sync was ended on its way, before the first block; put [cometbft.state_sync] back into \
                 node.toml and start, and it begins anew (what is there is put aside, not removed)"
            );
        }
        match unfinished::put_aside(&self.layout) {
            Ok(aside) => format!(
                "{why}: state sync was ended on its way, and begins anew; what it left is in {}",
                aside.display()
            ),
            Err(error) => format!("{why}: state sync was ended on its way, and what it left cannot go: {error}"),
        }
    }

    /// Whether the chain's first block may not be made yet.
    fn is_before_genesis(&self) -> bool {
        #[derive(serde::Deserialize)]
        struct Genesis {
            genesis_time: String,
        }
        let read = std::fs::read(self.layout.genesis()).ok();
        let genesis = read.and_then(|bytes| serde_json::from_slice::<Genesis>(&bytes).ok());
        let begins = genesis.and_then(|genesis| BlockTime::parse_rfc3339(&genesis.genesis_time).ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        begins.is_some_and(|begins| begins.secs > now)
    }

    /// Where a signer elsewhere connects.
    fn signer_address(&self) -> Option<&str> {
        self.settings.priv_validator_laddr.as_deref()
    }

    fn stalled_after(&self) -> Duration {
        Duration::from_secs(self.settings.stalled_secs)
    }

    fn end(&self, state: HealthState) {
        self.health.send_modify(|health| {
            health.state = state;
            health.pid = None;
            health.answers = false;
            (health.peers, health.peers_height) = (0, 0);
        });
    }

    /// One process, from its start to its end.
    async fn run_once(
        &self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        patience: Duration,
        signer: &mut Signer,
    ) -> Ending {
        let mut process = match process::start(&self.layout, &self.binary, &["start"]) {
            Ok(process) => process,
            Err(error) => return Ending::Again(format!("{} cannot be run: {error}", self.binary.path().display())),
        };
        if signer.is_missing() {
            tracing::debug!(pid = process.pid(), "comet.started");
        } else {
            tracing::info!(pid = process.pid(), "comet.started");
        }
        self.health.send_modify(|health| {
            // Without a signer it has failed until it answers.
            if !signer.is_missing() {
                health.state = HealthState::Starting;
            }
            health.pid = process.pid();
            health.answers = false;
            health.since = Instant::now();
        });
        let ending = self.watch(&mut process, commands, patience, signer).await;
        process.stop().await;
        ending
    }

    async fn watch(
        &self,
        process: &mut Process,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        patience: Duration,
        signer: &mut Signer,
    ) -> Ending {
        let mut ticks = interval(LOOK_TIME);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut peers = Peers::new();
        let mut outlook = Outlook::default();
        let mut before_genesis = self.is_before_genesis();
        if before_genesis {
            tracing::info!("comet.waiting: the genesis begins later");
        }
        let mut answered = Instant::now();
        let mut words = Words::default();
        let mut listening = true;
        let Process { child, said } = process;
        loop {
            tokio::select! {
                biased;
                command = commands.recv() => return match command {
                    Some(Command::Restart(why)) => Ending::AtOnce(why),
                    Some(Command::Stop) | None => Ending::Stop,
                },
                said = said.recv(), if listening => match said {
                    Some(Said::Dead(text)) => return Ending::Again(text),
                    Some(Said::Diverged(text)) => return Ending::Fatal(text),
                    Some(Said::Unjudged(evidence)) => if let Some(why) = stranded(evidence, &self.health.borrow()) {
                        return Ending::Stranded(why);
                    },
                    Some(Said::Plain(line)) => words.take(line),
                    Some(Said::Unsigned(why)) => signer.misses(self.signer_address(), &why),
                    Some(Said::Ordinary) => {}
                    None => listening = false,
                },
                ended = child.wait() => return ended_with(said, ended, words).await,
                _ = ticks.tick() => match self.look(&mut peers, &mut outlook, signer.patience(patience)).await {
                    Ok(None) => {
                        signer.answers(self.signer_address());
                        answered = Instant::now();
                    }
                    Ok(Some(ending)) => return ending,
                    // Until the time of the genesis it sleeps, and answers nothing: the first height may take as long from
                    // then on as any other.
                    Err(_) if before_genesis => {
                        before_genesis = self.is_before_genesis();
                        answered = Instant::now();
                        self.health.send_modify(|health| health.since = answered);
                    }
                    Err(error) if answered.elapsed() >= SILENT_TIME => {
                        return Ending::Again(format!("no answer for {} s: {error}", SILENT_TIME.as_secs()));
                    }
                    Err(_) => self.health.send_modify(|health| health.take_silence(self.stalled_after())),
                },
            }
        }
    }

    /// Asks it how it is. Gives why it is to end, if it is.
    async fn look(
        &self,
        peers: &mut Peers,
        outlook: &mut Outlook,
        patience: Duration,
    ) -> Result<Option<Ending>, RpcError> {
        let status = self.rpc.status().await?;
        let connected = peers.look(&self.rpc, &self.settings).await?;
        outlook.look(&self.rpc, &status, &self.health).await;
        let mut stalled = None;
        self.health.send_modify(|health| {
            health.take(&status, connected, self.stalled_after());
            // A snapshot on its way moves no height.
            let syncing = self.settings.state_sync.is_some() && status.height == 0;
            if health.since.elapsed() < self.stalled_after() || syncing {
                return;
            }
            if let Some(why) = outlook.is_behind(&status, health) {
                self.tell_behind(&why, health);
            } else if health.since.elapsed() >= patience {
                stalled = Some(format!("no new height for {} s, at {}", patience.as_secs(), status.height));
            }
        });
        Ok(stalled.map(Ending::Again))
    }

    /// Says once that no start helps, and what does.
    fn tell_behind(&self, why: &str, health: &mut Health) {
        if matches!(health.state, HealthState::Behind(_)) {
            return;
        }
        let remedy = if self.has_executed || health.height > 0 { crate::SYNC_ANEW } else { crate::SYNC_FIRST };
        tracing::error!(why, remedy, "comet.behind");
        health.state = HealthState::Behind(format!("{why}: {remedy}"));
    }
}

/// Why no start helps, where evidence of a height cannot be judged: a node that came by state sync has no header from before
/// its first block, and `CometBFT` fetches none. One that is missing above it is damage, and nothing for this.
fn stranded(evidence: u64, health: &Health) -> Option<String> {
    let (block, first) = match health.base {
        // Nothing is known of its blocks yet.
        _ if !health.answers => return None,
        0 => ("the block after this node's snapshot".to_owned(), "it".to_owned()),
        base if evidence < base => {
            (format!("block {}", health.height.saturating_add(1)), format!("this node's first block, {base}"))
        }
        _ => return None,
    };
    Some(format!(
        "{block} holds evidence of height {evidence}, from before {first}: CometBFT can neither judge it nor go on without"
    ))
}

/// It ended by itself: whatever its exit code says, that is why it is started again, unless its last words say that it
/// must not.
async fn ended_with(
    said: &mut mpsc::Receiver<Said>,
    ended: std::io::Result<std::process::ExitStatus>,
    mut words: Words,
) -> Ending {
    while let Ok(Some(said)) = timeout(STOP_TIME, said.recv()).await {
        match said {
            Said::Diverged(text) => return Ending::Fatal(text),
            Said::Plain(line) => words.take(line),
            Said::Ordinary | Said::Unsigned(_) | Said::Dead(_) | Said::Unjudged(_) => {}
        }
    }
    words.ending(&ended.map_or_else(|error| error.to_string(), |status| status.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_evidence_from_before_the_first_block_strands_a_node() {
        let health = Health { base: 111, height: 706, answers: true, ..Health::starting() };
        let told = stranded(60, &health).unwrap_or_default();
        assert!(told.contains("block 707") && told.contains("height 60") && told.contains("block, 111"), "{told}");
        assert!(stranded(110, &health).is_some());
        assert_eq!(stranded(111, &health), None);
        let synced = Health { answers: true, ..Health::starting() };
        assert!(stranded(60, &synced).is_some(), "it has no block yet");
        assert_eq!(stranded(60, &Health::starting()), None, "nothing is known of its blocks yet");
    }
}
