//! `db3 status`: where the network's chains stand, what they hear of one another, and what is wrong.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use db3_primitives::{BlockTime, Epoch};
use db3_proto::convert::block_time;
use db3_proto::v1::GetStatusResponse;

use super::failure::Failure;
use super::on_shard::shards;
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
    "settled_epoch",
    "lease_epoch",
    "state_leaves",
    "pool_mutations",
    "engine",
    "endpoint",
    "fault",
];
/// CSV is one table: what a shard and the settlement chain hear of one another stands with the shard.
const CSV_COLUMNS: &[&str] = &[
    "to_settlement_lag",
    "to_settlement_lag_secs",
    "to_settlement_problem",
    "from_settlement_lag",
    "from_settlement_lag_secs",
    "from_settlement_problem",
    "fault_index",
    "problem",
];
const LINK_COLUMNS: &[&str] =
    &["from", "to", "cursor", "size", "lag", "lag_secs", "header_age_secs", "trusted_secs", "problem"];

/// What the chains that answered say of one another and of the time.
#[derive(Default)]
struct Heard {
    links: Vec<InboxView>,
    /// Time of each chain's newest block.
    times: BTreeMap<String, BlockTime>,
}

impl Heard {
    fn note(&mut self, status: &GetStatusResponse) {
        if let Some(time) = status.block_time.as_ref().and_then(block_time) {
            self.times.insert(status.chain_id.clone(), time);
        }
    }

    /// The present: what this machine's clock says, or the newest block's time where that is later, as it is after
    /// `db3 devnet advance`.
    fn now_secs(&self) -> u64 {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.times.values().map(|time| time.secs).fold(clock, u64::max)
    }
}

