//! Governance of one chain: who validates it and for whom, and what those who operate more than two thirds of the power
//! may change together. Both kinds of chain keep it in the same leaves and judge it by the same rules.
//!
//! - [`GovernanceLeaf`]: the validators with their operators, and the number of the last accepted transaction.
//! - [`Proposal`]: what operators sign, with its one encoding, its digests and its readable text; [`SignedProposal`]: that
//!   and their signatures, which travels in a block.
//! - [`Session`]: governance during one block. [`Session::begin`] takes the validators away that misbehaved and makes
//!   the changes that are due, before anything else in the block; [`Session::accept`] takes a transaction of the block
//!   and schedules its change.
//! - [`Subject`]: what a chain lets governance change beside its validators, which the chain itself implements.
//!
//! A chain whose genesis names no operators has none of the leaves, and is governed by nobody. A change never takes
//! effect in the block that brings it: the earliest is the next one. So a block works under one set of rules throughout,
//! and restarts, replays and restored snapshots see the same.
//!
//! This crate must never do I/O, read a clock, or panic on anything that a transaction says.

mod action;
mod anew;
mod encoding;
mod evidence;
mod leaf;
mod proposal;
mod session;
mod signed;
mod subject;
mod text;

pub use action::{Action, CatchUp, Parameter, Replacement};
pub use anew::{AnewError, begin_anew};
pub use evidence::{Evidence, Known, Misbehaviour, MisbehaviourKind, validator_address};
pub use leaf::{GovernanceLeaf, Validator, ValidatorError, decodes};
pub use proposal::Proposal;
pub use session::{Accepted, Applied, Cancelled, Report, Session};
pub use signed::{Signature, SignedProposal};
pub use subject::{Subject, check_prices, replace_channel, set_chain_parameter, set_settlement_parameter};
