//! What the node asks its own `CometBFT`: JSON-RPC and the broadcast service, over Unix sockets that nobody else sees.

mod blocks;
mod broadcast;
mod call;
mod error;
mod rounds;
mod status;

use std::path::Path;
use std::sync::Arc;

pub use blocks::HeightValidator;
pub use broadcast::{Broadcast, Broadcasted};
pub use error::RpcError;
pub use status::Status;

/// Asks one `CometBFT`. A clone asks the same one; each question has a connection of its own.
#[derive(Clone, Debug)]
pub struct Rpc {
    socket: Arc<Path>,
}

impl Rpc {
    /// Over the socket that `CometBFT` is configured with ([`Layout::rpc_socket`](crate::Layout::rpc_socket)).
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: Arc::from(socket) }
    }
}
