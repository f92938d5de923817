//! Tests of whole chains in this process: real folders, the real engine, small settings.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod admission;
mod bounds;
mod crash;
mod deliveries;
mod epochs;
mod flow;
mod governance;
mod headers;
mod proposals;
mod restart;
mod settlement;
mod stated;
mod support;
mod transfer;
