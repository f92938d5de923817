//! A chain as a process runs it: the ABCI application around a state machine ([`Machine`]: a shard's or the settlement
//! chain's), the solo engine that drives it in process and the `CometBFT` process beside it that does so among many, blocks, snapshots and history in `RocksDB`, admission,
//! configuration, log and metrics.
//!
//! What decides stands below this crate. Here is what talks to disks, clocks and threads:
//!
//! - [`Chain`] starts a chain and is how everybody else reaches it: submit, read versions, follow events.
//! - [`App`] is the application; consensus calls come from one engine, one after the other.
//! - [`store::Store`] is what is on the disk. Nothing of a block leaves the process before it is there.
//! - [`VersionOf`] is a state that can be read; readers never wait for execution and never see a working version.
//! - [`init`], [`transfer`] and [`audit`] make folders, move states between them, and look whether they are whole.
//!
//! History: bills, receipts and a row about each block stay for ever. Blocks themselves and their headers are kept for
//! the newest `blocks_kept` heights (100 000 by default, 0: all), and never removed above the durable snapshot. Under
//! `CometBFT` the blocks are in its files, by the same rule, and the node has their headers.

mod app;
pub mod audit;
mod blocks;
mod comet;
pub mod config;
mod error;
mod handle;
mod history;
mod init;
mod machine;
mod metrics;
mod open;
mod pool;
mod signal;
mod snapshots;
mod solo;
mod status;
pub mod store;
mod submit;
mod sync_files;
pub mod telemetry;
#[cfg(test)]
mod tests;
pub mod transfer;
mod tree_bytes;
mod version;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use app::{
    App, Bearer, BlockEvent, BlockEventOf, Change, EventCursor, EventCursorOf, EventError, EventMutation,
    EventMutationOf, IN_MEMORY, MutationBody, MutationBodyOf, ShardApp, Submitted, cost_signatures,
};
pub use comet::{Consensus, ConsensusState, RollbackError, RolledBack, rollback};
pub use config::{ChainConfig, ConfigError, EngineKind};
pub use error::{AdvanceError, FatalError, StartError, SubmitError};
pub use handle::{Chain, ChainHandle};
pub use history::{BillProof, OutboxPage, QueryError};
pub use init::{InitInput, genesis_file, init, make_key};
pub use machine::{Appended, At, LogRow, Machine, SettlementMachine, ShardMachine};
pub use pool::{DeliveryState, ReceiptState, ReceiptWatch, SubmittedDelivery};
pub use status::{ChainStatus, Reopenings, StopReason};
pub use store::bills::{BillCursor, BillFilter, BillRow};
pub use store::blocks::BlockSummary;
pub use store::decisions::{DecisionEnd, DecisionRow};
pub use store::epochs::EpochRow;
pub use store::lock::announced;
pub use store::logs::{Log, NamedLog};
pub use store::postings::PostingFilter;
pub use store::receipts::StoredReceipt;
pub use store::statements::{CloseRow, StatementCursor, StatementFilter, StatementRow};
pub use store::transactions::{TransactionCursor, TransactionRow};
pub use store::{DATA_LAYOUT, StoreError};
pub use version::{Version, VersionOf};

/// A mutex's content. Whoever panicked with it left it whole: no lock is held across a step that can fail in between.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
