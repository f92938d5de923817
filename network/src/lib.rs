//! Networks of validators: how they begin, and how a machine takes part.
//!
//! - [`Plan`] (`plan.toml`): what is decided once for a network: name, shards, epochs, time, money, rules.
//! - [`Candidate`] (`<name>.toml`): the public part of one validator: keys, addresses, operator, payout account. The
//!   secrets that belong to it never leave its machine.
//! - [`Roster`]: the validators together, with their power.
//! - [`build`]: a pure function from plan and roster to the files of a genesis folder and their hash, the same bytes
//!   wherever it runs.
//! - [`folder`]: that folder on a disk, and what is wrong with one.
//! - [`join`]: the homes, ports, peers and units of one machine.
//! - [`moved`]: homes that came from another machine.
//!
//! Nothing here reads a clock or makes a random choice, except that keys are made by `db3-comet` and that the program's
//! `init` writes the time into the plan.

mod address;
mod build;
mod candidate;
mod difference;
mod error;
pub mod folder;
mod home;
pub mod join;
mod keys;
pub mod moved;
mod output;
mod plan;
mod raw;
mod roster;
mod unit;
mod warning;

pub use address::{HostPort, PORT_GRPC, PORT_P2P};
pub use build::{Built, build};
pub use candidate::{Candidate, CandidateChain};
pub use db3_comet::keys::parse_public;
pub use error::NetworkError;
pub use keys::{KeysInput, PreparedKeys, db3_home, public_file};
pub use output::Output;
pub use plan::{Funded, Plan, TRUSTING_PERIOD_SECS, parse_fund};
pub use roster::{Roster, Validator};
pub use warning::warnings;
