//! Values of the state tree. Headers have a fixed width, integers are big endian, the first byte is the format, 1.
//!
//! The two exceptions hold nothing to version: `epoch/<n>` is the bare 32-byte hash of its close, and `outbox/<chain>`
//! is the frontier of its log (size ‖ hashes).

mod account;
mod acknowledged;
mod chain;
mod epoch;
mod namespace;
mod record;
pub mod settlement;

pub use account::{AccountLeaf, EpochSums};
pub use acknowledged::AcknowledgedLeaf;
pub use chain::ChainLeaf;
pub use epoch::{EmissionLeaf, OpenEpochLeaf, epoch_leaf};
pub use namespace::{NamespaceLeaf, TableKind, TableLeaf};
pub use record::{RecordHeader, split_record};
pub use settlement::{
    BalanceLeaf, Cut, CutLeaf, DuesLeaf, Fault, LineLeaf, PassedLeaf, PayoutLeaf, RoundLeaf, RoundPhase, Running,
    SettlementLeaf, ShardFault, ShardLeaf, Stage, SupplyLeaf,
};

/// The first byte of every leaf.
const FORMAT: u8 = 1;
