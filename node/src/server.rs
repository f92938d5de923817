//! Serving a chain over gRPC and gRPC-Web on one port, with reflection and health, until told to stop.
//!
//! Order of the layers, outermost first: CORS, gRPC-Web, load shedding, numbers for requests that cannot be
//! read, the services. Stopping is graceful: no new
//! call is taken, open ones may end, streams are told to end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use db3_chain::{Chain, Consensus};
use db3_proto::FILE_DESCRIPTOR_SET;
use db3_proto::v1::chain_service_server::ChainServiceServer;
use db3_relay::Monitor;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;

use crate::accept::accept;
use crate::grpc::Node;
use crate::kind::Kind;
use crate::metrics_http::serve_metrics;
use crate::relay;
use crate::settings::{ServeConfig, ServeLimits};
use crate::shed::ShedLayer;
use crate::tls::{TlsError, TlsFiles};
use crate::unreadable::UnreadableLayer;

/// How often an idle connection is asked whether it lives, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// HTTP/2 windows: one largest message of a stream, and a few of them on one connection.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// The services that every node has beside those of its chain.
const HEALTH_SERVICE: &str = "grpc.health.v1.Health";
const REFLECTION_SERVICE: &str = "grpc.reflection.v1.ServerReflection";
/// Longest message to reflection and to health, which are asked for names.
const SIDE_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Longest list of headers of a call.
const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {listen} for {what}: {source}; choose another address or port, or end the program that holds it"
    )]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// What was to be served.
        what: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The descriptions of our own protobuf do not serve for reflection.
    #[error("gRPC reflection cannot be set up: {0}")]
    Reflection(String),
}

/// A server at work.
#[derive(Debug)]
pub struct Served {
    addr: SocketAddr,
    metrics: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    stop_time_max: Duration,
}

impl Served {
    /// Where gRPC is served.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where metrics are served, if they are.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Takes no new call, lets the open ones end for a while, and returns when the port is free.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(self.stop_time_max, self.task).await.is_err() {
            tracing::warn!("calls that did not end in time are cut off");
            abort.abort();
        }
    }
}

/// Binds what these settings ask for, so that a taken port is known before anything else is started.
pub async fn bind(config: &ServeConfig) -> Result<TcpListener, ServeError> {
    let listen = config.listen;
    TcpListener::bind(listen).await.map_err(|source| ServeError::Bind { listen, what: "gRPC", source })
}

/// Binds the address and serves.
pub async fn serve<K: Kind>(chain: Chain<K::Machine>, config: ServeConfig) -> Result<Served, ServeError> {
    let listener = bind(&config).await?;
    serve_on::<K>(listener, chain, config).await
}

/// Serves on a bound listener.
pub async fn serve_on<K: Kind>(
    listener: TcpListener,
    chain: Chain<K::Machine>,
    config: ServeConfig,
) -> Result<Served, ServeError> {
    let bind_error = |source| ServeError::Bind { listen: config.listen, what: "gRPC", source };
    let addr = listener.local_addr().map_err(bind_error)?;
    let tls = config.tls.as_ref().map(TlsFiles::acceptor).transpose()?;
    let (stop, stopped) = watch::channel(false);
    let metrics = match config.metrics {
        Some(listen) => {
            let (metered, relay) = (chain.clone(), config.relay.clone());
            let text = move || metrics_text(&metered.metrics_text(), relay.as_ref());
            let bound = serve_metrics(listen, text, stopped.clone()).await;
            Some(bound.map_err(|source| ServeError::Bind { listen, what: "metrics", source })?)
        }
        None => None,
    };
    let services = [K::SERVICE, <ChainServiceServer<Node<K>> as NamedService>::NAME];
    // Only what is served here is listed: the descriptions hold the services of every kind of chain.
    let reflection = [HEALTH_SERVICE, REFLECTION_SERVICE]
        .into_iter()
        .chain(services)
        .fold(tonic_reflection::server::Builder::configure(), tonic_reflection::server::Builder::with_service_name)
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| ServeError::Reflection(error.to_string()))?
        .max_decoding_message_size(SIDE_MESSAGE_BYTES_MAX);
    let (reporter, health) = tonic_health::server::health_reporter();
    let health = health.max_decoding_message_size(SIDE_MESSAGE_BYTES_MAX);
    let limits = config.limits.clone();
    let consensus = chain.consensus();
    // Whoever names no service asks of the node as a whole.
    let told = ["", services[0], services[1]];
    tell_health(&reporter, told, consensus.borrow().is_good()).await;
    let node = Node::<K>::new(chain, &config, stopped.clone());
    let own = K::routes(node.clone());
    let chain = ChainServiceServer::new(node)
        .max_decoding_message_size(limits.message_bytes_max)
        .max_encoding_message_size(limits.message_bytes_max);
    let router = builder(&limits)
        .layer(config.cors.layer())
        .layer(GrpcWebLayer::new())
        .layer(ShedLayer::new(limits.calls_max, limits.side_streams_max))
        .layer(UnreadableLayer)
        .add_routes(own)
        .add_service(chain)
        .add_service(reflection)
        .add_service(health);
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let incoming = accept(listener, tls, places, limits.opening_time_max);
    let until = report_health(reporter, told, consensus, stopped);
    let task = tokio::spawn(async move {
        if let Err(error) = router.serve_with_incoming_shutdown(incoming, until).await {
            tracing::error!(%error, "the gRPC server ended");
        }
    });
    Ok(Served { addr, metrics, stop, task, stop_time_max: limits.stop_time_max })
}

/// Says that the services serve while consensus advances, until the server is told to stop.
async fn report_health(
    reporter: HealthReporter,
    services: [&'static str; 3],
    mut consensus: watch::Receiver<Consensus>,
    mut told: watch::Receiver<bool>,
) {
    loop {
        let good = consensus.borrow_and_update().is_good();
        tell_health(&reporter, services, good).await;
        tokio::select! {
            // A sender that is gone has stopped as well.
            _ = told.wait_for(|stop| *stop) => break,
            changed = consensus.changed() => if changed.is_err() { break },
        }
    }
    tell_health(&reporter, services, false).await;
}

async fn tell_health(reporter: &HealthReporter, services: [&'static str; 3], good: bool) {
    let status = if good { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in services {
        reporter.set_service_status(service, status).await;
    }
}

/// The chain's measurements and the relay's as one text.
fn metrics_text(chain: &str, relay: Option<&Monitor>) -> String {
    const END: &str = "# EOF\n";
    match relay {
        Some(monitor) => {
            let chain = chain.strip_suffix(END).unwrap_or(chain);
            format!("{chain}{}{END}", relay::metrics_text(monitor))
        }
        None => chain.to_owned(),
    }
}

fn builder(limits: &ServeLimits) -> Server {
    Server::builder()
        .accept_http1(true)
        .timeout(limits.call_time_max)
        .max_concurrent_streams(limits.streams_per_connection_max)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
}
