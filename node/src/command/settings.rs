//! Settings of a node beside those of its chain: sections `[serve]` and `[log]` of `<home>/config/node.toml`, variables
//! `DB3_SERVE_<NAME>` and `DB3_LOG_<NAME>`, flags. Precedence: flag, environment, file, default.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use db3_chain::config::{ConfigError, load_section};
use db3_chain::telemetry::LogFormat;
use db3_genesis::NetworkFile;
use db3_primitives::name::ChainRole;
use db3_primitives::{ChainId, limits};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::cors::Cors;
use crate::relay::RelaySettings;
use crate::settings::{ChainEndpoints, ServeConfig, ServeLimits};

/// The port of the settlement chain where nothing else is said; shards have those after it.
const FIRST_PORT: u16 = 7_300;
/// How long a message may be allowed to be: a mutation fits, and a few hundred of them do not fill the memory.
const MESSAGE_BYTES: std::ops::RangeInclusive<u64> = limits::MUTATION_BYTES_MAX as u64..=64 << 20;

/// Flags of `start`.
#[derive(Debug, Default, Args)]
pub struct StartArgs {
    /// Address of gRPC and gRPC-Web [default: 127.0.0.1, with port 7300 for the settlement chain, 7301 for shard 0 …]
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
    /// Carry nothing between chains; others must then
    #[arg(long)]
    pub no_relay: bool,
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
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeSection {
    /// Where gRPC is served.
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
    pub connections_max: usize,
    /// Seconds that a new connection may take to say which protocol it speaks.
    pub opening_secs_max: u64,
    /// HTTP/2 streams of one connection.
    pub streams_per_connection_max: u32,
    /// Calls at work, over all connections.
    pub calls_max: usize,
    /// Streaming calls, over all connections.
    pub streams_max: usize,
    /// Streams of reflection and of health, over all connections.
    pub side_streams_max: usize,
    /// Reads of the node's files at once.
    pub reads_max: usize,
    /// Streams that read old blocks from the node's files at once.
    pub history_reads_max: usize,
    /// Mutations of one stream that are taken and not yet answered.
    pub in_flight_per_stream_max: usize,
    /// Seconds that a stream of mutations may be idle.
    pub idle_stream_secs_max: u64,
    /// Bytes of one message, either way.
    pub message_bytes_max: usize,
    /// Seconds that a call may take.
    pub call_secs_max: u64,
    /// Seconds after which something is sent on every stream.
    pub heartbeat_secs: u64,
    /// Seconds that open calls may take to end when the node stops.
    pub stop_secs_max: u64,
}

impl Default for ServeSection {
    fn default() -> Self {
        let limits = ServeLimits::default();
        Self {
            listen: None,
            metrics: None,
            cors: Origins::default(),
            network_file: None,
            connections_max: limits.connections_max,
            opening_secs_max: limits.opening_time_max.as_secs(),
            streams_per_connection_max: limits.streams_per_connection_max,
            calls_max: limits.calls_max,
            streams_max: limits.streams_max,
            side_streams_max: limits.side_streams_max,
            reads_max: limits.reads_max,
            history_reads_max: limits.history_reads_max,
            in_flight_per_stream_max: limits.in_flight_per_stream_max,
            idle_stream_secs_max: limits.idle_stream_time_max.as_secs(),
            message_bytes_max: limits.message_bytes_max,
            call_secs_max: limits.call_time_max.as_secs(),
            heartbeat_secs: limits.heartbeat.as_secs(),
            stop_secs_max: limits.stop_time_max.as_secs(),
        }
    }
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

/// Section `[relay]`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelaySection {
    /// Whether this node carries entries between its chain and the others.
    pub enabled: bool,
    /// Longest random wait between seeing entries and carrying them, milliseconds.
    pub jitter_millis: u64,
    /// Milliseconds between two looks where no block wakes it.
    pub poll_millis: u64,
    /// Seconds that one call may take.
    pub call_secs_max: u64,
    /// Where chains are served, by chain id; before what the network's file says.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, Vec<String>>,
}

impl Default for RelaySection {
    fn default() -> Self {
        Self { enabled: true, jitter_millis: 1_500, poll_millis: 2_000, call_secs_max: 15, endpoints: BTreeMap::new() }
    }
}

impl RelaySection {
    /// How eagerly it carries.
    pub fn settings(&self) -> Result<RelaySettings, ConfigError> {
        let ranges = [
            ("jitter_millis", self.jitter_millis, 0..=60_000, "0 to 60000"),
            ("poll_millis", self.poll_millis, 50..=600_000, "50 to 600000"),
            ("call_secs_max", self.call_secs_max, 1..=600, "1 to 600"),
        ];
        if let Some((name, value, _, expected)) = ranges.into_iter().find(|(_, value, range, _)| !range.contains(value))
        {
            return Err(ConfigError::Range { name, value, expected });
        }
        Ok(RelaySettings {
            jitter: Duration::from_millis(self.jitter_millis),
            poll: Duration::from_millis(self.poll_millis),
            timeout: Duration::from_secs(self.call_secs_max),
        })
    }

