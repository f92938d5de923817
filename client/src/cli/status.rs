//! `db3 status`: where the network's chains stand, what they hear of one another, and what is wrong.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use db3_primitives::{BlockTime, Epoch};
use db3_proto::convert::block_time;

use super::bill::shards;
use super::failure::Failure;
use super::render;
use super::session::Session;
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::{Client, ClientError, InboxView};

const COLUMNS: &[&str] = &[
    "chain_id",
    "state",
    "height",
    "block_time",
    "verified_height",
    "open_epoch",
    "closed_epoch",
    "lease_epoch",
    "state_leaves",
    "pool_mutations",
    "engine",
    "endpoint",
];
const LINK_COLUMNS: &[&str] = &["from", "to", "cursor", "size", "lag", "header_age_secs", "trusted_secs", "problem"];

/// `db3 status`
pub async fn status(session: &Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let mut chains = session.output.list(COLUMNS);
    let mut failure = None;
    let mut sizes: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut links: Vec<InboxView> = Vec::new();
    let mut settled = None;
    if let Some(entry) = client.network().settlement() {
        let chain_id = entry.chain_id.to_string();
        match settlement_row(&client, &mut links).await {
            Ok((object, round)) => {
                chains.push(&object)?;
                settled = round;
            }
            Err(error) => {
                chains.push(&unreachable(&chain_id, &error))?;
                failure.get_or_insert(error);
            }
        }
    }
    let closes = match client.network().settlement() {
        Some(_) if failure.is_none() => client.settlement_shards().await?.value,
        _ => Vec::new(),
    };
    for shard in shards(&client, None)? {
        let known = closes.iter().find(|(number, _)| number.get() == shard).map(|(_, leaf)| leaf);
        match row(&client, shard, &mut links).await {
            Ok(object) => {
                let object = object
                    .with_some("closed_epoch", known.and_then(|leaf| leaf.last_close).map(Epoch::get))
                    .with_some("fault", known.and_then(|leaf| leaf.fault).map(|fault| format!("{:?}", fault.code)))
                    .with_some("fault_index", known.and_then(|leaf| leaf.fault).map(|fault| fault.index));
                chains.push(&object)?;
            }
            Err(error) => {
                let chain_id = client.network().shard(shard.into()).map(|entry| entry.chain_id.to_string());
                chains.push(&unreachable(&chain_id.unwrap_or_default(), &error))?;
                failure.get_or_insert(error);
            }
        }
    }
    chains.finish("no chains")?;
    for link in &links {
        sizes.insert((link.reader.clone(), link.source().to_owned()), link.message.outbox_size);
    }
    let rows = link_rows(&client, &links, &sizes);
    if session.output.format != OutputFormat::Csv {
        print_links(session, &rows)?;
    }
    if let (Some(settled), OutputFormat::Table) = (settled, session.output.format) {
        session.output.say(&format!("epoch {settled} is settled"));
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

fn unreachable(chain_id: &str, error: &ClientError) -> Object {
    Object::new().with("chain_id", chain_id).with("state", "unreachable").with("problem", error.to_string())
}

/// The settlement chain, and the epoch of its newest round.
async fn settlement_row(client: &Client, links: &mut Vec<InboxView>) -> Result<(Object, Option<u64>), ClientError> {
    let status = client.settlement_status().await?;
    let round = client.round().await?;
    links.extend(client.settlement_inboxes().await?);
    let settled = round.value.settled.map(Epoch::get);
    let object = chain_fields(&status)
        .with("verified_height", client.settlement_verified_height()?)
        .with("verified", round.at.verified)
        .with_some("open_epoch", Some(status.open_epoch).filter(|epoch| *epoch > 0))
        .with_some("settled_epoch", settled)
        .with("rounds", round.value.rounds)
        .with_some("running_round_epoch", round.value.running.map(|running| running.epoch.get()))
        .with("endpoint", client.settlement_endpoint()?);
    Ok((object, settled))
}

async fn row(client: &Client, shard: u32, links: &mut Vec<InboxView>) -> Result<Object, ClientError> {
    let status = client.status(shard).await?;
    // A verified read also brings the newest header in.
    let params = client.params(shard).await?;
    if client.network().settlement().is_some() {
        links.extend(client.shard_inboxes(shard).await?);
    }
    Ok(chain_fields(&status)
        .with("verified_height", client.verified_height(shard)?)
        .with("verified", params.at.verified)
        .with("open_epoch", status.open_epoch)
        .with("lease_epoch", Value::Until(params.value.lease_epoch))
        .with("endpoint", client.endpoint(shard)?))
}

fn chain_fields(status: &db3_proto::v1::GetStatusResponse) -> Object {
    Object::new()
        .with("chain_id", status.chain_id.as_str())
        .with("state", if status.ready { "ready" } else { "starting" })
        .with("height", status.height)
        .with_some("block_time", status.block_time.as_ref().and_then(block_time))
        .with("root", render::hex(&status.root))
        .with("provable_height", status.provable_height)
        .with("state_leaves", status.state_leaves)
        .with("pool_mutations", status.pool_mutations)
        .with("snapshot_height", status.snapshot_height)
        .with("engine", status.engine.as_str())
        .with("node_version", status.node_version.as_str())
}

/// Who hears whom, in both directions of every shard: how far behind, how old the newest trusted header is, and what
/// froze. A reader that does not answer is shown with what its writer knows.
fn link_rows(client: &Client, links: &[InboxView], sizes: &BTreeMap<(String, String), u64>) -> Vec<Object> {
    let network = client.network();
    let Some(settlement) = network.settlement().map(|entry| entry.chain_id.to_string()) else { return Vec::new() };
    let mut rows = Vec::new();
    let shards: Vec<String> = network.shards().map(|entry| entry.chain_id.to_string()).collect();
    let inward = shards.iter().map(|shard| (shard, &settlement));
    let outward = shards.iter().map(|shard| (&settlement, shard));
    for (from, to) in inward.chain(outward) {
        // The writer's own size of the log to the reader, where it answered; its word.
        let size = sizes.get(&(from.clone(), to.clone())).copied();
        let object = Object::new().with("from", from.as_str()).with("to", to.as_str());
        rows.push(match links.iter().find(|link| link.reader == *to && link.source() == from) {
            Some(link) => link_row(object, link, size),
            None => object.with_some("size", size).with("problem", format!("{to} does not answer")),
        });
    }
    rows
}

fn link_row(object: Object, link: &InboxView, size: Option<u64>) -> Object {
    object
        .with("cursor", link.cursor())
        .with_some("size", size)
        .with_some("lag", size.map(|size| size.saturating_sub(link.cursor())))
        .with("trusted_height", link.message.trusted_height)
        .with_some("trusted_time", link.trusted_time())
        .with_some("header_age_secs", link.trusted_time().map(age_secs))
        .with("trusted_secs", Value::Until(link.message.trusting_period_secs))
        .with("frozen", link.message.frozen)
        .with_some("fault_code", Some(link.message.fault_code).filter(|code| *code > 0))
        .with_some("problem", Some(link.message.frozen_reason.clone()).filter(|_| link.message.frozen))
}

fn print_links(session: &Session, rows: &[Object]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    if session.output.format == OutputFormat::Table {
        session.output.raw(b"\n")?;
    }
    let mut list = session.output.list(LINK_COLUMNS);
    rows.iter().try_for_each(|row| list.push(row))?;
    list.finish("")
}

/// By this machine's clock; a devnet's chains may be ahead of it.
fn age_secs(time: BlockTime) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    now.saturating_sub(time.secs)
}
