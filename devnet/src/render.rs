//! The devnet's answers as text, JSON and CSV.

use db3_client::console::OutputFormat;
use db3_client::devnet_args::ConsoleArgs;
use db3_console::{StdoutError, out, say, write};
use serde_json::json;

use crate::banner::{banner, push_table};
use crate::control::{Advanced, Closed, Funds, Settled, Status};
use crate::home::Home;
use crate::network::db3_text;

/// What a start prints once the network serves.
pub fn started(status: &Status, home: &Home, console: ConsoleArgs, detached: bool) -> Result<(), StdoutError> {
    match console.output {
        OutputFormat::Json => out!("{}", status_json(status))?,
        OutputFormat::Table | OutputFormat::Csv if console.quiet => {}
        OutputFormat::Table | OutputFormat::Csv => write(format_args!("{}", banner(status, home, detached)))?,
    }
    Ok(())
}

/// How the devnet stands.
pub fn status(status: &Status, console: ConsoleArgs) -> Result<(), StdoutError> {
    match console.output {
        OutputFormat::Json => out!("{}", status_json(status))?,
        OutputFormat::Csv => {
            out!("chain_id,grpc,height,provable_height,block_time,root,open_epoch,settled_epoch,pid")?;
            for (node, chain) in status.ready.nodes.iter().zip(&status.chains) {
                out!(
                    "{},{},{},{},{},{},{},{},{}",
                    chain.chain_id,
                    node.grpc,
                    chain.height,
                    chain.provable_height,
                    chain.block_time,
                    chain.root,
                    chain.open_epoch,
                    chain.settled_epoch.map_or_else(String::new, |epoch| epoch.to_string()),
                    node.pid
                )?;
            }
        }
        OutputFormat::Table => write(format_args!("{}", status_text(status)))?,
    }
    Ok(())
}

fn status_text(status: &Status) -> String {
    let mut text = format!(
        "The devnet runs in process {} with {} accounts and epochs of {} s.\n\n",
        status.pid, status.made.accounts, status.made.epoch_secs
    );
    let rows: Vec<Vec<String>> = status
        .ready
        .nodes
        .iter()
        .zip(&status.chains)
        .map(|(node, chain)| {
            vec![
                chain.chain_id.clone(),
                node.grpc.clone(),
                chain.height.to_string(),
                chain.provable_height.to_string(),
                chain.block_time.clone(),
                chain.open_epoch.to_string(),
                chain.settled_epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string()),
            ]
        })
        .collect();
    push_table(&mut text, &["CHAIN", "GRPC", "HEIGHT", "PROVABLE", "BLOCK TIME", "OPEN EPOCH", "SETTLED"], &rows);
    text.push('\n');
    let rows: Vec<Vec<String>> = status
        .relay
        .iter()
        .map(|direction| {
            vec![
                direction.from.clone(),
                direction.to.clone(),
                direction.lag_entries.map_or_else(|| "-".to_owned(), |entries| entries.to_string()),
                format!("{} s", direction.lag_secs),
                direction.condition.clone(),
                direction.error.clone().unwrap_or_default(),
            ]
        })
        .collect();
    push_table(&mut text, &["FROM", "TO", "ENTRIES BEHIND", "FOR", "RELAY", "LAST ERROR"], &rows);
    text
}

/// The status as `--output json` prints it.
fn status_json(status: &Status) -> serde_json::Value {
    let chains: Vec<_> = status
        .chains
        .iter()
        .map(|chain| {
            json!({
                "chain_id": chain.chain_id,
                "height": chain.height.to_string(),
                "provable_height": chain.provable_height.to_string(),
                "block_time": chain.block_time,
                "root": chain.root,
                "open_epoch": chain.open_epoch.to_string(),
                "settled_epoch": chain.settled_epoch.map(|epoch| epoch.to_string()),
            })
        })
        .collect();
    let relay: Vec<_> = status
        .relay
        .iter()
        .map(|direction| {
            json!({
                "from": direction.from,
                "to": direction.to,
                "lag_entries": direction.lag_entries.map(|entries| entries.to_string()),
                "lag_secs": direction.lag_secs.to_string(),
                "condition": direction.condition,
                "error": direction.error,
            })
        })
        .collect();
    json!({
        "pid": status.pid,
        "ready_millis": status.ready_millis.to_string(),
        "shards": status.made.shards,
        "epoch_secs": status.made.epoch_secs.to_string(),
        "network_file": status.ready.network_file,
        "accounts": status.ready.accounts,
        "funded": status.made.funded,
        "nodes": status.ready.nodes,
        "chains": chains,
        "relay": relay,
    })
}

/// What moving block time did.
pub fn advanced(chains: &[Advanced], console: ConsoleArgs) -> Result<(), StdoutError> {
    match console.output {
        OutputFormat::Json => chains.iter().try_for_each(|chain| out!("{}", advanced_json(chain)))?,
        OutputFormat::Csv => {
            out!(
                "chain_id,first_epoch,last_epoch,bill_count,statement_count,total_tai,posting_count,debited_tai,paid_tai,\
                 written_off_tai"
            )?;
            for chain in chains {
                for close in &chain.closed {
                    let Closed { first, last, bills, statements, total_tai } = close;
                    out!("{},{first},{last},{bills},{statements},{total_tai},,,,", chain.chain_id)?;
                }
                for settled in &chain.settled {
                    let Settled { epoch, postings, debited, paid, written_off } = settled;
                    out!("{},{epoch},{epoch},,,,{postings},{debited},{paid},{written_off}", chain.chain_id)?;
                }
            }
        }
        OutputFormat::Table => chains.iter().try_for_each(print_advanced)?,
    }
    Ok(())
}