    /// Where the other chains are served.
    pub fn known(&self, network: &[ChainEndpoints]) -> Result<Vec<ChainEndpoints>> {
        let mut known: Vec<ChainEndpoints> = Vec::new();
        for (name, endpoints) in &self.endpoints {
            let chain_id = ChainId::parse(name).with_context(|| format!("[relay.endpoints]: {name}"))?;
            known.push(ChainEndpoints { chain_id, endpoints: endpoints.clone() });
        }
        let others = network.iter().filter(|chain| !self.endpoints.contains_key(chain.chain_id.as_str()));
        known.extend(others.cloned());
        Ok(known)
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

    /// Section `[relay]`.
    pub fn relay(&self, home: &Path) -> Result<RelaySection> {
        let mut flags = Table::new();
        if self.no_relay {
            flags.insert("enabled".to_owned(), Value::Boolean(false));
        }
        Ok(load_section(home, "relay", "DB3_RELAY_", flags)?)
    }

    /// Section `[serve]`, made into settings of a server that listens at `default` where nothing else is said.
    pub fn serve(&self, home: &Path, default: SocketAddr) -> Result<ServeConfig> {
        let section: ServeSection = load_section(home, "serve", "DB3_SERVE_", self.serve_flags())?;
        section.config(default)
    }
}

impl ServeSection {
    fn config(self, default: SocketAddr) -> Result<ServeConfig> {
        self.check()?;
        let limits = ServeLimits {
            connections_max: self.connections_max,
            opening_time_max: Duration::from_secs(self.opening_secs_max),
            streams_per_connection_max: self.streams_per_connection_max,
            calls_max: self.calls_max,
            streams_max: self.streams_max,
            side_streams_max: self.side_streams_max,
            reads_max: self.reads_max,
            history_reads_max: self.history_reads_max,
            in_flight_per_stream_max: self.in_flight_per_stream_max,
            idle_stream_time_max: Duration::from_secs(self.idle_stream_secs_max),
            message_bytes_max: self.message_bytes_max,
            call_time_max: Duration::from_secs(self.call_secs_max),
            heartbeat: Duration::from_secs(self.heartbeat_secs),
            stop_time_max: Duration::from_secs(self.stop_secs_max),
        };
        Ok(ServeConfig {
            listen: self.listen.unwrap_or(default),
            cors: cors(self.cors),
            metrics: self.metrics,
            endpoints: self.network_file.as_deref().map(endpoints).transpose()?.unwrap_or_default(),
            relay: None,
            limits,
        })
    }

