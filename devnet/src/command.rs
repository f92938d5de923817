//! `stop`, `status`, `reset` and `advance`: they speak to the devnet that runs in a folder, or to nobody.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use db3_client::console::OutputFormat;
use db3_client::devnet_args::ConsoleArgs;
use db3_primitives::Tai;
use serde_json::json;

use crate::banner::push_table;
use crate::control::{self, Advanced, Answer, Closed, Question, Status};
use crate::failure::Failure;
use crate::home::Home;

/// How long a stopping devnet may take: it brings its snapshots forward.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// How long closing the epochs may take.
const ADVANCE_PATIENCE: Duration = Duration::from_secs(120);
/// How long the answer to a status may take.
const STATUS_PATIENCE: Duration = Duration::from_secs(10);
/// How often a stopping devnet is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// Stops the devnet and waits until it has ended.
pub fn stop(home: &Home, console: ConsoleArgs) -> Result<()> {
    let pid = stop_and_wait(home)?;
    match console.output {
        OutputFormat::Json => println!("{}", json!({ "stopped": true, "pid": pid })),
        OutputFormat::Csv => println!("stopped,pid\ntrue,{pid}"),
        OutputFormat::Table if console.quiet => {}
        OutputFormat::Table => println!("The devnet (process {pid}) has stopped; its state is kept."),
    }
    Ok(())
}

fn stop_and_wait(home: &Home) -> Result<u32> {
    let pid = match control::ask(home, &Question::Stop, STATUS_PATIENCE)? {
        Answer::Stopping { pid } => pid,
        other @ (Answer::Status(_) | Answer::Advanced { .. } | Answer::Refused { .. }) => {
            return Err(unexpected(other));
        }
    };
    let began = Instant::now();
    while home.is_locked()? {
        if began.elapsed() > STOP_PATIENCE {
            bail!("the devnet (process {pid}) has not ended after {} s", STOP_PATIENCE.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(pid)
}

/// Prints how the devnet stands.
pub fn status(home: &Home, console: ConsoleArgs) -> Result<()> {
    match control::ask(home, &Question::Status, STATUS_PATIENCE)? {
        Answer::Status(status) => print_status(&status, console),
        other @ (Answer::Stopping { .. } | Answer::Advanced { .. } | Answer::Refused { .. }) => {
            return Err(unexpected(other));
        }
    }
    Ok(())
}

fn print_status(status: &Status, console: ConsoleArgs) {
    match console.output {
        OutputFormat::Json => println!("{}", status_json(status)),
        OutputFormat::Csv => {
            println!("chain_id,grpc,height,provable_height,block_time,root,open_epoch,pid");
            for (node, chain) in status.ready.nodes.iter().zip(&status.chains) {
                println!(
                    "{},{},{},{},{},{},{},{}",
                    chain.chain_id,
                    node.grpc,
                    chain.height,
                    chain.provable_height,
                    chain.block_time,
                    chain.root,
                    chain.open_epoch,
                    node.pid
                );
            }
        }
        OutputFormat::Table => {
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
                    ]
                })
                .collect();
            let mut text = format!(
                "The devnet runs in process {} with {} accounts and epochs of {} s.\n\n",
                status.pid, status.made.accounts, status.made.epoch_secs
            );
            push_table(&mut text, &["CHAIN", "GRPC", "HEIGHT", "PROVABLE", "BLOCK TIME", "OPEN EPOCH"], &rows);
            print!("{text}");
        }
    }
}

/// The status as `--output json` prints it.
pub fn status_json(status: &Status) -> serde_json::Value {
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
    })
}

/// Removes the devnet, after stopping it, if the user agrees.
pub fn reset(home: &Home, console: ConsoleArgs) -> Result<()> {
    let running = home.is_locked()?;
    if home.made()?.is_none() && !running {
        bail!(Failure::Wrong(format!("there is no devnet in {}; `db3 devnet` makes one", home.path().display())));
    }
    let what = if running { "Stop the running devnet and remove" } else { "Remove" };
    agree(&format!("{what} all its data in {}?", home.path().display()), console)?;
    if running {
        stop_and_wait(home)?;
    }
    home.remove()?;
    match console.output {
        OutputFormat::Json => println!("{}", json!({ "removed": home.path().display().to_string() })),
        OutputFormat::Csv => println!("removed\n{}", home.path().display()),
        OutputFormat::Table if console.quiet => {}
        OutputFormat::Table => {
            println!("The devnet in {} is removed; the next start begins anew.", home.path().display());
        }
    }
    Ok(())
}

fn agree(question: &str, console: ConsoleArgs) -> Result<()> {
    if console.yes {
        return Ok(());
    }
    if console.no_input || !std::io::stdin().is_terminal() {
        bail!(Failure::Wrong(format!("{question} Nobody can be asked here; say --yes to agree")));
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if matches!(line.trim(), "y" | "Y" | "yes") { Ok(()) } else { bail!("nothing was removed") }
}

/// Moves block time and prints what closed.
pub fn advance(home: &Home, secs: u64, console: ConsoleArgs) -> Result<()> {
    let chains = match control::ask(home, &Question::Advance { secs }, ADVANCE_PATIENCE)? {
        Answer::Advanced { chains } => chains,
        other @ (Answer::Status(_) | Answer::Stopping { .. } | Answer::Refused { .. }) => {
            return Err(unexpected(other));
        }
    };
    match console.output {
        OutputFormat::Json => chains.iter().for_each(|chain| println!("{}", advanced_json(chain))),
        OutputFormat::Csv => {
            println!("chain_id,first_epoch,last_epoch,bill_count,statement_count,total_tai");
            for (chain, close) in chains.iter().flat_map(|chain| chain.closed.iter().map(move |close| (chain, close))) {
                println!(
                    "{},{},{},{},{},{}",
                    chain.chain_id, close.first, close.last, close.bills, close.statements, close.total_tai
                );
            }
        }
        OutputFormat::Table => chains.iter().for_each(print_advanced),
    }
    Ok(())
}

fn print_advanced(chain: &Advanced) {
    println!("{}: block time is {}, epoch {} is open", chain.chain_id, chain.block_time, chain.open_epoch);
    for close in &chain.closed {
        println!("  {}", closed_text(close));
    }
}

fn closed_text(close: &Closed) -> String {
    let epochs = if close.first == close.last {
        format!("epoch {}", close.first)
    } else {
        format!("epochs {} to {}", close.first, close.last)
    };
    let total = close
        .total_tai
        .parse::<Tai>()
        .map_or_else(|_| format!("{} tai", close.total_tai), |tai| format!("{} DB3", tai.to_db3_string()));
    format!("closed {epochs}: {} bills, {} statements, {total}", close.bills, close.statements)
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
    json!({
        "chain_id": chain.chain_id,
        "block_time": chain.block_time,
        "open_epoch": chain.open_epoch.to_string(),
        "closed": closed,
    })
}

fn unexpected(answer: Answer) -> anyhow::Error {
    match answer {
        Answer::Refused { message } => anyhow::anyhow!(message),
        other @ (Answer::Status(_) | Answer::Stopping { .. } | Answer::Advanced { .. }) => {
            anyhow::anyhow!("the devnet gave the answer to another question: {other:?}")
        }
    }
}
