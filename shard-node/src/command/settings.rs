//! Settings of a node beside those of its chain: sections `[serve]` and `[log]` of `<home>/config/node.toml`, variables
//! `DB3_SERVE_<NAME>` and `DB3_LOG_<NAME>`, flags. Precedence: flag, environment, file, default.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use db3_chain::config::load_section;
use db3_chain::telemetry::LogFormat;
use db3_genesis::NetworkFile;
use db3_shard_node::{Cors, ServeConfig, ServeLimits, ShardEndpoints};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The port of shard 0 where nothing else is said; shard n has the n-th after it.
const FIRST_PORT: u16 = 7_301;

/// Flags of `start`.
#[derive(Debug, Default, Args)]
pub struct StartArgs {
    /// Address of gRPC and gRPC-Web [default: 127.0.0.1:7301 for shard 0, 7302 for shard 1 …]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Address of the metrics, which are off without it
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Web pages that may call: none, localhost, or an origin such as `https://app.example` (may be repeated)
    #[arg(long, value_name = "ORIGIN")]
    pub cors: Vec<String>,
    /// The network's file, from which the shard map's endpoints are told
    #[arg(long, value_name = "FILE")]
    pub network_file: Option<PathBuf>,
    /// A block with mutations is made at most every so many milliseconds
    #[arg(long, value_name = "MS")]
    pub block_ms: Option<u64>,
    /// What is logged, as in `RUST_LOG`
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// How it is logged: text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// Section `[serve]`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeSection {
    /// Where gRPC and gRPC-Web are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Where metrics are served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// Origins that may call; `localhost` for pages of this machine.
    pub cors: Origins,
    /// The network's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_file: Option<PathBuf>,
    /// Open connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<usize>,
    /// Calls at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_max: Option<usize>,
    /// Streaming calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams_max: Option<usize>,
    /// The longest that a call may take, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_secs_max: Option<u64>,
}

/// One origin or several.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Origins {
    /// One word.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Default for Origins {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// Section `[log]`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// What is logged, as in `RUST_LOG`.
    pub filter: String,
    /// How it is logged.
    pub format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl StartArgs {
    /// Flags of the `[chain]` section.
    pub fn chain_flags(&self) -> Table {
        let mut flags = Table::new();
        if let Some(block_ms) = self.block_ms {
            flags.insert("block_ms".to_owned(), Value::Integer(i64::try_from(block_ms).unwrap_or(i64::MAX)));
        }
        flags
    }

    fn serve_flags(&self) -> Table {
        let mut flags = Table::new();
        let texts = [
            ("listen", self.listen.map(|address| address.to_string())),
            ("metrics", self.metrics.map(|address| address.to_string())),
            ("network_file", self.network_file.as_ref().map(|path| path.display().to_string())),
        ];
        for (name, text) in texts {
            flags.extend(text.map(|text| (name.to_owned(), Value::String(text))));
        }
        if !self.cors.is_empty() {
            let origins = self.cors.iter().cloned().map(Value::String).collect();
            flags.insert("cors".to_owned(), Value::Array(origins));
        }
        flags
    }

    fn log_flags(&self) -> Table {
        let texts = [("filter", &self.log), ("format", &self.log_format)];
        texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::String(text.clone()?)))).collect()
    }

    /// Section `[log]`.
    pub fn log(&self, home: &Path) -> Result<LogSection> {
        Ok(load_section(home, "log", "DB3_LOG_", self.log_flags())?)
    }

    /// Section `[serve]`, made into settings of a server of this shard.
    pub fn serve(&self, home: &Path, shard: u32) -> Result<ServeConfig> {
        let section: ServeSection = load_section(home, "serve", "DB3_SERVE_", self.serve_flags())?;
        section.config(shard)
    }
}

impl ServeSection {
    fn config(self, shard: u32) -> Result<ServeConfig> {
        let defaults = ServeLimits::default();
        let limits = ServeLimits {
            connections_max: self.connections_max.unwrap_or(defaults.connections_max),
            calls_max: self.calls_max.unwrap_or(defaults.calls_max),
            streams_max: self.streams_max.unwrap_or(defaults.streams_max),
            call_time_max: self.call_secs_max.map_or(defaults.call_time_max, std::time::Duration::from_secs),
            ..defaults
        };
        Ok(ServeConfig {
            listen: self.listen.unwrap_or_else(|| default_listen(shard)),
            cors: cors(self.cors),
            metrics: self.metrics,
            shard_endpoints: self.network_file.as_deref().map(endpoints).transpose()?.unwrap_or_default(),
            limits,
        })
    }
}

/// 127.0.0.1 and the shard's port.
pub fn default_listen(shard: u32) -> SocketAddr {
    let port = u16::try_from(shard).ok().and_then(|shard| FIRST_PORT.checked_add(shard)).unwrap_or(FIRST_PORT);
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn cors(origins: Origins) -> Cors {
    let origins = match origins {
        Origins::One(origin) => vec![origin],
        Origins::Many(origins) => origins,
    };
    match origins.as_slice() {
        [] => Cors::None,
        [only] if only == "none" => Cors::None,
        [only] if only == "localhost" => Cors::Localhost,
        _ => Cors::Origins(origins),
    }
}

fn endpoints(file: &Path) -> Result<Vec<ShardEndpoints>> {
    let network = NetworkFile::load(file).context("network_file")?;
    Ok(network
        .shards()
        .map(|chain| ShardEndpoints { shard: chain.index, endpoints: chain.endpoints.clone() })
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_flag_stands_above_the_file() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        let file = home.path().join("config/node.toml");
        std::fs::write(&file, "[serve]\nlisten = \"127.0.0.1:9001\"\ncors = \"localhost\"\n[log]\nformat = \"json\"\n")
            .unwrap();
        let none = StartArgs::default();
        let config = none.serve(home.path(), 3).unwrap();
        assert_eq!(config.listen.port(), 9_001);
        assert_eq!(config.cors, Cors::Localhost);
        assert_eq!(none.log(home.path()).unwrap().format, LogFormat::Json);
        let flag = StartArgs { listen: Some("127.0.0.1:9002".parse().unwrap()), ..StartArgs::default() };
        assert_eq!(flag.serve(home.path(), 3).unwrap().listen.port(), 9_002);
    }

    #[test]
    fn the_defaults_listen_on_this_machine_alone() {
        let home = tempfile::tempdir().unwrap();
        let config = StartArgs::default().serve(home.path(), 2).unwrap();
        assert_eq!(config.listen, "127.0.0.1:7303".parse().unwrap());
        assert_eq!((config.cors, config.metrics), (Cors::None, None));
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        std::fs::write(home.path().join("config/node.toml"), "[serve]\nlissen = 1\n").unwrap();
        let error = StartArgs::default().serve(home.path(), 0).unwrap_err();
        assert!(format!("{error:#}").contains("lissen"), "{error:#}");
    }
}
