//! The chain on `CometBFT`: a process beside the node that agrees with other validators on blocks. This module serves it
//! the application, starts and watches it, hands it bundles and deliveries, and follows it for headers.
//!
//! - [`served`]: the application as it is served. What cannot go on never answers: the connection is closed.
//! - [`signed`]: votes of this node's key that its signing state knows nothing of.
//! - [`bundler`]: what waits in this node's pools becomes transactions of `CometBFT`'s.
//! - [`follower`]: the header of every block, which makes the version before it provable.
//! - [`archive`]: `CometBFT` keeps the blocks; they are read from it.
//! - [`rollback`]: one height back, both together.
//! - [`anew`]: a node that cannot go on comes again from a snapshot.
//! - [`engine`]: all of it together, and what is known of its health.
//!
//! It decides nothing: blocks come from `CometBFT` and are executed by the application.

pub(crate) mod anew;
mod archive;
pub(crate) mod bundler;
mod engine;
mod follower;
mod health;
mod rollback;
pub(crate) mod served;
mod signed;

pub(crate) use engine::CometEngine;
pub use health::{Consensus, ConsensusState};
pub use rollback::{RollbackError, RolledBack, rollback};
