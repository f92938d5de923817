//! Settings of a chain: `<home>/config/node.toml`, section `[chain]`; `DB3_NODE_<NAME>` in the environment; flags.
//! Precedence: flag, environment, file, default. A name that is unknown is refused, wherever it stands.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use db3_comet::{CometError, CometSettings};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Environment variables of the `[chain]` section start with this.
pub const ENVIRONMENT_PREFIX: &str = "DB3_NODE_";

/// All sections of the file, whoever reads them.
const SECTIONS: [&str; 5] = ["chain", "cometbft", "log", "relay", "serve"];

/// What drives a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// The embedded engine: one validator that holds all the power, in this process.
    #[default]
    Solo,
    /// A `CometBFT` process that the node starts and watches.
    CometBft,
}

impl EngineKind {
    /// As settings and answers name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Solo => "solo",
            Self::CometBft => "cometbft",
        }
    }
}

/// Environment variables of the `[cometbft]` section start with this.
pub const COMETBFT_ENVIRONMENT_PREFIX: &str = "DB3_COMETBFT_";

/// Settings of one chain of one node. None of them decides a result: nodes of a chain may differ in all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConfig {
    /// Folder of the node: `config/` and `data/` are in it.
    #[serde(skip)]
    pub home: PathBuf,
    /// What drives it.
    pub engine: EngineKind,
    /// How `CometBFT` is run, where it does: section `[cometbft]`.
    #[serde(skip)]
    pub cometbft: CometSettings,
    /// The solo engine makes a block with mutations at most every so many milliseconds. (`CometBFT` has its
    /// `timeout_commit_ms`.)
    pub block_ms: u64,
    /// The snapshot moves forward after so many blocks.
    pub snapshot_interval_blocks: u64,
    /// And after so many bytes of transactions, whichever comes first.
    pub snapshot_interval_bytes: u64,
    /// Every so many blocks a snapshot is written that other nodes may sync from; 0: never.
    pub sync_snapshot_blocks: u64,
    /// How many of those are kept.
    pub sync_snapshots_kept: usize,
    /// A state that others offer in state sync is refused if it would take more bytes of memory: nothing proves it before
    /// all of it is there.
    pub sync_memory_bytes: u64,
    /// Where the light client of state sync asks, when `[cometbft.state_sync]` is set: two servers of this process.
    #[serde(skip)]
    pub sync_servers: Option<[SocketAddr; 2]>,
    /// State sync takes no snapshot of this height or a lower one: the node had the block, and could not go on from it.
    #[serde(skip)]
    pub sync_above: u64,
    /// Newest versions that can be read.
    pub versions_kept: usize,
    /// Versions that are kept longer because a list is being read from them.
    pub pins_max: usize,
    /// How long such a version is kept after it was last asked for, in seconds.
    pub pin_secs: u64,
    /// Newest blocks that are kept; 0: all. Bills, receipts and a row per block stay for ever.
    pub blocks_kept: u64,
    /// Threads that verify signatures; 0: one for every core.
    pub verify_threads: usize,
    /// Mutations that may wait for a verification.
    pub verify_queue_mutations: usize,
    /// Mutations that may wait for a block.
    pub mempool_mutations: usize,
    /// Their bytes.
    pub mempool_bytes: usize,
    /// Bytes of verified mutations that are remembered by the hash of what was signed.
    pub verdict_bytes: usize,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            home: PathBuf::new(),
            engine: EngineKind::default(),
            cometbft: CometSettings::default(),
            block_ms: 100,
            snapshot_interval_blocks: 200,
            snapshot_interval_bytes: 64 * 1024 * 1024,
            sync_snapshot_blocks: 10_000,
            sync_snapshots_kept: 2,
            sync_memory_bytes: 8 * 1024 * 1024 * 1024,
            sync_servers: None,
            sync_above: 0,
            versions_kept: 64,
            pins_max: 32,
            pin_secs: 60,
            blocks_kept: 100_000,
            verify_threads: 0,
            verify_queue_mutations: 20_000,
            mempool_mutations: 50_000,
            mempool_bytes: 64 * 1024 * 1024,
            verdict_bytes: 192 * 1024 * 1024,
        }
    }
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}: {}; correct the file", path.display(), detail.trim_end())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong.
        detail: String,
    },
    /// A setting is unknown or of the wrong type.
    #[error(
        "{place}: {detail}; correct it there, or leave it out: `init` of a new network writes a config/node.toml that shows every setting of [{section}] with its default"
    )]
    Setting {
        /// The file's section, the environment's variable, or the command line.
        place: String,
        /// The section.
        section: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A setting of `CometBFT`.
    #[error(transparent)]
    CometBft(#[from] CometError),
    /// A setting is out of its range.
    #[error("{name} is {value}: expected {expected}; correct it in config/node.toml, its variable or its option")]
    Range {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: u64,
        /// What is possible.
        expected: &'static str,
    },
}

impl ChainConfig {
    /// Default settings for a folder.
    #[must_use]
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self { home: home.into(), ..Self::default() }
    }

    /// The settings of a folder: file, environment, `flags`.
    pub fn load(home: &Path, flags: Table) -> Result<Self, ConfigError> {
        let mut config: Self = load_section(home, "chain", ENVIRONMENT_PREFIX, flags)?;
        home.clone_into(&mut config.home);
        config.cometbft = load_section(home, "cometbft", COMETBFT_ENVIRONMENT_PREFIX, Table::new())?;
        config.check()?;
        Ok(config)
    }

    /// Checks the ranges.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.cometbft.check()?;
        let at_least_one = [
            ("snapshot_interval_blocks", self.snapshot_interval_blocks),
            ("snapshot_interval_bytes", self.snapshot_interval_bytes),
            ("sync_memory_bytes", self.sync_memory_bytes),
            ("verify_queue_mutations", self.verify_queue_mutations as u64),
            ("mempool_mutations", self.mempool_mutations as u64),
            ("mempool_bytes", self.mempool_bytes as u64),
        ];
        if !(1..=60_000).contains(&self.block_ms) {
            return Err(ConfigError::Range { name: "block_ms", value: self.block_ms, expected: "1 to 60000" });
        }
        if !(1..=100).contains(&self.sync_snapshots_kept) {
            let value = self.sync_snapshots_kept as u64;
            return Err(ConfigError::Range { name: "sync_snapshots_kept", value, expected: "1 to 100" });
        }
        if !(2..=100_000).contains(&self.versions_kept) {
            let value = self.versions_kept as u64;
            return Err(ConfigError::Range { name: "versions_kept", value, expected: "2 to 100000" });
        }
        match at_least_one.into_iter().find(|(_, value)| *value == 0) {
            Some((name, value)) => Err(ConfigError::Range { name, value, expected: "1 or more" }),
            None => Ok(()),
        }
    }

    /// Least time between blocks with mutations.
    pub(crate) fn block_interval(&self) -> Duration {
        Duration::from_millis(self.block_ms)
    }

    /// Threads that verify.
    pub(crate) fn threads(&self) -> usize {
        match self.verify_threads {
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            threads => threads,
        }
    }
}

