//! A running devnet: its chains, and what it says of itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use db3_chain::{Chain, ChainHandle, Machine, SettlementMachine, StopReason, VersionOf};
use db3_primitives::{Address, Epoch, SecretKey, Tai};
use db3_relay::Monitor;
use db3_settlement_state::SettlementState;
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

use crate::control::{ChainStatus, Direction, Funds, Status};
use crate::home::{Home, Made};
use crate::ready::Ready;

/// The settlement chain.
pub type Settlement = Chain<SettlementMachine>;

/// How long lines, closes, rounds and leases may take to cross the chains.
const PATIENCE: Duration = Duration::from_secs(100);

/// How long what no block tells of (a clock that passes a boundary) may go unseen.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A running devnet.
pub struct Network {
    /// Where it stands.
    pub home: Home,
    /// What it was made with.
    pub made: std::sync::Mutex<Made>,
    /// As in the ready file.
    pub ready: Ready,
    /// Milliseconds from start to serving.
    pub ready_millis: u64,
    /// Its chains.
    pub chains: RunningChains,
    /// What its relay does.
    pub relay: Monitor,
    /// Gives money; one gift at a time, because each takes the next nonce.
    pub faucet: Mutex<SecretKey>,
}

/// The chains of a running devnet. A clone is the same ones.
#[derive(Clone)]
pub struct RunningChains {
    /// The settlement chain.
    pub settlement: Settlement,
    /// The shards, in order.
    pub shards: Vec<ChainHandle>,
    /// Told of every block that can be proven.
    pub blocks: Arc<Notify>,
}

impl Network {
    /// How it stands.
    pub fn status(&self) -> Result<Status> {
        let RunningChains { settlement, shards, .. } = &self.chains;
        let state = &settlement.provable().state;
        let mut chains =
            vec![ChainStatus { settled_epoch: state.round().settled.map(Epoch::get), ..status_of(settlement)? }];
        for shard in shards {
            chains.push(status_of(shard)?);
        }
        let made = crate::lock(&self.made).clone();
        Ok(Status {
            pid: std::process::id(),
            ready_millis: self.ready_millis,
            funds: funds(state, &self.ready, &made)?,
            made,
            ready: self.ready.clone(),
            chains,
            relay: directions(&self.relay),
        })
    }
}

impl RunningChains {
    /// Waits until a condition holds. It is looked at again after every block of any chain, and now and then.
    ///
    /// Errors: what the condition says is missing when it does not come to hold in time, or when a chain stops.
    pub async fn until<T>(&self, mut holds: impl FnMut() -> Result<Result<T, String>>) -> Result<T> {
        let mut missing = String::new();
        let waiting = async {
            loop {
                let block = self.blocks.notified();
                tokio::pin!(block);
                // From here on no block is missed.
                block.as_mut().enable();
                match holds()? {
                    Ok(value) => return Ok(value),
                    Err(what) => missing = what,
                }
                tokio::select! {
                    () = block => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                    reason = self.stopped() => bail!("a chain has stopped ({reason:?})"),
                }
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(result) => result,
            Err(_) => bail!("{missing}, even after {} s; `db3 devnet status` shows what waits", PATIENCE.as_secs()),
        }
    }

    /// Waits until every shard knows, provably, all that the settlement chain has said, and may charge now.
    pub async fn until_credit_stands(&self) -> Result<()> {
        self.until(|| Ok(self.credit_stands())).await
    }

    fn credit_stands(&self) -> Result<(), String> {
        let settlement = self.settlement.provable();
        if settlement.root != self.settlement.committed().root {
            return Err(format!("{} has not proven its newest state", self.settlement.chain_id()));
        }
        if settlement.state.round().running.is_some() {
            return Err(format!("{} has not finished its round", self.settlement.chain_id()));
        }
        for shard in &self.shards {
            let version = shard.provable();
            let said = settlement.state.outbox_to(shard.genesis().chain_id()).size();
            let heard =
                version.state.channel(self.settlement.genesis().chain_id()).map_or(0, |channel| channel.cursor());
            if heard < said {
                return Err(format!("{} has heard {heard} of {said} entries", shard.chain_id()));
            }
            let chain = version.state.chain();
            let open = Epoch::of(shard.now().secs, chain.epoch_secs);
            if chain.lease_epoch < open.get() {
                return Err(format!(
                    "{} may charge until epoch {}, and epoch {open} is open",
                    shard.chain_id(),
                    chain.lease_epoch
                ));
            }
        }
        Ok(())
    }

    /// Returns when one of the chains makes no more blocks.
    pub async fn stopped(&self) -> StopReason {
        let shards = self.shards.iter().map(|shard| Box::pin(shard.stopped()));
        tokio::select! {
            reason = self.settlement.stopped() => reason,
            (reason, _, _) = futures::future::select_all(shards) => reason,
        }
    }
}

/// Tells of every block that can be proven, until the chain stops.
pub async fn tell_blocks<M: Machine>(chain: Chain<M>, blocks: Arc<Notify>, relay: db3_relay::Waker) {
    let mut events = chain.subscribe(None);
    drop(chain);
    while events.next().await.is_ok() {
        blocks.notify_waiters();
        relay.wake();
    }
}

fn status_of<M: Machine>(chain: &Chain<M>) -> Result<ChainStatus> {
    let status = chain.status().with_context(|| format!("the status of {}", chain.chain_id()))?;
    Ok(ChainStatus {
        chain_id: chain.chain_id().to_owned(),
        height: status.height.get(),
        provable_height: status.provable_height.get(),
        block_time: status.block_time.rfc3339(),
        root: format!("0x{}", hex::encode(status.root)),
        open_epoch: status.open_epoch.get(),
        settled_epoch: None,
    })
}

fn directions(relay: &Monitor) -> Vec<Direction> {
    let direction = |report: db3_relay::Report| Direction {
        from: report.from.as_str().to_owned(),
        to: report.to.as_str().to_owned(),
        lag_entries: report.known.then(|| report.lag_entries()),
        lag_secs: report.lag_secs,
        condition: format!("{:?}", report.condition).to_lowercase(),
        error: report.last_error,
    };
    relay.reports().into_iter().map(direction).collect()
}

/// What the funded accounts have.
fn funds(state: &SettlementState, ready: &Ready, made: &Made) -> Result<Vec<Funds>> {
    let named = ready.accounts.iter().map(|account| (account.name.as_str(), account.address.as_str()));
    let funded = made.funded.iter().map(|address| ("--fund", address.as_str()));
    named.chain(funded).map(|(name, address)| Ok(funds_of(state, name, address.parse()?))).collect()
}

/// What one account has.
pub fn funds_of(state: &SettlementState, name: &str, address: Address) -> Funds {
    let account = state.account(&address);
    Funds {
        name: name.to_owned(),
        address: address.to_string(),
        balance_tai: account.leaf.balance.to_string(),
        limit_tai: account.limit.to_string(),
        free_tai: account.limit.saturating_sub(account.held).to_string(),
        lines: account.lines.iter().map(|(shard, line)| (shard.get(), line.want.to_string())).collect(),
    }
}

/// The newest provable version of the settlement chain.
pub fn settled(chains: &RunningChains) -> Arc<VersionOf<SettlementMachine>> {
    chains.settlement.provable()
}

/// An amount as tables print it.
pub fn db3_text(tai: &str) -> String {
    tai.parse::<Tai>().map_or_else(|_| format!("{tai} tai"), |tai| format!("{} DB3", tai.to_db3_string()))
}
