//! `$DB3_HOME`: where the command keeps its settings, networks, keys and verified headers.
//!
//! `config.toml` (settings), `networks/<name>.toml`, `keystore/<account>.json`, `headers/`, `devnet/`.

use std::path::{Path, PathBuf};

use db3_genesis::{NetworkFile, write_atomic};
use serde::Deserialize;

use super::args::Global;
use super::failure::Failure;

/// The folder.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
}

/// `config.toml`: defaults for options that neither the command line nor the environment gives.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the current network, or path of its file.
    pub network: Option<String>,
    /// Address to ask.
    pub endpoint: Option<String>,
    /// Name or address of the default account.
    pub account: Option<String>,
    /// `table`, `json` or `csv`.
    pub output: Option<String>,
    /// `text`, `hex` or `base64`.
    pub encoding: Option<String>,
    /// As of `--timeout`.
    pub timeout: Option<String>,
    /// `auto`, `always` or `never`.
    pub color: Option<String>,
    /// File that holds the account's password.
    pub password_file: Option<PathBuf>,
    /// As `--unverified`.
    pub unverified: Option<bool>,
    /// As `--yes`.
    pub yes: Option<bool>,
    /// As `--no-input`.
    pub no_input: Option<bool>,
    /// As `--quiet`.
    pub quiet: Option<bool>,
    /// As `--verbose`.
    pub verbose: Option<bool>,
    /// As `db3 devnet --port`.
    pub devnet_port: Option<u16>,
}

impl Config {
    /// The options with these switches, and the file of the password, where none was given.
    #[must_use]
    pub fn complete(&self, global: Global) -> Global {
        Global {
            password_file: global.password_file.or_else(|| self.password_file.clone()),
            unverified: global.unverified || self.unverified.unwrap_or_default(),
            yes: global.yes || self.yes.unwrap_or_default(),
            no_input: global.no_input || self.no_input.unwrap_or_default(),
            quiet: global.quiet || self.quiet.unwrap_or_default(),
            verbose: global.verbose || self.verbose.unwrap_or_default(),
            ..global
        }
    }
}

/// A network's name, and its file or what is wrong with it.
type NamedNetwork = (String, Result<NetworkFile, Failure>);

impl Home {
    /// `$DB3_HOME`, or `~/.db3`.
    pub fn of_environment() -> Result<Self, Failure> {
        if let Some(path) = std::env::var_os("DB3_HOME").filter(|path| !path.is_empty()) {
            return Ok(Self { path: path.into() });
        }
        match std::env::home_dir() {
            Some(home) => Ok(Self { path: home.join(".db3") }),
            None => Err(Failure::input("there is no home folder", "set DB3_HOME to a folder of your own")),
        }
    }

    /// Keys of the user.
    #[must_use]
    pub fn keystore(&self) -> PathBuf {
        self.path.join("keystore")
    }

    /// Verified headers.
    #[must_use]
    pub fn headers(&self) -> PathBuf {
        self.path.join("headers")
    }

    /// The local network, unless it was told to stand elsewhere.
    #[must_use]
    pub fn devnet(&self) -> PathBuf {
        self.path.join("devnet")
    }

    /// Network files.
    #[must_use]
    pub fn networks(&self) -> PathBuf {
        self.path.join("networks")
    }

    /// The file of a network by name.
    #[must_use]
    pub fn network_file(&self, name: &str) -> PathBuf {
        self.networks().join(format!("{name}.toml"))
    }

    /// All networks by name, with what is wrong with a file that cannot be read.
    pub fn list_networks(&self) -> Result<Vec<NamedNetwork>, Failure> {
        let folder = self.networks();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Failure::file("read", &folder, &error)),
        };
        let mut networks = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| Failure::file("read", &folder, &error))?.path();
            let is_toml = path.extension().is_some_and(|extension| extension == "toml");
            let name = path.file_stem().and_then(|stem| stem.to_str()).map(ToOwned::to_owned);
            if let (true, Some(name)) = (is_toml, name) {
                networks.push((name, NetworkFile::load(&path).map_err(Failure::from)));
            }
        }
        networks.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(networks)
    }

    fn config_file(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The settings; all empty where there is no file.
    pub fn config(&self) -> Result<Config, Failure> {
        let path = self.config_file();
        let text = read_if_there(&path)?;
        toml::from_str(&text).map_err(|error| {
            Failure::input(
                format!("{}: {}", path.display(), error.to_string().trim_end()),
                "correct the file, or remove it",
            )
        })
    }

    /// Sets one setting and leaves every other line as it is.
    pub fn set_config(&self, name: &str, value: &str) -> Result<(), Failure> {
        let path = self.config_file();
        let line = format!("{name} = {}", toml::Value::String(value.to_owned()));
        let text = read_if_there(&path)?;
        let is_it =
            |line: &str| line.trim_start().strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
        let kept: Vec<&str> = text.lines().filter(|line| !is_it(line)).collect();
        let lines: Vec<&str> = std::iter::once(line.as_str()).chain(kept).collect();
        write_atomic(&path, format!("{}\n", lines.join("\n")).as_bytes())
            .map_err(|error| Failure::file("write", &path, &error))
    }
}

/// Whether what names a network is the path of its file.
pub fn is_path(name: &str) -> bool {
    name.contains(['/', '\\']) || Path::new(name).extension().is_some_and(|extension| extension == "toml")
}

fn read_if_there(path: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Failure::file("read", path, &error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_setting_is_replaced_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home { path: folder.path().join("new") };
        assert!(home.config().unwrap().network.is_none());
        home.set_config("network", "devnet").unwrap();
        home.set_config("account", "alice \"x\"").unwrap();
        home.set_config("network", "other").unwrap();
        let config = home.config().unwrap();
        assert_eq!((config.network.as_deref(), config.account.as_deref()), (Some("other"), Some("alice \"x\"")));
        std::fs::write(home.config_file(), "nonsense = 1\n").unwrap();
        assert!(home.config().is_err());
    }
}
