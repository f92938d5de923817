//! The gRPC of a shard, `ShardService`, over one chain; what every node has comes from [`db3_node`].

mod grpc;
mod kind;

use db3_chain::ChainHandle;
pub use db3_node::{ChainEndpoints, Cors, ServeConfig, ServeError, ServeLimits, Served};
pub use kind::ShardKind;
use tokio::net::TcpListener;

/// Binds the address and serves.
pub async fn serve(chain: ChainHandle, config: ServeConfig) -> Result<Served, ServeError> {
    db3_node::serve::<ShardKind>(chain, config).await
}

/// Serves on a bound listener.
pub async fn serve_on(listener: TcpListener, chain: ChainHandle, config: ServeConfig) -> Result<Served, ServeError> {
    db3_node::serve_on::<ShardKind>(listener, chain, config).await
}
