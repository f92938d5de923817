//! After the faults: every node tells the same of every mutation of a history, what was acknowledged is there, each
//! register has exactly as many versions as writes were applied, and what a block holds is billed once. A node that came
//! from a snapshot knows receipts and bills from the height on that its status names; another knows all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use db3_proto::v1;
use tokio::time::sleep;

use crate::bills;
use crate::call::{Call, Kind, Outcome};
use crate::caller::{Caller, EXPIRE_SECS, Node, Seen, said_by, timed};

/// How long nodes may take to come together.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was compared.
#[derive(Clone, Debug, Default)]
pub struct Audited {
    pub nodes: usize,
    pub mutations: usize,
    pub applied: usize,
    /// Of those whose outcome the caller did not know.
    pub found_applied: usize,
    /// Those that a block holds, each with its one bill.
    pub billed: usize,
    /// Nodes that came from a snapshot and have not the oldest receipts and bills.
    pub without_all: usize,
    pub height: u64,
    /// Milliseconds until every node had the same state.
    pub together_ms: u128,
    /// The history without a question: what became of every write, at the latest when the last call ended.
    pub resolved: Vec<Call>,
}

/// Compares everything.
pub async fn audit(caller: &Caller, calls: &[Call]) -> Result<Audited> {
    let nodes = caller.nodes()?;
    let seen = Seen::default();
    let (height, together_ms) = together(caller, &nodes, &seen).await?;
    let mut audited =
        Audited { nodes: nodes.len(), height, together_ms, resolved: calls.to_vec(), ..Audited::default() };
    let last_end = calls.iter().map(|call| call.end).max().unwrap_or(0);
    let histories = histories(&nodes).await?;
    audited.without_all = histories.iter().filter(|(_, from)| *from > 1).count();
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    let mut receipts = BTreeMap::new();
    for (call, resolved) in calls.iter().zip(&mut audited.resolved) {
        let Some(id) = call.result.id() else { continue };
        if call.call == Kind::Read {
            continue;
        }
        audited.mutations = audited.mutations.saturating_add(1);
        let receipt = same_receipt(&histories, id).await?;
        let state = receipt.state();
        match &call.result {
            Outcome::Ok { height, version, .. } => {
                let told = receipt.results.first().map_or(0, |result| result.version);
                ensure!(
                    state == v1::ReceiptState::Applied && receipt.height == *height && told == *version,
                    "{id} was acknowledged at height {height} with version {version}, and is now {receipt:?}"
                );
            }
            Outcome::Mismatch { height, .. } => ensure!(
                state == v1::ReceiptState::Failed && receipt.height == *height,
                "{id} failed at height {height}, and is now {receipt:?}"
            ),
            Outcome::Info { .. } => {
                let applied = usize::from(state == v1::ReceiptState::Applied);
                audited.found_applied = audited.found_applied.saturating_add(applied);
                (resolved.result, resolved.end) = (became(&receipt, id), last_end);
            }
            Outcome::None { .. } => {}
        }
        if state == v1::ReceiptState::Applied {
            audited.applied = audited.applied.saturating_add(1);
            let version = versions.entry(&call.arguments.key).or_default();
            *version = version.saturating_add(1);
        }
        let before = receipts.insert(Bytes::from(hex::decode(id)?), receipt);
        ensure!(before.is_none(), "{id} was sent twice");
    }
    for (key, applied) in versions {
        for node in &nodes {
            let found = caller.read(node, key, &seen).await;
            let Outcome::Ok { version, .. } = found else { anyhow::bail!("{}: {key}: {found:?}", node.url) };
            ensure!(version == applied, "{}: {key} has version {version} after {applied} applied writes", node.url);
        }
    }
    let mut all: Option<bills::Told> = None;
    for (node, from) in histories {
        let told = bills::of_account(caller, node, seen.height()).await?;
        if let Some(all) = &all {
            bills::compare_from(from, &told, all).with_context(|| node.url.clone())?;
        } else {
            audited.billed = bills::compare(&told.0, &told.1, &receipts).with_context(|| node.url.clone())?;
            all = Some(told);
        }
    }
    Ok(audited)
}

