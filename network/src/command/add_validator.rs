//! `add-validator`: a validator's public file becomes part of the network.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use db3_console::out;
use db3_genesis::write_atomic;
use db3_network::{Candidate, NetworkError, Plan, Roster, Validator};
use serde_json::json;

use super::build::enrolled;
use super::{Global, Output, shown};

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  db3-genesis add-validator alice.toml --power 10
  db3-genesis add-validator bob.toml --power 5 --output json";

/// Options of `add-validator`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The validator's public file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its voting power, on every chain
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u64).range(1..))]
    power: u64,
    /// Put it in the place of the one with the same name
    #[arg(long)]
    replace: bool,
}

/// Adds the validator.
pub fn run(global: &Global, args: &AddArgs) -> Result<()> {
    let plan = Plan::load(&global.plan())?;
    let candidate = Candidate::load(&args.file)?;
    let name = candidate.name.clone();
    let path = global.validators().join(format!("{name}.toml"));
    if path.exists() && !args.replace {
        let remedy = "the network has this validator; --replace puts the new file in its place";
        return Err(NetworkError::Taken { path, remedy }.into());
    }
    let validator = Validator { power: args.power, candidate };
    let mut all = enrolled(global)?;
    all.retain(|other| other.candidate.name != name);
    all.push(validator.clone());
    let roster = Roster::new(&plan, all, &shown(&args.file))?;
    write_atomic(&path, validator.to_toml()?.as_bytes())
        .map_err(|source| NetworkError::File { path: path.clone(), source })?;
    let (count, total) = (roster.validators().len(), roster.power());
    match global.output {
        Output::Json => out!(
            "{}",
            json!({ "name": name, "power": args.power.to_string(), "validators": count, "power_total": total.to_string() })
        )?,
        Output::Table => {
            out!("{name} has {} of {total}. Validators of the network: {count}.", args.power)?;
            out!("Type next, when all are there: db3-genesis build")?;
        }
    }
    Ok(())
}
