//! The node's folder: the one that is named, or the one of the only chain in `$DB3_HOME`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use db3_chain::genesis_file;
use db3_genesis::GenesisDocument;

use super::failure::Failure;
use crate::kind::Kind;

/// `$DB3_HOME`, or `~/.db3`.
pub fn db3_home() -> Result<PathBuf> {
    db3_network::db3_home().map_err(|error| Failure::Wrong(error.to_string()).into())
}

/// The folder of a chain that is there already.
pub fn existing<K: Kind>(asked: Option<&Path>) -> Result<PathBuf> {
    let program = K::PROGRAM;
    if let Some(path) = asked {
        let path = std::path::absolute(path).with_context(|| format!("--home {}", path.display()))?;
        if !genesis_file(&path).exists() {
            bail!(Failure::Wrong(format!(
                "{} holds no chain (no config/genesis.json); `{program} init` makes one",
                path.display()
            )));
        }
        if !holds::<K>(&path)? {
            bail!(Failure::Wrong(format!(
                "{} holds a chain that {program} does not run; name another folder with --home",
                path.display()
            )));
        }
        return Ok(path);
    }
    let folder = db3_home()?;
    let mut chains = chains_in::<K>(&folder);
    match (chains.pop(), chains.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            chains.push(last);
            let names: Vec<String> = chains.iter().map(|path| path.display().to_string()).collect();
            bail!(Failure::Wrong(format!("there are several chains; name one with --home: {}", names.join(", "))))
        }
        (None, _) => bail!(Failure::Wrong(format!(
            "there is no chain in {}; `{program} init` makes one, --home names one elsewhere",
            folder.display()
        ))),
    }
}

/// Whether the folder's chain is of this kind.
fn holds<K: Kind>(home: &Path) -> Result<bool> {
    let document = GenesisDocument::load(&genesis_file(home))?;
    Ok(document.chain_id().parts().is_some_and(|(_, role)| K::is_role(role)))
}

/// The folders of this kind of chain; one that cannot be read counts, so that its error is told.
fn chains_in<K: Kind>(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut chains: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| genesis_file(path).exists() && holds::<K>(path).unwrap_or(true))
        .collect();
    chains.sort();
    chains
}
