//! A running devnet: its chains, what it says of itself, and moving its time.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use db3_chain::{ChainHandle, Version};
use db3_primitives::{Epoch, Height};

use crate::control::{Advanced, ChainStatus, Closed, Status};
use crate::home::Made;
use crate::ready::Ready;

/// How long the closes may take to be written.
const CLOSE_PATIENCE: Duration = Duration::from_secs(100);
/// Closes that one answer lists, at most: consecutive empty epochs close as one, so there are few.
const CLOSES_MAX: usize = 1_000;

/// A running devnet.
pub struct Network {
    /// What it was made with.
    pub made: Made,
    /// As in the ready file.
    pub ready: Ready,
    /// Milliseconds from start to serving.
    pub ready_millis: u64,
    /// The chains, in order of their number.
    pub chains: Vec<ChainHandle>,
}

impl Network {
    /// How it stands.
    pub fn status(&self) -> Status {
        Status {
            pid: std::process::id(),
            ready_millis: self.ready_millis,
            made: self.made.clone(),
            ready: self.ready.clone(),
            chains: self.chains.iter().map(chain_status).collect(),
        }
    }

    /// Moves the block time of every chain, and returns when every epoch that ended thereby has its close in the
    /// outbox.
    pub async fn advance(&self, secs: u64) -> Result<Vec<Advanced>> {
        let mut before = Vec::with_capacity(self.chains.len());
        for chain in &self.chains {
            let (open, _) = chain.committed().state.open_epoch();
            let moved = chain.clone();
            let now = tokio::task::spawn_blocking(move || moved.advance_time(secs)).await??;
            before.push((open, Epoch::of(now.secs, chain.committed().state.chain().epoch_secs)));
        }
        let mut advanced = Vec::with_capacity(self.chains.len());
        for (chain, (open_before, open_after)) in self.chains.iter().zip(before) {
            let closed = tokio::time::timeout(CLOSE_PATIENCE, closed_up_to(chain, open_after));
            let version =
                closed.await.with_context(|| format!("{} has not closed its epochs in time", chain.chain_id()))??;
            advanced.push(what_closed(chain, &version, open_before)?);
        }
        Ok(advanced)
    }
}

fn chain_status(chain: &ChainHandle) -> ChainStatus {
    let version = chain.committed();
    ChainStatus {
        chain_id: chain.chain_id().to_owned(),
        height: version.height.get(),
        provable_height: chain.provable().height.get(),
        block_time: version.time.rfc3339(),
        root: format!("0x{}", hex::encode(version.root)),
        open_epoch: version.state.open_epoch().0.get(),
    }
}

/// Waits until `epoch` is open and every epoch before it has its close, provably.
async fn closed_up_to(chain: &ChainHandle, epoch: Epoch) -> Result<std::sync::Arc<Version>> {
    let far = || tokio::time::Instant::now().checked_add(CLOSE_PATIENCE).context("the clock's end");
    let mut version = chain.provable();
    while version.state.open_epoch().0 < epoch || version.state.emission().is_some() {
        let next = version.height.next().unwrap_or(Height::new(u64::MAX));
        version = chain.wait_height(next, far()?).await?;
    }
    Ok(version)
}

fn what_closed(chain: &ChainHandle, version: &Version, open_before: Epoch) -> Result<Advanced> {
    let (open, _) = version.state.open_epoch();
    let mut closed = Vec::new();
    for row in chain.store().epochs(None, CLOSES_MAX)? {
        let close = row.close;
        if close.last < open_before {
            break;
        }
        closed.push(Closed {
            first: close.first.get(),
            last: close.last.get(),
            bills: close.bill_count,
            statements: close.statements,
            total_tai: close.total.to_string(),
        });
    }
    closed.reverse();
    if open < open_before {
        bail!("{}: epoch {open} is open after {open_before}", chain.chain_id());
    }
    Ok(Advanced {
        chain_id: chain.chain_id().to_owned(),
        block_time: version.time.rfc3339(),
        open_epoch: open.get(),
        closed,
    })
}
