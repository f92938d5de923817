//! `db3-history`: records what concurrent clients ask of a shard and what they are told, and says whether there is an
//! order that explains it. For tests that kill, pause and cut off nodes; docs/history.md describes the file for other
//! checkers.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a measurement is printed")]

mod audit;
mod bills;
mod call;
mod caller;
mod checker;
#[cfg(test)]
mod checker_tests;
mod heights;
#[cfg(test)]
mod heights_tests;
mod nonces;
mod record;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::caller::Caller;
use crate::record::Plan;

/// Records and checks histories of reads and conditional writes.
#[derive(Debug, Parser)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read and write registers from several clients and write down every call
    Record {
        #[command(flatten)]
        account: Account,
        /// The history to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Clients
        #[arg(long, default_value_t = 6)]
        clients: u32,
        /// Clients besides that ask for no newer state than they were told of themselves, each at one node all the time
        #[arg(long, default_value_t = 2)]
        alone: u32,
        /// Registers
        #[arg(long, default_value_t = 4)]
        keys: u32,
        /// How long; SIGTERM ends it before
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        /// Milliseconds between two calls of a client, on average
        #[arg(long, default_value_t = 20)]
        pause_ms: u64,
        /// What the choices follow from
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Say whether a history is linearizable, and every answer what a block of its height holds
    Check {
        /// The history
        file: PathBuf,
    },
    /// Ask every node of the account's shard about every mutation of a history, and compare
    Audit {
        #[command(flatten)]
        account: Account,
        /// The history to write in which no outcome is unknown
        #[arg(long, value_name = "FILE")]
        resolved: Option<PathBuf>,
        /// The history
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Account {
    /// The network's file
    #[arg(long, value_name = "FILE")]
    network: PathBuf,
    /// Folder of keystore files
    #[arg(long, value_name = "DIR")]
    keystore: PathBuf,
    /// Account of that folder; its own namespace holds the registers
    #[arg(long = "account", value_name = "NAME")]
    name: String,
    /// Its password, a test's
    #[arg(long, env = "DB3_PASSWORD", hide_env_values = true)]
    password: String,
}

impl Account {
    fn open(&self) -> Result<Caller> {
        Caller::open(&self.network, &self.keystore, &self.name, &self.password)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Program::parse().command).await {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<String> {
    match command {
        Command::Record { account, out, clients, alone, keys, seconds, pause_ms, seed } => {
            record::record(account.open()?, Plan { clients, alone, keys, seconds, pause_ms, seed }, &out).await?;
            Ok(format!("{} calls", call::load(&out)?.len()))
        }
        Command::Check { file } => {
            let calls = call::load(&file)?;
            let report = checker::check(&calls).map_err(|violation| anyhow::anyhow!("{violation}"))?;
            let heights = heights::check(&calls)?;
            Ok(serde_json::json!({
                "linearizable": true, "keys": report.keys, "answered": report.answered, "unknown": report.unknown,
                "configurations": report.visited, "reads_alone": heights.alone, "of_older_states": heights.behind,
            })
            .to_string())
        }
        Command::Audit { account, resolved, file } => {
            let caller = account.open()?;
            let audited = audit::audit(&caller, &call::load(&file)?).await?;
            if let Some(resolved) = resolved {
                call::store(&resolved, &audited.resolved)?;
            }
            Ok(serde_json::json!({
                "nodes": audited.nodes, "without_all": audited.without_all,
                "mutations": audited.mutations, "applied": audited.applied, "unknown_but_applied": audited.found_applied,
                "billed": audited.billed, "height": audited.height, "same_root_after_ms": u64::try_from(audited.together_ms).unwrap_or(u64::MAX),
            })
            .to_string())
        }
    }
}