/// Where the settings of a folder stand.
#[must_use]
pub fn config_file(home: &Path) -> PathBuf {
    home.join("config").join("node.toml")
}

/// Reads one section of `<home>/config/node.toml` (which may be missing), lays the environment's variables with
/// `prefix` over it and `flags` over those.
///
/// A variable's value is read as TOML where it is a TOML value (`250`, `true`, `["a"]`), else as text.
pub fn load_section<T: DeserializeOwned>(
    home: &Path,
    section: &'static str,
    prefix: &'static str,
    flags: Table,
) -> Result<T, ConfigError> {
    let path = config_file(home);
    let file = read_section(&path, section)?;
    let mut settings = file.clone();
    let mut variables = Vec::new();
    for (variable, value) in std::env::vars() {
        if let Some(name) = variable.strip_prefix(prefix) {
            let (name, value) = (name.to_ascii_lowercase(), environment_value(&value));
            settings.insert(name.clone(), value.clone());
            variables.push((variable, name, value));
        }
    }
    settings.extend(flags);
    let error = match settings.try_into() {
        Ok(section) => return Ok(section),
        Err(error) => error,
    };
    // Which of them it was that cannot be read: each is looked at alone.
    let is_wrong = |settings: Table| settings.try_into::<T>().is_err();
    let place = if is_wrong(file) {
        format!("section [{section}] of {}", path.display())
    } else {
        let wrong =
            variables.into_iter().find(|(_, name, value)| is_wrong(Table::from_iter([(name.clone(), value.clone())])));
        wrong.map_or_else(|| "the command line".to_owned(), |(variable, ..)| format!("the variable {variable}"))
    };
    // Several lines, the last of which says where.
    let lines: Vec<String> = error.to_string().lines().map(|line| line.trim().to_owned()).collect();
    let detail = lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ");
    Err(ConfigError::Setting { place, section, detail })
}

fn read_section(path: &Path, section: &str) -> Result<Table, ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Table::new()),
        Err(source) => return Err(ConfigError::File { path: path.to_owned(), source }),
    };
    let malformed = |detail: String| ConfigError::Malformed { path: path.to_owned(), detail };
    let mut file: Table = text.parse().map_err(|error: toml::de::Error| malformed(error.to_string()))?;
    if let Some(unknown) = file.keys().find(|name| !SECTIONS.contains(&name.as_str())) {
        let is_section = matches!(file.get(unknown), Some(Value::Table(_)));
        let what = if is_section { "section" } else { "setting outside of a section:" };
        let known = SECTIONS.join("], [");
        return Err(malformed(format!("there is no {what} {unknown}: settings stand in the sections [{known}]")));
    }
    match file.remove(section) {
        Some(Value::Table(settings)) => Ok(settings),
        Some(other) => Err(malformed(format!("{section} is a {}, not a section", other.type_str()))),
        None => Ok(Table::new()),
    }
}

fn environment_value(text: &str) -> Value {
    let line = format!("value = {text}");
    line.parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}
