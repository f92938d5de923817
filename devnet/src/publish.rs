//! What a started devnet tells the client on this machine: the network file, in the devnet's folder and, for the
//! devnet of `$DB3_HOME`, among the client's networks; and which network is current, if none is set.
//!
//! It must never change a network that the user has chosen.

use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use db3_genesis::{ChainEntry, NetworkFile, NetworkKind, write_atomic};
use db3_primitives::NetworkName;

use crate::home::Home;

/// The network's name.
pub const NETWORK: &str = "devnet";
/// The key of the current network in `$DB3_HOME/config.toml`.
const CURRENT: &str = "network";

/// Writes the network file wherever it belongs, and makes the devnet the current network if there is none.
pub fn publish(name: NetworkName, epoch_secs: NonZeroU64, chains: Vec<ChainEntry>, home: &Home) -> Result<()> {
    let mut network =
        NetworkFile { name, kind: NetworkKind::Devnet, epoch_secs, keystore: Some(PathBuf::from("keystore")), chains };
    network.save(&home.network_file())?;
    if let Some(client) = home.client_home() {
        network.keystore = Some(PathBuf::from("../devnet/keystore"));
        network.save(&client.join("networks").join(format!("{NETWORK}.toml")))?;
        make_current(client)?;
    }
    Ok(())
}

/// The current network that `$DB3_HOME/config.toml` names; none if it names none or cannot be read.
pub fn current_network(client: &Path) -> Option<String> {
    let text = fs::read_to_string(client.join("config.toml")).ok()?;
    let table: toml::Table = text.parse().ok()?;
    table.get(CURRENT)?.as_str().map(str::to_owned)
}

fn make_current(client: &Path) -> Result<()> {
    let path = client.join("config.toml");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let Ok(table) = text.parse::<toml::Table>() else {
        tracing::warn!(file = %path.display(), "is no TOML, so it is left as it is; the current network is not set");
        return Ok(());
    };
    if table.contains_key(CURRENT) {
        return Ok(());
    }
    // Before everything else: a key after a table's header would belong to that table.
    let text = format!("{CURRENT} = \"{NETWORK}\"\n{text}");
    write_atomic(&path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_devnet_becomes_current_only_if_nothing_is() {
        let folder = tempfile::tempdir().unwrap();
        make_current(folder.path()).unwrap();
        assert_eq!(current_network(folder.path()).as_deref(), Some("devnet"));
        fs::write(folder.path().join("config.toml"), "network = \"main\"\n").unwrap();
        make_current(folder.path()).unwrap();
        assert_eq!(current_network(folder.path()).as_deref(), Some("main"));
    }

    #[test]
    fn other_settings_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "# mine\n[colours]\nnetwork = \"red\"\n").unwrap();
        make_current(folder.path()).unwrap();
        assert_eq!(current_network(folder.path()).as_deref(), Some("devnet"));
        assert!(fs::read_to_string(&path).unwrap().ends_with("# mine\n[colours]\nnetwork = \"red\"\n"));
    }

    #[test]
    fn a_damaged_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "this is = = no toml").unwrap();
        make_current(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "this is = = no toml");
    }
}
