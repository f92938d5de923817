//! Where a network begins: the genesis document of a chain and the file that tells a client where
//! the network is and what to trust.
//!
//! - [`GenesisDocument`]: a standard Tendermint genesis file whose `app_state` is a
//!   [`ShardGenesis`] or a [`SettlementGenesis`]. Every node of a chain holds the same bytes.
//! - [`PeerEntry`]: what one chain's genesis says of another: its trust root.
//! - [`NetworkFile`]: `network.toml`, one per network: its chains, their endpoints and their trust
//!   roots.
//!
//! Nothing here talks to a network, and nothing reads a clock: the genesis time is an argument.

mod app_state;
mod decimal;
mod document;
mod error;
mod file;
mod network;
mod operators;
mod peer;
mod prices;
mod settlement;
mod shard;
mod test_accounts;

pub use app_state::{AppState, GenesisState};
pub use document::{GenesisDocument, GenesisInput, Validator};
pub use error::{GenesisError, NetworkFileError, json_fault};
pub use file::{write_atomic, write_secret};
pub use network::{ChainEntry, ChainKind, NetworkFile, NetworkKind, TrustEntry};
pub use operators::{GenesisOperator, Operator, payouts as operator_payouts};
pub use peer::{PeerEntry, PeerValidator};
pub use prices::Prices;
pub use settlement::{AccountEntry, CreditRules, PayoutEntry, SettlementGenesis, SettlementKind, WantEntry};
pub use shard::{ShardGenesis, ShardKind};
pub use test_accounts::{TEST_MNEMONIC, is_test_account};
