//! Carries the logs of a network's chains to one another: the settlement chain's to every shard, and every shard's to the
//! settlement chain. Anyone may run it, nobody needs to trust it, and any number may run at once.
//!
//! It needs three public calls: `GetInbox` where a log is read (how far it was applied, which header is trusted), `ListOutbox`
//! where it is written (the next entries and their proof), `SubmitDelivery` where it is read; and `GetLightBlock` where it is
//! written, when validators changed or a light client would fall asleep. It keeps nothing: whoever stops it, doubles it or starts
//! it again changes nothing but the moment. What its sources answer it checks as far as hashes go, so that it never troubles a
//! chain with a delivery that cannot be true.
//!
//! - [`Relay::new`] with a [`Config`] of [`Direction`]s, then [`Relay::run`].
//! - [`Monitor`]: per direction a [`Report`]: lag in entries and seconds, age of the trusted header, what was delivered and
//!   refused, the last error.
//! - [`Waker`]: looks at once, for a program that sees a chain's blocks.
//!
//! It must never hold a key, sign, or decide what an entry means.

mod code;
mod collect;
mod config;
mod direction;
mod error;
mod headers;
mod jitter;
mod limits;
mod look;
mod monitor;
mod pass;
mod peer;
mod remote;
mod run;

pub use config::{ChainEndpoints, Config, Direction};
pub use error::RelayError;
pub use monitor::{Condition, Monitor, Report};
pub use pass::PASS_KEY;
pub use peer::{PeerBlock, Peers};
pub use run::{Relay, Waker};
