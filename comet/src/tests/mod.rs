//! Against sockets and against a real `CometBFT` (scripts/install-cometbft). The application is as small as one can be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unchecked_time_subtraction,
    reason = "tests"
)]

mod application;
mod config;
mod frames;
mod grammar;
mod network;
mod process;
mod sync_server;
