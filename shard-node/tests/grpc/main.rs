//! The gRPC of a shard, in process: every method and every error, over real connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod accounts;
mod blocks;
mod history;
mod node;
mod overload;
mod reads;
mod streams;
mod surface;
mod writes;