fn print_advanced(chain: &Advanced) -> Result<(), StdoutError> {
    out!("{}: block time is {}, epoch {} is open", chain.chain_id, chain.block_time, chain.open_epoch)?;
    for close in &chain.closed {
        out!("  {}", closed_text(close))?;
    }
    for settled in &chain.settled {
        out!("  {}", settled_text(settled))?;
    }
    // A round that found nobody to debit posts nothing.
    if let Some(epoch) = chain.settled_epoch.filter(|_| chain.settled.is_empty()) {
        out!("  epoch {epoch} is settled, without postings")?;
    }
    Ok(())
}

fn closed_text(close: &Closed) -> String {
    let epochs = if close.first == close.last {
        format!("epoch {}", close.first)
    } else {
        format!("epochs {} to {}", close.first, close.last)
    };
    let total = db3_text(&close.total_tai);
    let (bills, statements) = (counted(close.bills, "bill"), counted(close.statements, "statement"));
    format!("closed {epochs}: {bills}, {statements}, {total}")
}

/// How many, and of what.
fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

fn settled_text(settled: &Settled) -> String {
    let [debited, paid, written_off] =
        [settled.debited, settled.paid, settled.written_off].map(|amount| format!("{} DB3", amount.to_db3_string()));
    let mut text = format!(
        "settled epoch {}: {}, {debited} debited, {paid} paid",
        settled.epoch,
        counted(settled.postings, "posting")
    );
    if !settled.written_off.is_zero() {
        text.push_str(", ");
        text.push_str(&written_off);
        text.push_str(" written off");
    }
    text
}

fn advanced_json(chain: &Advanced) -> serde_json::Value {
    let closed: Vec<_> = chain
        .closed
        .iter()
        .map(|close| {
            json!({
                "epoch": close.first.to_string(),
                "last_epoch": close.last.to_string(),
                "bill_count": close.bills.to_string(),
                "statement_count": close.statements.to_string(),
                "total_tai": close.total_tai,
            })
        })
        .collect();
    let settled: Vec<_> = chain
        .settled
        .iter()
        .map(|settled| {
            json!({
                "epoch": settled.epoch.to_string(),
                "posting_count": settled.postings.to_string(),
                "debited_tai": settled.debited.to_string(),
                "paid_tai": settled.paid.to_string(),
                "written_off_tai": settled.written_off.to_string(),
            })
        })
        .collect();
    json!({
        "chain_id": chain.chain_id,
        "block_time": chain.block_time,
        "open_epoch": chain.open_epoch.to_string(),
        "closed": closed,
        "settled": settled,
        "settled_epoch": chain.settled_epoch.map(|epoch| epoch.to_string()),
    })
}

/// What a funded account has, and what it owed.
pub fn funded(funds: &Funds, owed_tai: Option<&str>, console: ConsoleArgs) -> Result<(), StdoutError> {
    match console.output {
        OutputFormat::Json => {
            let lines: Vec<_> =
                funds.lines.iter().map(|(shard, want)| json!({ "shard": shard, "want_tai": want })).collect();
            let mut object = json!({
                "address": funds.address,
                "balance_tai": funds.balance_tai,
                "limit_tai": funds.limit_tai,
                "free_tai": funds.free_tai,
                "lines": lines,
            });
            if let (Some(owed), Some(fields)) = (owed_tai, object.as_object_mut()) {
                fields.insert("owed_tai".to_owned(), json!(owed));
            }
            out!("{object}")?;
        }
        OutputFormat::Csv => {
            out!("address,balance_tai,limit_tai,free_tai,shard,want_tai")?;
            let Funds { address, balance_tai, limit_tai, free_tai, .. } = funds;
            for (shard, want) in &funds.lines {
                out!("{address},{balance_tai},{limit_tai},{free_tai},{shard},{want}")?;
            }
        }
        OutputFormat::Table if console.quiet => {}
        OutputFormat::Table => {
            let (balance, limit) = (db3_text(&funds.balance_tai), db3_text(&funds.limit_tai));
            out!("{} has {balance} to pay with and a credit of {limit}:", funds.address)?;
            for (shard, want) in &funds.lines {
                out!("  {} on shard {shard}", db3_text(want))?;
            }
            if funds.free_tai != "0" {
                let free = db3_text(&funds.free_tai);
                out!("  {free} free: `db3 credit allocate --shard N AMOUNT --account ACCOUNT` grants it on a shard")?;
            }
        }
    }
    if let Some(owed) = owed_tai.filter(|_| !console.quiet) {
        say!(
            "note: it owed {}, so it got money to pay with and no collateral: `db3 credit pay --account ACCOUNT` pays, or \
             the next round does, and `db3 devnet fund` again gives collateral",
            db3_text(owed)
        );
    }
    Ok(())
}
