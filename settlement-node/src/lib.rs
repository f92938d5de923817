//! The gRPC of the settlement chain, `SettlementService`, over one chain; what every node has comes from [`db3_node`].

mod grpc;
mod kind;

use db3_chain::{Chain, SettlementMachine};
pub use db3_node::{ChainEndpoints, Cors, ServeConfig, ServeError, ServeLimits, Served};
pub use kind::SettlementKind;
use tokio::net::TcpListener;

/// Binds the address and serves.
pub async fn serve(chain: Chain<SettlementMachine>, config: ServeConfig) -> Result<Served, ServeError> {
    db3_node::serve::<SettlementKind>(chain, config).await
}

/// Serves on a bound listener.
pub async fn serve_on(
    listener: TcpListener,
    chain: Chain<SettlementMachine>,
    config: ServeConfig,
) -> Result<Served, ServeError> {
    db3_node::serve_on::<SettlementKind>(listener, chain, config).await
}
