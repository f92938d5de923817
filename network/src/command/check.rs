//! `check`: whether a genesis folder is whole.

use anyhow::Result;
use clap::Args;
use db3_console::out;
use db3_network::{folder, warnings};
use db3_primitives::Hash32;
use serde_json::json;

use super::{Global, Output, hash_text, now, shown, warn};

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  db3-genesis check
  db3-genesis check --genesis ./mine-genesis --output json";

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The hash that validators agreed on
    #[arg(long, value_name = "HASH", value_parser = parse_hash)]
    hash: Option<Hash32>,
}

fn parse_hash(text: &str) -> Result<Hash32, String> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut hash)
        .map_err(|_| format!("`{text}` is no hash: write 0x and 64 hexadecimal digits, as `build` prints"))?;
    Ok(hash)
}

/// Checks the folder and prints its hash.
pub fn run(global: &Global, args: &CheckArgs) -> Result<()> {
    let folder = folder::check(&global.genesis())?;
    if let Some(hash) = &args.hash {
        folder::check_hash(&folder, hash)?;
    }
    let warnings = warnings(&folder.plan, &folder.roster, now()?);
    match global.output {
        Output::Json => out!(
            "{}",
            json!({
                "network": folder.plan.network.as_str(),
                "genesis": shown(&folder.path),
                "hash": hash_text(&folder.built.hash),
                "warnings": warnings,
            })
        )?,
        Output::Table => {
            let total = folder.roster.power();
            out!("{} begins on {}, with {} shards and", folder.plan.network, folder.plan.time, folder.plan.shards)?;
            for validator in folder.roster.validators() {
                let candidate = &validator.candidate;
                out!("  {:<32} {} of {total}, operator {}", candidate.name, validator.power, candidate.operator)?;
            }
            out!("{}", hash_text(&folder.built.hash))?;
            warn(&warnings);
        }
    }
    Ok(())
}
