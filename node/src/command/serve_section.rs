//! Section `[serve]` of a node's settings: where to serve, whom to let in, and every bound of the server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use db3_chain::config::ConfigError;
use db3_genesis::NetworkFile;
use db3_primitives::limits;
use serde::{Deserialize, Serialize};

use crate::cors::Cors;
use crate::settings::{ChainEndpoints, ServeConfig, ServeLimits};
use crate::tls::TlsFiles;

/// How long a message may be allowed to be: a mutation fits, and a few hundred of them do not fill the memory.
const MESSAGE_BYTES: std::ops::RangeInclusive<u64> = limits::MUTATION_BYTES_MAX as u64..=64 << 20;

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
    /// The server's certificate chain, PEM: with it gRPC is served over TLS alone, but to this machine itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
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
            tls_cert: None,
            tls_key: None,
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

impl ServeSection {
    /// The settings of a server that listens at `default` where nothing else is said. Files are looked for from `home` on.
    pub fn config(self, home: &Path, default: SocketAddr) -> Result<ServeConfig> {
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
            tls: tls(self.tls_cert.map(|path| home.join(path)), self.tls_key.map(|path| home.join(path)))?,
            cors: cors(self.cors),
            metrics: self.metrics,
            endpoints: self.network_file.map(|file| endpoints(&home.join(file))).transpose()?.unwrap_or_default(),
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

fn tls(cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<TlsFiles>> {
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (None, None) => Ok(None),
        (Some(cert), None) => bail!("tls_cert is {}, and tls_key is missing: TLS needs both", cert.display()),
        (None, Some(_)) => bail!("tls_key is set, and tls_cert is missing: TLS needs both"),
    }
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
