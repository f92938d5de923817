//! The settlement chain as a function: version + block → new version + effects.
//!
//! - [`SettlementState`] is one version: a tree and what is decoded of it. [`SettlementState::genesis`] makes the first.
//! - [`Executor`] runs one block on it: what governance decided, the part of a round, then deliveries from the shards, then transactions.
//!   [`execute`] runs a whole block at once.
//! - [`Effects`] is what the block did beside the new version: receipts, entries for the shards, what was read from them,
//!   postings.
//! - [`SettlementState::admit`], then [`SettlementState::foresee`], [`SettlementState::check_delivery`] and
//!   [`SettlementState::estimate`] answer before something is in a block.
//!
//! Rules that are asserted here (ARCHITECTURE.md): **I4** an epoch settles once, in order, and every entry is applied
//! once, in order; **I5** what one purse loses another gains, debits and payments are those of the postings, payouts follow
//! each other, the supply is constant; **I8** no voluntary step raises what an account holds above its limit; **I9** P + W ≤ D ≤ R ≤ H on every
//! line; **I7** no clock, randomness, float or unordered iteration. [`SettlementState::audit`] walks the whole state.
//!
//! This crate must never do I/O, read a clock, or panic on anything that a transaction, an entry or a delivery says.
//! docs/settlement-state.md gives the tree key and the leaf of every object.

mod account;
mod admission;
mod audit;
mod conservation;
mod credit;
mod delivery;
mod dues;
mod effects;
mod estimate;
mod excess;
mod executor;
mod genesis;
mod governance;
mod inbound;
mod journal;
mod ledger;
mod logs;
mod objects;
mod operations;
mod payout;
mod portion;
mod query;
mod reads;
mod round;
mod rows;
mod rules;
mod settle;
mod state;
mod sums;
mod sweep;
mod table;
mod terms;
#[cfg(test)]
mod trials;

pub use admission::Admission;
pub use db3_carry::{Delivered, OutboundEntry, RefusedEntry};
pub use db3_primitives::{ReceiptOutcome, RefusedItem};
pub use effects::{BlockItem, Effects, FaultReport, InboundEntry, Outcome, Receipt, RoundDone};
pub use estimate::Estimate;
pub use executor::{Executor, execute};
pub use genesis::{Genesis, GenesisAccount, GenesisError};
pub use query::{AccountView, ShardView};
pub use state::{SettlementState, StateError};
