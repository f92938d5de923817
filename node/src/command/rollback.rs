//! `rollback`: one height back, `CometBFT` and application together.

use std::path::Path;

use anyhow::Result;
use db3_chain::{ChainConfig, RolledBack, rollback};
use db3_console::out;
use serde_json::json;
use toml::Table;

use super::{Output, home};
use crate::kind::Kind;

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  {program} rollback
  {program} rollback --home ./mine-shard-0 --output json";

/// Takes a stopped node back.
pub fn run<K: Kind>(asked: Option<&Path>, output: Output) -> Result<()> {
    let home = home::existing::<K>(asked)?;
    let RolledBack { height, snapshot } = rollback::<K::Machine>(&ChainConfig::load(&home, Table::new())?)?;
    match output {
        Output::Json => {
            out!("{}", json!({ "height": height.to_string(), "snapshot_height": snapshot.to_string() }))?;
        }
        Output::Table => out!(
            "CometBFT stands at height {height}. At the next start the node begins with its snapshot of height\n\
             {snapshot} and executes the blocks after it again."
        )?,
    }
    Ok(())
}
