//! The solo engine: one validator that holds all the power, in this process. It makes real Tendermint headers and
//! commits, so a light client cannot tell. For development, tests and simulation, never for production.
//!
//! It signs one block per height: the block is written before its result is committed, and both are on the disk
//! before anything of them leaves the process. What a crash takes was seen by nobody.
//!
//! A block is made when there is something to do: mutations wait (at most every `block_ms`), the root changed in the
//! last block (at once, so that it becomes provable), an epoch ended or its close is being written. Else none.

mod engine;
mod timing;

pub(crate) use engine::{Engine, Tip};
