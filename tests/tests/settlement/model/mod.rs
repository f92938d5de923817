//! An independent, simpler model of the whole: plain numbers and maps, no trees, no logs of bytes, no proofs. It is told what
//! each bill cost, when each block was made, how many entries each delivery moved and which transactions were sent; everything
//! else it predicts: every statement, every close, every ceiling, every posting, every balance.
//!
//! Written from DESIGN.md, points 4, 7 and 8, and `credit-model/random_runs.py`; letters are those of the design.

mod governance;
mod money;
mod round;
mod shard;
mod transactions;

pub use governance::Decision;
pub use money::{Account, Books, Line, Params, Posted};
pub use shard::{Said, ShardBooks};

/// An entry of the log to a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credit {
    /// An account's ceiling.
    Line(db3_primitives::Address, u128),
    /// The last epoch of the lease, and how many entries of the shard's log were taken.
    Lease(u64, u64),
}
