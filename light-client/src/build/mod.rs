//! Makes real Tendermint headers, block ids, commits and light blocks, byte for byte as `CometBFT` v0.38 makes them, for the
//! engine that runs one validator in process and for tests.
//!
//! The order of making a block: [`make_header`], [`block_bytes`], [`block_id()`], [`sign_commit`]; [`light_block_bytes`] is what a
//! light client is given of it. Evidence is always empty: one validator has nobody to accuse.
//!
//! [`HeaderChain`] does all of that for a chain without transactions, for tests of whatever follows one.
//!
//! It decides nothing about consensus: whoever signs twice at one height freezes the light clients.

mod block_id;
mod chain;
mod commit;
mod hashes;
mod header;
mod key;
mod light_block;

pub use block_id::{BLOCK_PART_BYTES, block_bytes, block_id};
pub use chain::HeaderChain;
pub use commit::sign_commit;
pub use hashes::{EMPTY_HASH, commit_hash, consensus_params_hash, data_hash, results_hash};
pub use header::{BuildError, HeaderInput, make_header};
pub use key::ValidatorKey;
pub use light_block::light_block_bytes;
