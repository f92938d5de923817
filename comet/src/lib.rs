//! What DB3 knows about the `CometBFT` process: how it is served, configured, started, watched and asked.
//!
//! - [`abci`] serves an application to it over a socket, one thread pair per connection.
//! - [`CometSettings`] is the operator's part of its configuration, [`Layout`] where its files are, [`write_config`] what
//!   it is started with, [`keys`] the keys of a validator, [`Binary`] the one version that is spoken to.
//! - [`Supervisor`] starts it, judges it by height, redials its peers, restarts it and stops it.
//! - [`rpc`] asks it and hands it bundles, over Unix sockets that nobody else sees.
//! - [`state_sync`] answers what its light client asks of other nodes' RPC servers, from a source of light blocks.
//!
//! It knows no chain: applications come as [`tendermint_abci::Application`], light blocks through a trait. It never
//! makes up an answer: what cannot be answered closes the connection and is reported.

pub mod abci;
mod binary;
mod config_file;
mod error;
pub mod keys;
mod layout;
pub mod limits;
mod rollback;
pub mod rpc;
mod settings;
pub mod state_sync;
pub mod supervisor;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use abci::{AbciAddress, AbciFault, AbciServer, FaultKind, FrameLimits};
pub use binary::{Binary, COMETBFT_VERSION};
pub use config_file::write_config;
pub use error::CometError;
pub use keys::PublicKeys;
pub use layout::Layout;
pub use rollback::rollback;
pub use rpc::{Broadcast, HeightValidator, Rpc, RpcError};
pub use settings::{CometSettings, StateSyncSettings};
pub use supervisor::{Health, HealthState, Stored, Supervisor, inspect};

/// The remedy where `CometBFT`'s blocks and this node's state do not belong together.
pub const SYNC_ANEW: &str = "stop the node, remove the folders data and cometbft/data, but keep \
                             cometbft/data/priv_validator_state.json (without it a validator signs heights a second time, and \
                             loses its power), and let the node sync with [cometbft.state_sync] (trust_height, trust_hash, \
                             peers) in config/node.toml";

/// The remedy where no signer is connected.
pub const SIGNER_WANTED: &str = "nothing is signed until the signer connects to this address: start the signer, and see \
                                 that it has the key for this chain; the node goes on by itself when it is there";

/// The remedy where a node without blocks finds nobody who keeps the first ones.
pub const SYNC_FIRST: &str = "stop the node, put [cometbft.state_sync] (trust_height, trust_hash, peers) into \
                              config/node.toml, and start it; or name a peer that keeps all blocks in persistent_peers";

/// A mutex's content. Whoever panicked with it left it whole: no lock is held across a step that can fail in between.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
