//! `status`: asks the running node over gRPC.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use db3_chain::announced;
use db3_comet::keys::load_validator_key;
use db3_console::{StdoutError, out};
use db3_genesis::GenesisDocument;
use db3_primitives::BlockTime;
use db3_proto::convert::block_time;
use db3_proto::v1;
use db3_proto::v1::chain_service_client::ChainServiceClient;
use serde_json::json;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use super::failure::{self, Failure};
use super::settings::{StartArgs, default_listen};
use super::{Output, home};
use crate::kind::Kind;

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  {program} status
  {program} status --endpoint http://127.0.0.1:7301 --output json";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The node's gRPC endpoint [default: where the folder's node serves]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

/// Asks and prints.
pub fn run<K: Kind>(asked: Option<&Path>, args: &StatusArgs, output: Output) -> Result<()> {
    let (endpoint, validator_key) = if let Some(endpoint) = &args.endpoint {
        (endpoint.clone(), None)
    } else {
        let home = home::existing::<K>(asked)?;
        // Where a signer has the key, or none was made yet, there is none to show.
        let key = load_validator_key(&home).ok().map(|key| format!("0x{}", hex::encode(key.public_key())));
        (endpoint_of(&home)?, key)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = Answer { validator_key, ..runtime.block_on(ask(&endpoint, K::PROGRAM))? };
    match output {
        Output::Json => out!("{}", to_json(&answer))?,
        Output::Table => print_table(&answer, &endpoint)?,
    }
    Ok(())
}

/// How a node stands, and what its chain has heard from others.
struct Answer {
    status: v1::GetStatusResponse,
    inboxes: Vec<v1::Inbox>,
    /// The folder's own, with which the node signs blocks if it has power.
    validator_key: Option<String>,
}

/// Where the folder's node says that it serves; where its settings say so, if none runs.
fn endpoint_of(home: &Path) -> Result<String> {
    if let Some(address) = announced(home) {
        return Ok(format!("http://{address}"));
    }
    let genesis = GenesisDocument::load(&db3_chain::genesis_file(home))?;
    let config = StartArgs::default().serve(home, default_listen(genesis.chain_id()))?;
    Ok(format!("http://{}", config.listen))
}

async fn ask(endpoint: &str, program: &str) -> Result<Answer> {
    let wrong =
        |_| Failure::Wrong(format!("`{endpoint}` is no endpoint; write http://ADDRESS:PORT or https://HOST:PORT"));
    let mut target =
        Endpoint::from_shared(endpoint.to_owned()).map_err(wrong)?.connect_timeout(PATIENCE).timeout(PATIENCE);
    if target.uri().scheme_str() == Some("https") {
        target = target.tls_config(ClientTlsConfig::new().with_native_roots()).map_err(wrong)?;
    }
    let channel: Channel = target.connect().await.map_err(|error| {
        let why = failure::text(&error.into());
        Failure::NobodyAnswered(format!(
            "no node answers at {endpoint} ({why}); start it with `{program} start`, or name another --endpoint"
        ))
    })?;
    let refused = |status: tonic::Status| match status.code() {
        tonic::Code::Unavailable => {
            anyhow!(Failure::NobodyAnswered(format!("the node at {endpoint} did not answer: {}", status.message())))
        }
        _ => anyhow!("the node at {endpoint} refused to answer: {}", status.message()),
    };
    let mut client = ChainServiceClient::new(channel);
    let status = client.get_status(v1::GetStatusRequest {}).await.map_err(refused)?.into_inner();
    // A node that has not begun knows how it stands, and nothing of other chains.
    let inboxes = match client.get_inbox(v1::GetInboxRequest::default()).await {
        Ok(answer) => answer.into_inner().inboxes,
        Err(status) if status.code() == tonic::Code::Unavailable => Vec::new(),
        Err(status) => return Err(refused(status)),
    };
    Ok(Answer { status, inboxes, validator_key: None })
}

/// What is heard from one chain, in a line.
fn heard(inbox: &v1::Inbox) -> String {
    let v1::Inbox { cursor, trusted_height, outbox_size, .. } = inbox;
    let since = inbox.trusted_time.as_ref().and_then(block_time).map_or_else(String::new, |time| time.rfc3339());
    let frozen = if inbox.frozen { format!("; FROZEN: {}", inbox.frozen_reason) } else { String::new() };
    format!(
        "{cursor} entries applied, header {trusted_height} of {since} trusted, {outbox_size} entries written{frozen}"
    )
}

/// How consensus does, in a line.
fn consensus(status: &v1::GetStatusResponse) -> String {
    let v1::GetStatusResponse { consensus, peers, .. } = status;
    let remedy = match consensus.as_str() {
        "behind" => {
            "; no peer keeps the blocks that this node lacks: see its log, and \"History\" in docs/operators.md"
        }
        "stranded" => {
            "; the others decided a block with evidence from before this node's first: see its log, and \"Evidence from before a \
             snapshot\" in docs/operators.md"
        }
        _ => "",
    };
    let catching_up = if status.catching_up { ", catching up" } else { "" };
    match status.engine.as_str() {
        "solo" => consensus.clone(),
        _ => format!("{consensus}{catching_up}, {peers} peers{remedy}"),
    }
}

fn time(status: &v1::GetStatusResponse) -> String {
    status.block_time.as_ref().and_then(block_time).map_or_else(String::new, |time: BlockTime| time.rfc3339())
}

fn to_json(Answer { status, inboxes, validator_key }: &Answer) -> serde_json::Value {
    let inbox = |inbox: &v1::Inbox| {
        json!({
            "source": inbox.source,
            "cursor": inbox.cursor.to_string(),
            "outbox_size": inbox.outbox_size.to_string(),
            "trusted_height": inbox.trusted_height.to_string(),
            "trusted_time": inbox.trusted_time.as_ref().and_then(block_time).map(|time| time.rfc3339()),
            "frozen": inbox.frozen,
            "frozen_reason": inbox.frozen_reason,
            "fault_code": inbox.fault_code,
        })
    };
    json!({
        "chain_id": status.chain_id,
        "network": status.network,
        "shard": status.shard,
        "height": status.height.to_string(),
        "block_time": time(status),
        "root": format!("0x{}", hex::encode(&status.root)),
        "provable_height": status.provable_height.to_string(),
        "earliest_height": status.earliest_height.to_string(),
        "block_hash": format!("0x{}", hex::encode(&status.block_hash)),
        "history_from_height": status.history_from_height.to_string(),
        "open_epoch": status.open_epoch.to_string(),
        "state_leaves": status.state_leaves.to_string(),
        "pool_mutations": status.pool_mutations.to_string(),
        "pool_bytes": status.pool_bytes.to_string(),
        "snapshot_height": status.snapshot_height.to_string(),
        "node_version": status.node_version,
        "engine": status.engine,
        "consensus": status.consensus,
        "catching_up": status.catching_up,
        "peers": status.peers,
        "ready": status.ready,
        "validator_key": validator_key,
        "inboxes": inboxes.iter().map(inbox).collect::<Vec<_>>(),
    })
}

fn print_table(Answer { status, inboxes, validator_key }: &Answer, endpoint: &str) -> Result<(), StdoutError> {
    let rows = [
        ("chain", status.chain_id.clone()),
        ("endpoint", endpoint.to_owned()),
        ("height", format!("{} at {}", status.height, time(status))),
        ("provable", format!("{} (states from {} can be read)", status.provable_height, status.earliest_height)),
        ("block hash", format!("0x{}", hex::encode(&status.block_hash))),
        ("history", format!("bills and receipts from height {} on", status.history_from_height)),
        ("root", format!("0x{}", hex::encode(&status.root))),
        ("open epoch", status.open_epoch.to_string()),
        ("state", format!("{} leaves", status.state_leaves)),
        ("waiting", format!("{} mutations, {} bytes", status.pool_mutations, status.pool_bytes)),
        ("snapshot", format!("at height {}", status.snapshot_height)),
        ("node", format!("{} ({})", status.node_version, status.engine)),
        ("consensus", consensus(status)),
        ("ready", status.ready.to_string()),
    ];
    for (name, value) in rows {
        out!("{name:<12}{value}")?;
    }
    if let Some(key) = validator_key {
        out!("{:<12}{key}", "signs with")?;
    }
    for inbox in inboxes {
        out!("{:<12}{}: {}", "hears", inbox.source, heard(inbox))?;
    }
    Ok(())
}