    /// Refuses what would serve nobody, or bound nothing.
    fn check(&self) -> Result<(), ConfigError> {
        let counts = [
            ("connections_max", self.connections_max),
            ("streams_per_connection_max", self.streams_per_connection_max as usize),
            ("calls_max", self.calls_max),
            ("streams_max", self.streams_max),
            ("side_streams_max", self.side_streams_max),
            ("reads_max", self.reads_max),
            ("history_reads_max", self.history_reads_max),
            ("in_flight_per_stream_max", self.in_flight_per_stream_max),
        ];
        let secs = [
            ("opening_secs_max", self.opening_secs_max),
            ("idle_stream_secs_max", self.idle_stream_secs_max),
            ("call_secs_max", self.call_secs_max),
            ("stop_secs_max", self.stop_secs_max),
        ];
        let counts = counts.map(|(name, value)| (name, value as u64, 1..=1_000_000, "1 to 1000000")).into_iter();
        let secs = secs.map(|(name, value)| (name, value, 1..=3_600, "1 to 3600")).into_iter();
        let rest = [
            ("heartbeat_secs", self.heartbeat_secs, 1..=15, "1 to 15"),
            ("message_bytes_max", self.message_bytes_max as u64, MESSAGE_BYTES, "262144 to 67108864"),
        ];
        match counts.chain(secs).chain(rest).find(|(_, value, range, _)| !range.contains(value)) {
            Some((name, value, _, expected)) => Err(ConfigError::Range { name, value, expected }),
            None => Ok(()),
        }
    }
}

/// What `init` writes of the sections `[serve]`, `[relay]` and `[log]`: every setting with its default, as comments, and the
/// network's file, if there is one.
pub fn explained(listen: SocketAddr, network_file: Option<&Path>) -> Result<String> {
    let commented = |section: String| section.lines().fold(String::new(), |text, line| format!("{text}# {line}\n"));
    let serve = ServeSection { listen: Some(listen), ..ServeSection::default() };
    let serve = commented(toml::to_string(&serve)?);
    let relay = commented(toml::to_string(&RelaySection::default())?);
    let log = commented(toml::to_string(&LogSection::default())?);
    let network = match network_file {
        Some(file) => toml::to_string(&Table::from_iter([(
            "network_file".to_owned(),
            Value::String(file.display().to_string()),
        )]))?,
        None => "# network_file = \"mine.toml\"\n".to_owned(),
    };
    Ok(format!(
        "\n# What is commented out is the default. Variables DB3_SERVE_<NAME>, DB3_RELAY_<NAME> and\n# DB3_LOG_<NAME> go before what stands here.\n\
         [serve]\n{serve}\
         # Web pages that may call: \"localhost\" for those of this machine, or [\"https://app.example\"].\n\
         # metrics = \"127.0.0.1:7501\"\n\
         # Where the chains of the network are served: the shard map and the relay take the endpoints from it.\n\
         {network}\n[relay]\n{relay}\
         # endpoints = {{ mine-shard-0 = [\"http://127.0.0.1:7301\"] }}\n\n[log]\n{log}"
    ))
}

/// 127.0.0.1 and the chain's port.
pub fn default_listen(chain_id: &ChainId) -> SocketAddr {
    let after = match chain_id.parts() {
        Some((_, ChainRole::Shard(shard))) => shard.get().saturating_add(1),
        Some((_, ChainRole::Settlement)) | None => 0,
    };
    let port = u16::try_from(after).ok().and_then(|after| FIRST_PORT.checked_add(after)).unwrap_or(FIRST_PORT);
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

/// Where the chains of a network are served, by its file.
pub fn endpoints(file: &Path) -> Result<Vec<ChainEndpoints>> {
    let network = NetworkFile::load(file).context("network_file")?;
    network
        .chains
        .iter()
        .map(|chain| Ok(ChainEndpoints { chain_id: chain.chain_id.clone(), endpoints: chain.endpoints.clone() }))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn listen(shard: u32) -> SocketAddr {
        default_listen(&ChainId::shard(&"test".parse().unwrap(), db3_primitives::ShardId::new(shard)))
    }

    #[test]
    fn the_settlement_chain_has_the_port_before_the_shards() {
        let settlement = ChainId::settlement(&"test".parse().unwrap());
        assert_eq!(default_listen(&settlement).port(), 7_300);
        assert_eq!((listen(0).port(), listen(7).port()), (7_301, 7_308));
    }

    #[test]
    fn a_flag_stands_above_the_file() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        let file = home.path().join("config/node.toml");
        std::fs::write(&file, "[serve]\nlisten = \"127.0.0.1:9001\"\ncors = \"localhost\"\n[log]\nformat = \"json\"\n")
            .unwrap();
        let none = StartArgs::default();
        let config = none.serve(home.path(), listen(3)).unwrap();
        assert_eq!(config.listen.port(), 9_001);
        assert_eq!(config.cors, Cors::Localhost);
        assert_eq!(none.log(home.path()).unwrap().format, LogFormat::Json);
        let flag = StartArgs { listen: Some("127.0.0.1:9002".parse().unwrap()), ..StartArgs::default() };
        assert_eq!(flag.serve(home.path(), listen(3)).unwrap().listen.port(), 9_002);
    }

    #[test]
    fn the_defaults_listen_on_this_machine_alone() {
        let home = tempfile::tempdir().unwrap();
        let config = StartArgs::default().serve(home.path(), listen(2)).unwrap();
        assert_eq!(config.listen, "127.0.0.1:7303".parse().unwrap());
        assert_eq!((config.cors, config.metrics), (Cors::None, None));
    }

    #[test]
    fn what_init_writes_are_the_defaults_of_every_bound() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        let text = explained(listen(2), None).unwrap();
        let settings = text
            .lines()
            .filter(|line| line.contains(" = ") && !line.contains("metrics") && !line.contains("network_file"));
        let text: String = settings.map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
        let serve = text.split("enabled = ").next().unwrap();
        std::fs::write(home.path().join("config/node.toml"), format!("[serve]\n{serve}")).unwrap();
        let written = StartArgs::default().serve(home.path(), listen(0)).unwrap();
        assert_eq!(written.limits, ServeLimits::default());
        assert_eq!(written.listen, listen(2));
    }

    #[test]
    fn a_bound_out_of_its_range_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        for line in ["calls_max = 0", "heartbeat_secs = 16", "message_bytes_max = 1000", "call_secs_max = 0"] {
            std::fs::write(home.path().join("config/node.toml"), format!("[serve]\n{line}\n")).unwrap();
            let error = StartArgs::default().serve(home.path(), listen(0)).unwrap_err().to_string();
            assert!(error.contains(line.split(' ').next().unwrap()) && error.contains("expected"), "{error}");
        }
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("config")).unwrap();
        std::fs::write(home.path().join("config/node.toml"), "[serve]\nlissen = 1\n").unwrap();
        let error = StartArgs::default().serve(home.path(), listen(0)).unwrap_err();
        assert!(format!("{error:#}").contains("lissen"), "{error:#}");
    }
}