/// `db3 status`
pub async fn status(session: &Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let mut chains: Vec<Object> = Vec::new();
    let mut failure = None;
    let mut heard = Heard::default();
    if let Some(entry) = client.network().settlement() {
        match settlement_row(&client, &mut heard).await {
            Ok(object) => chains.push(object),
            Err(error) => {
                chains.push(unreachable(entry.chain_id.as_str(), &error));
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
        let object = row(&client, shard, &mut heard).await.unwrap_or_else(|error| {
            let chain_id = client.network().shard(shard.into()).map(|entry| entry.chain_id.to_string());
            let object = unreachable(&chain_id.unwrap_or_default(), &error);
            failure.get_or_insert(error);
            object
        });
        // What the settlement chain knows of a shard is known where the shard itself does not answer.
        let fault = known.and_then(|leaf| leaf.fault);
        chains.push(
            object
                .with_some("closed_epoch", known.and_then(|leaf| leaf.last_close).map(Epoch::get))
                .with_some("fault", fault.map(|fault| format!("{:?}", fault.code)))
                .with_some("fault_index", fault.map(|fault| fault.index)),
        );
    }
    let sizes: BTreeMap<(String, String), u64> = heard
        .links
        .iter()
        .map(|link| ((link.reader.clone(), link.source().to_owned()), link.message.outbox_size))
        .collect();
    let settlement = client.network().settlement().map(|entry| Value::from(entry.chain_id.as_str()));
    print(session, &chains, &link_rows(&client, &heard, &sizes), settlement.as_ref())?;
    failure.map_or(Ok(()), |error| Err(Failure::from(error).of_status()))
}

fn unreachable(chain_id: &str, error: &ClientError) -> Object {
    Object::new().with("chain_id", chain_id).with("state", "unreachable").with("problem", error.to_string())
}

fn print(session: &Session, chains: &[Object], links: &[Object], settlement: Option<&Value>) -> Result<(), Failure> {
    if session.output.format == OutputFormat::Csv {
        let mut list = session.output.list(&[COLUMNS, CSV_COLUMNS].concat());
        for chain in chains {
            // Both directions of every shard name the settlement chain; they stand with the shards.
            let is_settlement = chain.get("chain_id") == settlement;
            list.push(&if is_settlement { chain.clone() } else { with_links(chain, links) })?;
        }
        return list.finish("");
    }
    let mut list = session.output.list(COLUMNS);
    chains.iter().try_for_each(|chain| list.push(chain))?;
    list.finish("no chains")?;
    print_links(session, links)
}

/// A shard with how far it and the settlement chain hear one another.
fn with_links(chain: &Object, links: &[Object]) -> Object {
    let of = |end: &str| links.iter().find(|link| link.get(end) == chain.get("chain_id"));
    let field = |end: &str, name: &str| of(end).and_then(|link| link.get(name)).cloned();
    chain
        .clone()
        .with_some("to_settlement_lag", field("from", "lag"))
        .with_some("to_settlement_lag_secs", field("from", "lag_secs"))
        .with_some("to_settlement_problem", field("from", "problem"))
        .with_some("from_settlement_lag", field("to", "lag"))
        .with_some("from_settlement_lag_secs", field("to", "lag_secs"))
        .with_some("from_settlement_problem", field("to", "problem"))
}

/// The settlement chain, with the epoch of its newest round.
async fn settlement_row(client: &Client, heard: &mut Heard) -> Result<Object, ClientError> {
    let status = client.settlement_status().await?;
    heard.note(&status);
    let round = client.round().await?;
    heard.links.extend(client.settlement_inboxes().await?);
    Ok(chain_fields(&status)
        .with("verified_height", client.settlement_verified_height()?)
        .with("verified", round.at.verified)
        .with_some("open_epoch", Some(status.open_epoch).filter(|epoch| *epoch > 0))
        .with_some("settled_epoch", round.value.settled.map(Epoch::get))
        .with("rounds", round.value.rounds)
        .with_some("running_round_epoch", round.value.running.map(|running| running.epoch.get()))
        .with("endpoint", client.settlement_endpoint()?))
}

async fn row(client: &Client, shard: u32, heard: &mut Heard) -> Result<Object, ClientError> {
    let status = client.status(shard).await?;
    heard.note(&status);
    // A verified read also brings the newest header in.
    let params = client.params(shard).await?;
    if client.network().settlement().is_some() {
        heard.links.extend(client.shard_inboxes(shard).await?);
    }
    Ok(chain_fields(&status)
        .with("verified_height", client.verified_height(shard)?)
        .with("verified", params.at.verified)
        .with("open_epoch", status.open_epoch)
        .with("lease_epoch", Value::Until(params.value.lease_epoch))
        .with("endpoint", client.endpoint(shard)?))
}

fn chain_fields(status: &GetStatusResponse) -> Object {
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
fn link_rows(client: &Client, heard: &Heard, sizes: &BTreeMap<(String, String), u64>) -> Vec<Object> {
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
        rows.push(match heard.links.iter().find(|link| link.reader == *to && link.source() == from) {
            Some(link) => link_row(object, link, size, heard),
            None => object.with_some("size", size).with("problem", format!("{to} does not answer")),
        });
    }
    rows
}

fn link_row(object: Object, link: &InboxView, size: Option<u64>, heard: &Heard) -> Object {
    let lag = size.map(|size| size.saturating_sub(link.cursor()));
    let age = |until: u64| link.trusted_time().map(|trusted| until.saturating_sub(trusted.secs));
    // What is not read yet was written after the header that the reader knows, and at the latest in the writer's newest
    // block; by the node's word, as the sizes are.
    let behind = heard.times.get(link.source()).and_then(|newest| age(newest.secs));
    let lag_secs = if lag == Some(0) { Some(0) } else { behind.filter(|_| lag.is_some()) };
    object
        .with("cursor", link.cursor())
        .with_some("size", size)
        .with_some("lag", lag)
        .with_some("lag_secs", lag_secs)
        .with("trusted_height", link.message.trusted_height)
        .with_some("trusted_time", link.trusted_time())
        .with_some("header_age_secs", age(heard.now_secs()))
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

#[cfg(test)]
mod tests {
    use db3_merkle_log::Frontier;
    use db3_proto::convert::timestamp;
    use db3_proto::v1;

    use super::*;

    #[test]
    fn lag_and_age_are_counted_in_the_time_of_the_chains_where_that_is_ahead_of_the_clock() {
        let far = BlockTime::from_secs(32_503_680_000);
        let trusted = BlockTime::from_secs(far.secs - 90);
        let link = InboxView {
            reader: "devnet-shard-0".to_owned(),
            frontier: Frontier::new(),
            message: v1::Inbox {
                source: "devnet-settlement".to_owned(),
                trusted_time: Some(timestamp(trusted)),
                ..v1::Inbox::default()
            },
        };
        let mut heard = Heard::default();
        heard.times.insert("devnet-shard-0".to_owned(), far);
        heard.times.insert("devnet-settlement".to_owned(), BlockTime::from_secs(far.secs - 30));
        let row = |size| link_row(Object::new(), &link, size, &heard);
        assert_eq!(row(Some(4)).get("lag"), Some(&Value::from(4u64)));
        assert_eq!(row(Some(4)).get("lag_secs"), Some(&Value::from(60u64)), "up to the writer's newest block");
        assert_eq!(row(Some(4)).get("header_age_secs"), Some(&Value::from(90u64)));
        assert_eq!(row(Some(0)).get("lag_secs"), Some(&Value::from(0u64)));
        assert_eq!(row(None).get("lag_secs"), None, "the writer does not answer");
    }
}
