//! The server: JSON-RPC 2.0 in the body of a POST, or a method in the path and its parameters in the query of a GET.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::json;
use super::source::{LightBlockSource, SourceError};
use crate::limits::{SYNC_REQUEST_BYTES_MAX, VALIDATORS_PER_PAGE};

/// A server that listens until it is dropped.
#[derive(Debug)]
pub struct SyncServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl SyncServer {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SyncServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers `CometBFT`'s light client at an address of this machine (port 0: any free one).
///
/// # Errors
/// The address cannot be listened at.
pub async fn serve<S: LightBlockSource>(listen: SocketAddr, source: S) -> io::Result<SyncServer> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let routes = Router::new()
        .route("/", post(posted::<S>))
        .route("/{method}", get(got::<S>))
        .layer(DefaultBodyLimit::max(SYNC_REQUEST_BYTES_MAX))
        .with_state(Arc::new(source));
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "state_sync.ended");
        }
    });
    Ok(SyncServer { address, task })
}

async fn posted<S: LightBlockSource>(State(source): State<Arc<S>>, body: Bytes) -> impl IntoResponse {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return Json(refusal(&Value::Null, -32700, "the body is no JSON"));
    };
    let id = request.get("id").cloned().unwrap_or(Value::Null);
    let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
    let params = request.get("params").cloned().unwrap_or(Value::Null);
    let text = |name: &str| match params.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    Json(answer(source.as_ref(), &id, method, text).await)
}

async fn got<S: LightBlockSource>(
    State(source): State<Arc<S>>,
    Path(method): Path<String>,
    Query(params): Query<BTreeMap<String, String>>,
) -> impl IntoResponse {
    let text = |name: &str| params.get(name).map(|text| text.trim_matches('"').to_owned());
    Json(answer(source.as_ref(), &json!(-1), &method, text).await)
}

async fn answer<S: LightBlockSource>(
    source: &S,
    id: &Value,
    method: &str,
    param: impl Fn(&str) -> Option<String>,
) -> Value {
    let number = |name: &str, default: usize| match param(name) {
        Some(text) => text.parse().map_err(|_| format!("{name} is {text}, which is no number")),
        None => Ok(default),
    };
    let asked = number("height", 0)
        .and_then(|height| Ok((height, number("page", 1)?, number("per_page", VALIDATORS_PER_PAGE)?)));
    let (height, page, per_page) = match asked {
        Ok((height, page, per_page)) => (height as u64, page, per_page),
        Err(detail) => return refusal(id, -32602, &detail),
    };
    let result = match method {
        "commit" => block(source, height).await.and_then(|block| json::commit(&block)),
        "validators" => ranked(source, height).await.and_then(|block| json::validators(&block, page, per_page)),
        "consensus_params" => params(source, height).await,
        _ => return refusal(id, -32601, &format!("{method} is not answered here")),
    };
    match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(detail) => {
            tracing::debug!(method, height, detail, "state_sync.refused");
            refusal(id, -32603, &detail)
        }
    }
}

async fn block<S: LightBlockSource>(
    source: &S,
    height: u64,
) -> Result<tendermint_proto::v0_38::types::LightBlock, String> {
    let found = source.light_block(height).await.map_err(|error: SourceError| error.to_string())?;
    json::decode(&found)
}

/// A block whose validators have priorities as proposers. Of several all are 0 at some heights, never at two in a row,
/// because whoever proposes pays for it: a source that says so knows none.
async fn ranked<S: LightBlockSource>(
    source: &S,
    height: u64,
) -> Result<tendermint_proto::v0_38::types::LightBlock, String> {
    let found = block(source, height).await?;
    let next =
        json::height_of(&found).and_then(|height| u64::try_from(height).ok()).map_or(0, |at| at.saturating_add(1));
    if !json::has_priorities(&found) && block(source, next).await.is_ok_and(|next| !json::has_priorities(&next)) {
        let detail = "the peer tells no priorities of proposers: this node would take others than the validators do";
        tracing::warn!(height, detail, "state_sync.peer");
        return Err(detail.to_owned());
    }
    Ok(found)
}

async fn params<S: LightBlockSource>(source: &S, height: u64) -> Result<Value, String> {
    let found = source.consensus_params(height).await.map_err(|error| error.to_string())?;
    Ok(json::consensus_params(height, &found))
}

/// An error of JSON-RPC. `CometBFT`'s light client reads its words.
fn refusal(id: &Value, code: i64, detail: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": "Internal error", "data": detail}})
}
