//! `/metrics` in Prometheus' text format, over plain HTTP on a port of its own.
//!
//! It is off unless a port is configured. It must never share the port that users reach.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The content type of the `OpenMetrics` text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `text()` at `/metrics` until `stop` says so. Returns the bound address.
///
/// # Errors
/// The operating system's, when the address cannot be bound.
pub async fn serve_metrics(
    listen: SocketAddr,
    text: impl Fn() -> String + Send + Sync + 'static,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let bound = listener.local_addr()?;
    let text = Arc::new(text);
    let routes = Router::new().route(
        "/metrics",
        get(move || {
            let text = Arc::clone(&text);
            async move { ([(CONTENT_TYPE, OPEN_METRICS)], text()) }
        }),
    );
    tokio::spawn(async move {
        let stopped = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stopped).await {
            tracing::warn!(%error, "the metrics server ended");
        }
    });
    Ok(bound)
}
