//! What a gRPC server of a chain is told: where to listen, whom to let in, and every bound.
//!
//! Nothing here may be unlimited.

use std::net::SocketAddr;
use std::time::Duration;

use db3_primitives::{ChainId, limits};
use db3_relay::Monitor;

use crate::cors::Cors;
use crate::tls::TlsFiles;

/// Settings of one server.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Where gRPC and gRPC-Web are served.
    pub listen: SocketAddr,
    /// The certificate to serve with; none: without encryption.
    pub tls: Option<TlsFiles>,
    /// Which web pages may call.
    pub cors: Cors,
    /// Where metrics are served over HTTP; none: nowhere.
    pub metrics: Option<SocketAddr>,
    /// The endpoints that `GetShardMap` tells.
    pub endpoints: Vec<ChainEndpoints>,
    /// The relay whose measurements are told beside the chain's.
    pub relay: Option<Monitor>,
    /// The bounds.
    pub limits: ServeLimits,
}

/// Where a chain of the network is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEndpoints {
    /// The chain.
    pub chain_id: ChainId,
    /// Its gRPC endpoints, for example `http://127.0.0.1:7301`.
    pub endpoints: Vec<String>,
}

/// Every bound of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// Open connections.
    pub connections_max: usize,
    /// How long a new connection may take to say which protocol it speaks.
    pub opening_time_max: Duration,
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
    /// Mutations of one stream that have been taken and not yet answered.
    pub in_flight_per_stream_max: usize,
    /// How long a stream of mutations may send nothing while nothing of it is in flight.
    pub idle_stream_time_max: Duration,
    /// Bytes of one message, either way.
    pub message_bytes_max: usize,
    /// The longest that a call may take, also for callers that name no deadline.
    pub call_time_max: Duration,
    /// Something is sent on every stream at least this often.
    pub heartbeat: Duration,
    /// How long open calls may take to end when the server stops.
    pub stop_time_max: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            opening_time_max: Duration::from_secs(5),
            streams_per_connection_max: 256,
            calls_max: 4_096,
            streams_max: 512,
            side_streams_max: 32,
            reads_max: 128,
            history_reads_max: 2,
            in_flight_per_stream_max: 4_096,
            idle_stream_time_max: Duration::from_secs(60),
            message_bytes_max: limits::GRPC_MESSAGE_BYTES_MAX,
            call_time_max: Duration::from_secs(60),
            heartbeat: Duration::from_secs(10),
            stop_time_max: Duration::from_secs(5),
        }
    }
}

impl ServeConfig {
    /// The default settings on this address.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            cors: Cors::None,
            metrics: None,
            endpoints: Vec::new(),
            relay: None,
            limits: ServeLimits::default(),
        }
    }
}
