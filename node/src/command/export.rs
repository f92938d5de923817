//! `export`: the whole state as text, a header and one leaf a line.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use db3_chain::ChainConfig;
use db3_chain::transfer::{TransferError, export};
use db3_console::{StdoutError, say};
use toml::Table;

use super::failure::Failure;
use super::home;
use crate::kind::Kind;

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  {program} export > state.ndjson
  {program} export --home ./mine-shard-0 --out mine-shard-0.ndjson";

/// Options of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "out")]
    yes: bool,
}

/// Exports a folder that no node has open.
pub fn run<K: Kind>(asked: Option<&Path>, args: &ExportArgs) -> Result<()> {
    let home = home::existing::<K>(asked)?;
    let config = ChainConfig::load(&home, Table::new())?;
    let header = if let Some(path) = &args.out {
        let mut to = BufWriter::new(create(path, args.yes)?);
        let header = export::<K::Machine>(config, &mut to)?;
        to.into_inner().context("cannot finish the file")?.sync_all()?;
        header
    } else {
        let mut to = BufWriter::new(std::io::stdout().lock());
        let header = export::<K::Machine>(config, &mut to).map_err(of_stdout)?;
        to.flush().map_err(StdoutError)?;
        header
    };
    say!("{} leaves of {} at height {}, root 0x{}", header.leaves, header.chain_id, header.height, header.root);
    Ok(())
}

fn of_stdout(error: TransferError) -> anyhow::Error {
    match error {
        TransferError::Stream(source) => StdoutError(source).into(),
        other => other.into(),
    }
}

/// The file to write, which must not exist unless it may be replaced.
fn create(path: &Path, replace: bool) -> Result<File> {
    let opened = if replace { File::create(path) } else { File::create_new(path) };
    match opened {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!(Failure::Wrong(format!("{} exists; name another file, or add --yes to replace it", path.display())))
        }
        opened => opened.with_context(|| format!("cannot write {}", path.display())),
    }
}
