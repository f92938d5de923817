//! A shard as a function: version + block → new version + effects.
//!
//! - [`ShardState`] is one version: a tree and what is decoded of it. [`ShardState::genesis`] makes the first.
//! - [`Executor`] runs one block on it: what governance decided, the close of the epoch, then deliveries of the settlement chain's log, then
//!   mutations. [`execute`] runs a whole block at once.
//! - [`Effects`] is what the block did beside the new version: receipts, bills, log entries, changes for those who
//!   watch.
//! - [`ShardState::admit`] and [`ShardState::estimate`] answer before a mutation is in a block.
//!
//! Rules that are asserted here (ARCHITECTURE.md): **I1** every executed mutation writes exactly one bill, in the same
//! overlay as its effects; **I2** per block, new bills = change of the sums; **I3** epochs close once, contiguous, one
//! at a time; **I4** every entry of the settlement chain's log is applied exactly once, in order; **I7** no clock, randomness, float or unordered iteration.
//!
//! No operation, statement or close can raise a ceiling or lower a sum: a ceiling is what the newest line entry of the
//! settlement chain says, the lease what its heartbeats say, and sums only grow.
//!
//! This crate must never do I/O, read a clock, or panic on anything that a mutation says. docs/state.md gives the tree
//! key and the leaf of every object.

mod admission;
mod books;
mod close;
mod conservation;
mod effects;
mod estimate;
mod executor;
mod genesis;
mod governance;
mod inbound;
mod ledger;
mod operations;
mod overlay;
mod query;
mod rules;
mod state;
#[cfg(test)]
mod trials;

pub use admission::Admission;
pub use db3_carry::{Delivered, OutboundEntry, RefusedEntry};
pub use db3_primitives::{ReceiptOutcome, RefusedItem};
pub use effects::{BlockItem, ChangeKind, Effects, Outcome, Receipt, RecordChange};
pub use estimate::Estimate;
pub use executor::{Executor, execute};
pub use genesis::{Genesis, GenesisError};
pub use state::{ShardState, StateError};
