//! Homes that came from another machine: units for this one, the network's file, where `CometBFT` is, and where peers reach it
//! now. Everything else in them stays as it is.
//!
//! A validator's signing state must have come along. Without it the node would sign heights a second time, and lose its
//! power for good.

use std::fs;
use std::path::Path;

use db3_comet::{Layout, keys};
use db3_genesis::write_atomic;
use toml::{Table, Value};

use crate::build::{NETWORK_FILE, document_file};
use crate::folder::GenesisFolder;
use crate::home::{COMMENT, Home};
use crate::join::Joined;
use crate::{HostPort, NetworkError, PORT_P2P, unit};

/// What came, and where it is now.
#[derive(Clone, Debug)]
pub struct MoveInput<'a> {
    /// The genesis folder, checked.
    pub folder: &'a GenesisFolder,
    /// Where the homes are.
    pub homes: &'a Path,
    /// Where peers reach the settlement chain's node, HOST or HOST:PORT; shard n on the port 1 + n after it. None: as before.
    pub p2p_address: Option<&'a str>,
    /// The folder of the programs, for the units.
    pub programs: &'a Path,
    /// Where `CometBFT` is on this machine, if it is known; a setting that names a program that is here stays.
    pub comet: Option<&'a Path>,
}

impl MoveInput<'_> {
    /// Makes the homes this machine's.
    pub fn take(&self) -> Result<Joined, NetworkError> {
        let folder = std::path::absolute(self.homes).map_err(NetworkError::file(self.homes))?;
        let first = self.p2p_address.map(|text| {
            HostPort::parse(text, PORT_P2P).map_err(|error| NetworkError::field("--p2p-address", "host", text, error))
        });
        let first = first.transpose()?;
        let mut found = Vec::new();
        for (chain_id, after) in self.folder.plan.chains().zip(0u32..) {
            let path = folder.join(chain_id.as_str());
            self.check(&path, &document_file(&chain_id))?;
            let mut settings = settings(&path)?;
            let p2p = match &first {
                Some(first) => Some(first.after(after).ok_or_else(|| {
                    let expected = "expected a lower port: each chain needs its own";
                    NetworkError::field("--p2p-address", "port", first.port(), expected)
                })?),
                None => None,
            };
            self.change(&mut settings, p2p.as_ref());
            found.push((Home::of_settings(chain_id, path, &settings)?, settings));
        }
        let network_file = folder.join(format!("{}.toml", self.folder.plan.network));
        let text = self.folder.built.files.get(NETWORK_FILE).map_or("", String::as_str);
        write_atomic(&network_file, text.as_bytes()).map_err(NetworkError::file(&network_file))?;
        let units = folder.join("units");
        let mut homes = Vec::new();
        for (home, settings) in found {
            let file = home.path.join("config").join("node.toml");
            let text = toml::to_string(&settings).map_err(|error| NetworkError::Malformed {
                file: file.display().to_string(),
                detail: error.to_string(),
            })?;
            write_atomic(&file, format!("{COMMENT}{text}").as_bytes()).map_err(NetworkError::file(&file))?;
            let path = units.join(unit::file(&home));
            write_atomic(&path, unit::text(&home, self.programs).as_bytes()).map_err(NetworkError::file(&path))?;
            homes.push(home);
        }
        Ok(Joined { homes, network_file, units })
    }

    /// That the home is this chain's, and can go on signing.
    fn check(&self, home: &Path, document: &str) -> Result<(), NetworkError> {
        let genesis = home.join("config").join("genesis.json");
        let remedy = "copy the whole folder from the old machine, once its node has stopped for good".to_owned();
        if !genesis.exists() {
            return Err(NetworkError::Missing { path: genesis, remedy });
        }
        let text = fs::read_to_string(&genesis).map_err(NetworkError::file(&genesis))?;
        if self.folder.built.files.get(document) != Some(&text) {
            return Err(NetworkError::Taken { path: genesis, remedy: "it is another chain's genesis" });
        }
        let signed = Layout::new(home)?.signing_state();
        if keys::validator_key_file(home).exists() && !signed.exists() {
            let remedy =
                format!("without it this validator signs heights a second time, and loses its power; {remedy}");
            return Err(NetworkError::Missing { path: signed, remedy });
        }
        Ok(())
    }

    fn change(&self, settings: &mut Table, p2p: Option<&HostPort>) {
        let file = format!("../{}.toml", self.folder.plan.network);
        set(settings, "serve", "network_file", file);
        self.change_comet(settings);
        if let Some(p2p) = p2p {
            set(settings, "cometbft", "p2p_external", p2p.to_string());
        }
    }
}

impl MoveInput<'_> {
    /// The other machine's program may be none here.
    fn change_comet(&self, settings: &mut Table) {
        let section = settings.get_mut("cometbft").and_then(Value::as_table_mut);
        let known = section.as_ref().and_then(|section| section.get("binary")).and_then(Value::as_str);
        if known.is_some_and(|known| Path::new(known).is_file()) {
            return;
        }
        match (self.comet, section) {
            (Some(comet), _) => set(settings, "cometbft", "binary", comet.display().to_string()),
            (None, Some(section)) => {
                section.remove("binary");
            }
            (None, None) => {}
        }
    }
}

fn settings(home: &Path) -> Result<Table, NetworkError> {
    let file = home.join("config").join("node.toml");
    let text = fs::read_to_string(&file).map_err(NetworkError::file(&file))?;
    text.parse().map_err(|error: toml::de::Error| NetworkError::Malformed {
        file: file.display().to_string(),
        detail: error.to_string(),
    })
}

fn set(settings: &mut Table, section: &str, name: &str, value: String) {
    let section = settings.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        section.insert(name.to_owned(), Value::String(value));
    }
}
