//! `check`: executes blocks again, beside the stored state, and compares every root.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use db3_chain::ChainConfig;
use db3_chain::audit::{self, Report};
use db3_console::{StdoutError, out};
use serde_json::json;
use toml::Table;

use super::{Output, home};
use crate::kind::Kind;

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  {program} check
  {program} check --home ./mine-shard-0 --from-genesis";

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Execute every kept block.
    #[arg(
        long,
        help = "Execute every kept block, from the genesis state on, instead of those after the snapshot (on CometBFT no \
                block is executed)"
    )]
    from_genesis: bool,
}

/// Checks a folder that no node has open.
pub fn run<K: Kind>(asked: Option<&Path>, args: &CheckArgs, output: Output) -> Result<()> {
    let home = home::existing::<K>(asked)?;
    let config = ChainConfig::load(&home, Table::new())?;
    let report = audit::check::<K::Machine>(&config, args.from_genesis)?;
    match output {
        Output::Json => out!("{}", to_json(&report))?,
        Output::Table => print_table(&report, args.from_genesis)?,
    }
    Ok(())
}

fn to_json(report: &Report) -> serde_json::Value {
    json!({
        "chain_id": report.chain_id,
        "snapshot_height": report.snapshot.map(|meta| meta.height.to_string()),
        "cometbft_height": report.comet_height.map(|height| height.to_string()),
        "oldest_block": report.blocks.map(|(oldest, _)| oldest.to_string()),
        "pruned": report.pruned,
        "from_height": report.from.to_string(),
        "height": report.height.to_string(),
        "block_time": report.time.rfc3339(),
        "root": format!("0x{}", hex::encode(report.root)),
        "state_leaves": report.leaves.to_string(),
        "mutations": report.mutations.to_string(),
        "headers_compared": report.headers_compared.to_string(),
    })
}

fn print_table(report: &Report, from_genesis: bool) -> Result<(), StdoutError> {
    let blocks = report.blocks.map(|(oldest, newest)| format!("{oldest} to {newest}"));
    match (report.comet_height, blocks) {
        (Some(height), headers) => {
            out!("{}: the state is whole", report.chain_id)?;
            out!("  headers    {}", headers.as_deref().unwrap_or("none"))?;
            out!("  CometBFT   has blocks up to {height}; they were not read, and are not executed here")?;
        }
        (None, blocks) => {
            out!("{}: whole", report.chain_id)?;
            if let Some(blocks) = blocks {
                out!("  blocks     {blocks}")?;
            }
        }
    }
    if let Some(meta) = report.snapshot {
        out!("  snapshot   at height {}", meta.height)?;
    }
    if from_genesis && report.comet_height.is_some() {
        out!(
            "  note       --from-genesis does nothing here: a new node that joins beside an archive, without state sync, executes all blocks"
        )?;
    } else if from_genesis && report.pruned {
        out!("  note       blocks before {} are not kept, so execution began with the snapshot", report.from)?;
    }
    out!(
        "  executed   {} mutations after height {}, {} roots equal to their headers'",
        report.mutations,
        report.from,
        report.headers_compared
    )?;
    out!("  state      {} leaves at height {}, {}", report.leaves, report.height, report.time)?;
    out!("  root       0x{}", hex::encode(report.root))?;
    Ok(())
}
