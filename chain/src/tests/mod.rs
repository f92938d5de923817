//! Tests of whole chains in this process: real folders, the real engine, small settings.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod acknowledged;
mod admission;
mod beginnings;
mod bounds;
mod bundles;
mod byzantine;
mod carrying;
mod crash;
mod damage;
mod deliveries;
mod epochs;
mod false_decisions;
mod flow;
mod funds;
mod given;
mod governance;
#[path = "../../../comet/src/tests/grammar.rs"]
mod grammar;
mod headers;
mod proposals;
mod real;
mod restart;
mod settlement;
mod state_sync;
mod stated;
mod support;
mod taken_over;
mod transfer;

pub(crate) use grammar::Call;
