//! `build`: the genesis folder.

use std::fs;
use std::io::ErrorKind;

use anyhow::Result;
use db3_console::out;
use db3_network::{NetworkError, Plan, Roster, Validator, build, folder, warnings};
use serde_json::json;

use super::{Global, Output, hash_text, now, shown, warn};

/// Shown after the help.
pub const EXAMPLES: &str = "Examples:
  db3-genesis build
  db3-genesis build --genesis ./mine-genesis";

/// The validators that were added, in any order.
pub fn enrolled(global: &Global) -> Result<Vec<Validator>, NetworkError> {
    let path = global.validators();
    let file = |source| NetworkError::File { path: path.clone(), source };
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file(error)),
    };
    let mut validators = Vec::new();
    for entry in entries {
        let path = entry.map_err(file)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&path).map_err(|source| NetworkError::File { path: path.clone(), source })?;
            validators.push(Validator::from_toml(&text, &shown(&path))?);
        }
    }
    Ok(validators)
}

/// Makes the folder and prints its hash.
pub fn run(global: &Global) -> Result<()> {
    let plan = Plan::load(&global.plan())?;
    let roster = Roster::new(&plan, enrolled(global)?, &shown(&global.validators()))?;
    let built = build(&plan, &roster)?;
    let path = global.genesis();
    folder::write(&path, &built)?;
    let warnings = warnings(&plan, &roster, now()?);
    match global.output {
        Output::Json => out!(
            "{}",
            json!({
                "network": plan.network.as_str(),
                "genesis": shown(&path),
                "network_file": shown(&path.join("network.toml")),
                "hash": hash_text(&built.hash),
                "warnings": warnings,
            })
        )?,
        Output::Table => {
            out!(
                "{} is built in {}, for users {}.",
                plan.network,
                path.display(),
                path.join("network.toml").display()
            )?;
            out!("{}", hash_text(&built.hash))?;
            warn(&warnings);
            out!("\nSend the folder to every validator. Each compares the hash and takes part:")?;
            out!("  db3-genesis check --genesis {} --hash {}", path.display(), hash_text(&built.hash))?;
            out!("  db3-genesis join --genesis {} HOMES", path.display())?;
        }
    }
    Ok(())
}
