//! The client of DB3: a library that writes and reads with proof, and the `db3` command.
//!
//! Nothing that a node says is taken on trust. Values, absence, ranges, credit and bills are checked against headers
//! that a light client verified from the network's trust root; a node can refuse to answer, but it cannot lie.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use db3_client::{Client, Options, load_network, primitives::SecretKey};
//!
//! let client = Client::connect(load_network("network.toml".as_ref())?, Options::default()).await?;
//! let key = SecretKey::from_bytes([7; 32])?;
//! let own = key.address().lower_hex();
//! client.mutation(&own).put("notes", "hello", "world").sign(&key).send().await?.applied()?;
//! let note = client.get(&own, "notes", "hello").await?;
//! assert!(note.at.verified && note.value.is_some_and(|record| record.value == b"world"));
//! # Ok(())
//! # }
//! ```
//!
//! Features: `cli` (default) is the command; without it the library knows nothing of command lines.

mod account;
#[cfg(feature = "cli")]
mod batch;
mod bill_pages;
mod bill_run;
mod bills;
mod chain;
#[cfg(feature = "cli")]
pub mod cli;
mod client;
mod closes;
#[cfg(feature = "cli")]
pub mod console;
#[cfg(feature = "cli")]
pub mod devnet_args;
mod elsewhere;
mod epochs;
mod error;
mod governance;
mod header_store;
mod history;
mod inboxes;
mod keep;
mod kept_proof;
pub mod keystore;
mod log_proof;
mod money;
mod movement;
mod mutation;
mod node;
mod nonces;
mod on_the_way;
mod options;
mod order;
mod partial;
mod prove;
mod read;
mod receipt;
mod record;
mod settled;
mod settlement_pages;
mod settlements;
mod signer;
mod standing;
mod statements;
mod submit;
mod transaction;
mod watch;
mod window;
mod wire;

pub use account::{AccountView, CreditLine, NamespaceInfo, TableInfo};
pub use bill_pages::{BillFilter, BillPages};
pub use bills::{BillProof, BillRef, BillView};
pub use chain::StatePoint;
pub use client::Client;
pub use closes::ArrivedClose;
pub use epochs::{EpochList, EpochView};
pub use error::{ClientError, Refusal};
pub use governance::GovernanceView;
pub use history::History;
pub use inboxes::InboxView;
pub use kept_proof::{KeptProof, KeptProofError, Proven, Shown};
pub use log_proof::LogPlace;
pub use money::{Books, Money};
pub use movement::{Moved, Movement, MovementKind, MovementSource};
pub use mutation::{MutationBuilder, PreparedMutation};
pub use options::Options;
pub use order::{Estimate, Lane, Order, Prepared};
pub use partial::{Partial, Unanswered};
pub use read::{Range, Scan};
pub use receipt::{Receipt, ReceiptState, WaitMode};
pub use record::{Answer, Record};
pub use settled::Settled;
pub use settlement_pages::{SettlementFilter, SettlementPages};
pub use settlements::{SettlementRef, SettlementView, Sum};
pub use signer::{Signer, WalletStyle};
pub use standing::Standing;
pub use statements::{StatementFilter, StatementSettlement, StatementView};
pub use transaction::{PreparedTransaction, TransactionBuilder};
pub use watch::{Change, Watch};

pub use db3_genesis::NetworkFile;
pub use db3_primitives as primitives;
pub use db3_proto::v1::{BillStatus, Charge};

/// Reads a network file: the network's chains, their endpoints and trust roots.
pub fn load_network(path: &std::path::Path) -> Result<NetworkFile, ClientError> {
    Ok(NetworkFile::load(path)?)
}
