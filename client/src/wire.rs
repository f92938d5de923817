//! One attempt of one call, and what its end means: answered, refused, busy, lost on the way, or not understood.

use std::error::Error as _;
use std::time::Duration;

use db3_primitives::limits::GRPC_MESSAGE_BYTES_MAX;
use db3_proto::status::CallError;
use db3_proto::v1::chain_service_client::ChainServiceClient;
use db3_proto::v1::settlement_service_client::SettlementServiceClient;
use db3_proto::v1::shard_service_client::ShardServiceClient;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, ConnectError, Request, Status};

use crate::error::{ClientError, Refusal};

/// An answer may be a full message with a light block beside it.
const ANSWER_BYTES_MAX: usize = GRPC_MESSAGE_BYTES_MAX + 512 * 1024;
/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often to ask a silent connection whether it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How one attempt ended.
pub(crate) enum Attempt<T> {
    /// With an answer.
    Answered(T),
    /// With a numbered rejection that the same call would meet again.
    Refused(Box<Refusal>),
    /// The node cannot answer now.
    Busy {
        /// When it wants to be asked again, if it said so.
        retry_after: Option<Duration>,
        /// What it said.
        detail: String,
    },
    /// Nobody answered.
    Lost {
        /// Why.
        detail: String,
        /// Whether the request may have reached somebody.
        sent: bool,
    },
    /// With an answer that this client does not understand.
    Unclear(String),
}

impl<T> Attempt<T> {
    /// The end of a call that gave this result; None is one that took too long.
    pub(crate) fn of(result: Option<Result<tonic::Response<T>, Status>>) -> Self {
        match result {
            Some(Ok(response)) => Self::Answered(response.into_inner()),
            Some(Err(status)) => Self::failed(&status),
            None => Self::Lost { detail: "no answer in time (--timeout gives it longer)".to_owned(), sent: true },
        }
    }

    fn failed(status: &Status) -> Self {
        let error = CallError::from(status);
        let retry = error.retry_after;
        match (error.rejection, error.code) {
            (Some(rejection), _) => Self::rejected(*rejection, retry),
            (None, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Aborted) => {
                Self::Lost { detail: innermost(status), sent: !never_connected(status) }
            }
            (None, Code::ResourceExhausted) => Self::Busy { retry_after: retry, detail: error.message },
            (None, Code::Unimplemented) => Self::Unclear("the node has no such method".to_owned()),
            (None, code) => Self::Unclear(format!("{code:?}: {}", error.message)),
        }
    }

    /// The end of one mutation of a batch.
    #[cfg(feature = "cli")]
    pub(crate) fn of_error(error: CallError) -> Self {
        let retry = error.retry_after;
        match error.rejection {
            Some(rejection) => Self::rejected(*rejection, retry),
            None => Self::Unclear(format!("{:?}: {}", error.code, error.message)),
        }
    }

    fn rejected(rejection: db3_proto::v1::Rejection, retry_after: Option<Duration>) -> Self {
        let refusal = Refusal::from(rejection);
        // What a node's history does not reach back to it will not have later.
        if refusal.class() == db3_primitives::Class::Unavailable && refusal.history_from.is_none() {
            return Self::Busy { retry_after, detail: refusal.message };
        }
        Self::Refused(Box::new(refusal))
    }
}

/// A channel to a URL; it connects when it is first used. Behind `https://` the node's certificate must lead to an
/// authority that this machine trusts (its own store, or the files that `SSL_CERT_FILE` and `SSL_CERT_DIR` name).
pub(crate) fn channel(url: &str) -> Result<Channel, ClientError> {
    let wrong = |detail: String| {
        ClientError::input(
            format!("the endpoint {url} cannot be used: {detail}"),
            "write it as http://HOST:PORT, or https://HOST:PORT for a node that serves TLS",
        )
    };
    let tls = url.starts_with("https://");
    if !tls && !url.starts_with("http://") {
        return Err(wrong("it is no http:// or https:// address".to_owned()));
    }
    let mut endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| wrong(error.to_string()))?;
    if tls {
        let trusted = ClientTlsConfig::new().with_native_roots();
        endpoint = endpoint.tls_config(trusted).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(1 << 22)
        .connect_lazy())
}

/// The shard service on a channel.
pub(crate) fn shard(channel: Channel) -> ShardServiceClient<Channel> {
    ShardServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

/// The settlement service on a channel.
pub(crate) fn settlement(channel: Channel) -> SettlementServiceClient<Channel> {
    SettlementServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

/// The chain service on a channel.
pub(crate) fn chain(channel: Channel) -> ChainServiceClient<Channel> {
    ChainServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

/// A request that tells the node how long its caller waits.
pub(crate) fn timed<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

fn never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.downcast_ref::<ConnectError>().is_some() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The cause at the bottom says most: "connection refused" rather than "transport error".
fn innermost(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    // The gRPC library's own words for a call that took longer than it may.
    if text == "Timeout expired" { "no answer in time (--timeout gives it longer)".to_owned() } else { text }
}
