//! The broadcast service of `CometBFT`: hands it a transaction, and answers when that stands in a block.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tendermint_proto::v0_38::abci::ExecTxResult;
use tendermint_proto::v0_38::rpc::grpc::{RequestBroadcastTx, ResponseBroadcastTx};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::RpcError;
use crate::limits::BROADCASTS_MAX;

/// The service gives up after 10 s, whatever became of the transaction; so do we, somewhat later.
const TIMEOUT: Duration = Duration::from_secs(15);
const PATH: &str = "/tendermint.rpc.grpc.BroadcastAPI/BroadcastTx";
const METHOD: &str = "BroadcastTx";

/// Hands transactions to one `CometBFT`, at most [`BROADCASTS_MAX`] at once. A clone is the same one; it connects
/// again by itself when `CometBFT` was started again.
#[derive(Clone, Debug)]
pub struct Broadcast {
    channel: Channel,
    free: Arc<Semaphore>,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Broadcasted {
    /// It stands in a block, with this result.
    Committed(ExecTxResult),
    /// `CheckTx` refused it: code and text.
    Refused {
        /// The application's code.
        code: u32,
        /// The application's text.
        log: String,
    },
    /// Ten seconds passed since `CheckTx` took it. It waits in the mempool, or was dropped because that became full in the
    /// same moment: this call does not tell which.
    Waiting,
}

impl Broadcast {
    /// Over the socket that `CometBFT` is configured with ([`Layout::grpc_socket`](crate::Layout::grpc_socket)).
    /// To be called within a tokio runtime.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        let socket: PathBuf = socket.to_owned();
        let connect = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The address is never looked at: the connector knows where.
        let channel = Endpoint::from_static("http://cometbft").timeout(TIMEOUT).connect_with_connector_lazy(connect);
        Self { channel, free: Arc::new(Semaphore::new(BROADCASTS_MAX)) }
    }

    /// How many may be handed over at once just now.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// Hands over one transaction and waits until it stands in a block, is refused, or ten seconds passed; before that
    /// until fewer than [`BROADCASTS_MAX`] are on their way.
    ///
    /// # Errors
    /// It does not answer, or refuses to look (the mempool is full, or it knows the transaction already).
    pub async fn send(&self, tx: Vec<u8>) -> Result<Broadcasted, RpcError> {
        let _place = self.free.acquire().await.map_err(RpcError::unavailable)?;
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.map_err(RpcError::unavailable)?;
        let codec: ProstCodec<RequestBroadcastTx, ResponseBroadcastTx> = ProstCodec::default();
        let request = tonic::Request::new(RequestBroadcastTx { tx });
        let answer = client.unary(request, PathAndQuery::from_static(PATH), codec).await;
        match answer {
            Ok(response) => result_of(response.into_inner()),
            Err(status) if status.message().contains("timed out waiting for tx") => Ok(Broadcasted::Waiting),
            Err(status) if status.code() == tonic::Code::Unknown => Err(RpcError::Refused {
                method: METHOD.to_owned(),
                code: i32::from(status.code()).into(),
                detail: status.message().to_owned(),
            }),
            Err(status) => Err(RpcError::unavailable(status)),
        }
    }
}

fn result_of(response: ResponseBroadcastTx) -> Result<Broadcasted, RpcError> {
    match (response.check_tx, response.tx_result) {
        (Some(check), _) if check.code != 0 => Ok(Broadcasted::Refused { code: check.code, log: check.log }),
        (_, Some(result)) => Ok(Broadcasted::Committed(result)),
        (_, None) => Err(RpcError::malformed(METHOD, "it has no result")),
    }
}
