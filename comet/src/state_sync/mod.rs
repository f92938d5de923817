//! What `CometBFT`'s state sync asks of other nodes' RPC servers (commit, validators, consensus parameters), answered on
//! loopback from a source of light blocks: the RPC of a DB3 node is nobody else's. `CometBFT` wants two servers; each is
//! to have a source that asks another peer, so that its light client can compare them.
//!
//! Nothing here is verified: that is the light client's work, from the height and hash that the operator trusts.

mod json;
mod server;
mod source;

pub use json::params_of_genesis;
pub(crate) use json::params_of_json;
pub use server::{SyncServer, serve};
pub use source::{LightBlockSource, SourceError, SyncBlock};
