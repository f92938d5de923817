//! Where a network begins: the genesis document of a chain and the file that tells a client where
//! the network is and what to trust.
//!
//! - [`GenesisDocument`]: a standard Tendermint genesis file whose `app_state` is a
//!   [`ShardGenesis`]. Every node of a chain holds the same bytes.
//! - [`NetworkFile`]: `network.toml`, one per network: its chains, their endpoints and their trust
//!   roots.
//!
//! Nothing here talks to a network, and nothing reads a clock: the genesis time is an argument.

mod document;
mod error;
mod file;
mod network;
mod shard;

pub use document::{GenesisDocument, GenesisInput, Validator};
pub use error::{GenesisError, NetworkFileError};
pub use file::{write_atomic, write_secret};
pub use network::{ChainEntry, ChainKind, NetworkFile, NetworkKind, TrustEntry};
pub use shard::{Prices, ShardGenesis};
