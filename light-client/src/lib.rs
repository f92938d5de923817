//! A Tendermint light client for one chain, as a pure value: what is trusted, and how a new header comes to be trusted.
//!
//! It wraps `tendermint-light-client-verifier` (specification: `CometBFT`, `spec/light-client/verification`). It has no clock,
//! fetches nothing and keeps nothing on disk: `now` and all bytes are arguments, and it is saved and resumed as bytes. So the
//! same code serves a chain that keeps a light client of another chain in its state and a program on a user's machine.
//!
//! - [`TrustRoot`]: where trust begins: chain, height, time and validators, and never an app hash.
//! - [`LightClient::verify`]: takes a `tendermint.types.LightBlock`, returns a [`TrustedHeader`]. Adjacent headers are checked by
//!   the validators that the trusted header named; for others more than a third of those must have signed too.
//! - Validator sets are not kept, apart from the root's. The set that a trusted header named for its next block comes with the
//!   delivery and must hash to what is stored; it can be left out where it has not changed since.
//! - Two headers, both verified, different, at one height: the client freezes, visibly.
//! - [`build`]: real headers, commits and block ids, for an engine with one validator and for tests.
//!
//! Signatures are ed25519 under the rules of ZIP-215, as `CometBFT` checks them: a stricter verifier would split from the chain.
//! No bytes from outside make it panic; sizes are checked first.

pub mod build;
mod client;
mod decode;
mod ed25519;
mod encoding;
mod error;
mod header;
pub mod limits;
mod options;
mod power;
mod root;
mod time;
mod validators;
mod verify;

pub use client::LightClient;
pub use error::{Conflict, LightClientError, ResumeError, SignedBy};
pub use header::{ClaimedHeader, HeaderError, TrustedHeader};
pub use options::{Options, OptionsError};
pub use root::{TrustRoot, TrustRootError};
pub use time::UnixTime;
pub use validators::{ValidatorSet, ValidatorSetError};
