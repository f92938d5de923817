//! `shard-node export`: the whole state as text, a header and one leaf a line.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use db3_chain::ChainConfig;
use db3_chain::transfer::export;
use toml::Table;

use super::home;

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  shard-node export > state.ndjson
  shard-node export --home ./mine-shard-0 --out mine-shard-0.ndjson";

/// Options of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Exports a folder that no node has open.
pub fn run(asked: Option<&Path>, args: &ExportArgs) -> Result<()> {
    let home = home::existing(asked)?;
    let config = ChainConfig::load(&home, Table::new())?;
    let header = if let Some(path) = &args.out {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut to = BufWriter::new(file);
        let header = export(config, &mut to)?;
        to.into_inner().context("cannot finish the file")?.sync_all()?;
        header
    } else {
        let mut to = BufWriter::new(std::io::stdout().lock());
        let header = export(config, &mut to)?;
        to.flush()?;
        header
    };
    eprintln!("{} leaves of {} at height {}, root 0x{}", header.leaves, header.chain_id, header.height, header.root);
    Ok(())
}
