//! `snapshot list|make|restore`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use db3_chain::ChainConfig;
use db3_chain::transfer::snapshot::{self, Manifest};
use db3_console::{StdoutError, out, say};
use serde_json::json;
use toml::Table;

use super::failure::Failure;
use super::{Output, home};
use crate::kind::Kind;

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  {program} snapshot make
  {program} snapshot restore ./snapshots/120 --home ./copy";

/// Options of `snapshot`.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(Debug, Subcommand)]
enum SnapshotCommand {
    /// List the snapshots in the node's folder
    List,
    /// Write a snapshot.
    #[command(
        about = "Write a snapshot of the newest provable state (on CometBFT: of the state on the disk); the node must be stopped"
    )]
    Make,
    /// Make a node's folder from a snapshot
    Restore {
        /// The snapshot's folder, with its manifest.json
        #[arg(value_name = "DIR")]
        from: PathBuf,
    },
}

/// Does one of them.
pub fn run<K: Kind>(asked: Option<&Path>, args: &SnapshotArgs, output: Output) -> Result<()> {
    match &args.command {
        SnapshotCommand::List => {
            let home = home::existing::<K>(asked)?;
            let listed = snapshot::list(&snapshot::snapshots_folder(&home))?;
            list(&listed.whole, output, K::PROGRAM)?;
            for (path, error) in &listed.unreadable {
                say!("note: {} cannot be used: {error}", path.display());
            }
            Ok(())
        }
        SnapshotCommand::Make => {
            let home = home::existing::<K>(asked)?;
            let made = snapshot::make::<K::Machine>(ChainConfig::load(&home, Table::new())?)?;
            list(&[made], output, K::PROGRAM)?;
            Ok(())
        }
        SnapshotCommand::Restore { from } => restore::<K>(asked, from, output),
    }
}

fn restore<K: Kind>(asked: Option<&Path>, from: &Path, output: Output) -> Result<()> {
    let Some(home) = asked else {
        bail!(Failure::Wrong("name the folder to make with --home".to_owned()));
    };
    let home = std::path::absolute(home).with_context(|| format!("--home {}", home.display()))?;
    let manifest = snapshot::restore::<K::Machine>(&home, from, &ChainConfig::new(&home))?;
    match output {
        Output::Json => out!("{}", to_json(&home, &manifest))?,
        Output::Table => {
            out!("{} at height {} is restored in {}.", manifest.chain_id, manifest.height, home.display())?;
            out!(
                "It has no validator key: once the old node has stopped for good, move its\n\
                 config/priv_validator_key.json to {}.",
                home.join("config").display()
            )?;
        }
    }
    Ok(())
}

fn list(snapshots: &[(PathBuf, Manifest)], output: Output, program: &str) -> Result<(), StdoutError> {
    match output {
        Output::Json => snapshots.iter().try_for_each(|(path, manifest)| out!("{}", to_json(path, manifest)))?,
        Output::Table if snapshots.is_empty() => {
            out!("There is no snapshot; `{program} snapshot make` writes one.")?;
        }
        Output::Table => {
            for (path, manifest) in snapshots {
                out!(
                    "{}  height {}  {}  {} leaves, {} bytes, root 0x{}",
                    path.display(),
                    manifest.height,
                    manifest.time,
                    manifest.leaves,
                    bytes(manifest),
                    manifest.root
                )?;
            }
        }
    }
    Ok(())
}

fn bytes(manifest: &Manifest) -> u64 {
    manifest.chunks().fold(0, |sum, chunk| sum.saturating_add(chunk.bytes))
}

fn to_json(path: &Path, manifest: &Manifest) -> serde_json::Value {
    json!({
        "path": path.display().to_string(),
        "chain_id": manifest.chain_id,
        "height": manifest.height,
        "block_time": manifest.time,
        "root": format!("0x{}", manifest.root),
        "state_leaves": manifest.leaves,
        "bytes": bytes(manifest).to_string(),
    })
}