/// The nodes, each with the height from which on it has receipts and bills; first those that have all.
async fn histories(nodes: &[Node]) -> Result<Vec<(&Node, u64)>> {
    let mut found = Vec::new();
    for node in nodes {
        let status = node.chain().get_status(timed(v1::GetStatusRequest {})).await.with_context(|| node.url.clone())?;
        found.push((node, status.into_inner().history_from_height));
    }
    found.sort_by_key(|(_, from)| *from);
    ensure!(found.first().is_some_and(|(_, from)| *from == 1), "no node has all receipts and bills");
    Ok(found)
}

/// What became of a write, when no block can take it any more.
fn became(receipt: &v1::Receipt, id: &str) -> Outcome {
    match said_by(receipt.clone(), id.to_owned()) {
        Outcome::Info { why, .. } => Outcome::None { why: format!("in no block: {why}") },
        told => told,
    }
}

/// Waits until no mutation of the history can be applied any more, and every node has the same root at one height.
async fn together(caller: &Caller, nodes: &[Node], seen: &Seen) -> Result<(u64, u128)> {
    let began = Instant::now();
    let mut roots = agree(caller, nodes, seen, began).await?;
    let together = began.elapsed().as_millis();
    // What still waits somewhere may come into a block until it expires; then a block whose time is past that.
    sleep(Duration::from_secs(EXPIRE_SECS).saturating_sub(began.elapsed())).await;
    let first = nodes.first().context("no node")?;
    caller.prepare(first, seen).await?;
    let last = caller.write(first, "end", "of the history", None, seen).await?;
    ensure!(matches!(last, Outcome::Ok { .. }), "the network takes no more writes: {last:?}");
    if nodes.len() > 1 {
        roots = agree(caller, nodes, seen, Instant::now()).await?;
    }
    Ok((roots, together))
}

/// A height at which every node has the same root.
async fn agree(caller: &Caller, nodes: &[Node], seen: &Seen, began: Instant) -> Result<u64> {
    loop {
        match same_root(nodes).await {
            Ok(height) => return Ok(height),
            Err(error) if began.elapsed() > PATIENCE => return Err(error.context("30 seconds after the last fault")),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
        // Nodes that have lost their connections take them up again when something is asked of them.
        for node in nodes {
            let _ = caller.prepare(node, seen).await;
        }
    }
}

async fn same_root(nodes: &[Node]) -> Result<u64> {
    let mut height = u64::MAX;
    let mut newest = 0;
    for node in nodes {
        let status = node.chain().get_status(timed(v1::GetStatusRequest {})).await;
        let status = status.with_context(|| node.url.clone())?.into_inner();
        height = height.min(status.provable_height);
        newest = newest.max(status.provable_height);
    }
    ensure!(newest.saturating_sub(height) <= 8, "a node is at height {height}, another at {newest}");
    let mut roots = Vec::new();
    for node in nodes {
        let read = v1::ReadOptions { height, ..v1::ReadOptions::default() };
        let answer = node.chain().get_params(timed(v1::GetParamsRequest { read: Some(read) })).await;
        roots.push(answer.with_context(|| node.url.clone())?.into_inner().context.context("no state")?.root);
    }
    ensure!(roots.windows(2).all(|pair| pair.first() == pair.last()), "different roots at height {height}: {roots:?}");
    Ok(height)
}

/// What every node says of a mutation, that has its block.
async fn same_receipt(nodes: &[(&Node, u64)], id: &str) -> Result<v1::Receipt> {
    let id = Bytes::from(hex::decode(id)?);
    let mut found: Option<v1::Receipt> = None;
    for (node, from) in nodes {
        let answer = node.chain().get_receipt(timed(v1::GetReceiptRequest { id: id.clone() })).await;
        let mut receipt = answer.with_context(|| node.url.clone())?.into_inner().receipt.context("no receipt")?;
        // One node may be a block ahead of another.
        receipt.provable_height = 0;
        // What no block holds, a node may have forgotten or never heard of.
        if !bills::is_in_block(&receipt) {
            receipt = v1::Receipt { state: v1::ReceiptState::Unknown.into(), ..v1::Receipt::default() };
        }
        match &found {
            Some(other) if bills::is_in_block(other) && other.height < *from => {
                ensure!(!bills::is_in_block(&receipt), "{} has from height {from} on, and {receipt:?}", node.url);
            }
            Some(other) => ensure!(*other == receipt, "{}: {receipt:?}, elsewhere {other:?}", node.url),
            None => found = Some(receipt),
        }
    }
    found.context("no node")
}
