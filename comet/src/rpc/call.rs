//! One question: JSON-RPC 2.0 in a POST over a Unix socket.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Rpc, RpcError};
use crate::limits::RPC_BODY_BYTES_MAX;

/// No question takes longer.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Answer<T> {
    result: Option<T>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Value,
}

impl Rpc {
    /// Asks one question. Numbers of 64 bits are texts in both directions.
    pub(crate) async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, RpcError> {
        let asked = timeout(TIMEOUT, self.post(method, params)).await;
        let body = asked.map_err(|_| RpcError::unavailable(format!("no answer in {} s", TIMEOUT.as_secs())))??;
        let answer: Answer<T> = serde_json::from_slice(&body).map_err(|error| RpcError::malformed(method, error))?;
        match answer {
            Answer { error: Some(refusal), .. } => Err(refusal.of(method)),
            Answer { result: Some(result), .. } => Ok(result),
            Answer { .. } => Err(RpcError::malformed(method, "it has neither a result nor an error")),
        }
    }

    async fn post(&self, method: &str, params: Value) -> Result<Bytes, RpcError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(RpcError::unavailable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(RpcError::unavailable)?;
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let request = Request::builder()
            .method(Method::POST)
            .uri("/")
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| RpcError::malformed(method, error))?;
        let asking = async {
            let response = sender.send_request(request).await.map_err(RpcError::unavailable)?;
            let body = Limited::new(response.into_body(), RPC_BODY_BYTES_MAX).collect().await;
            body.map(http_body_util::Collected::to_bytes).map_err(RpcError::unavailable)
        };
        // The connection is driven beside the question, and ends with it.
        tokio::select! {
            biased;
            answer = asking => answer,
            ended = connection => Err(RpcError::unavailable(ended.err().map_or_else(|| "it hung up".to_owned(), |e| e.to_string()))),
        }
    }
}

impl Refusal {
    fn of(self, method: &str) -> RpcError {
        let detail = match self.data {
            Value::String(data) => format!("{}: {data}", self.message),
            _ => self.message,
        };
        RpcError::Refused { method: method.to_owned(), code: self.code, detail }
    }
}
