//! The gRPC of a shard, in process: every method and every error, over real connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::match_wildcard_for_single_variants,
    clippy::maybe_infinite_iter,
    reason = "tests"
)]

mod accounts;
mod blocks;
#[path = "../credit/mod.rs"]
mod credit;
mod history;
mod node;
mod overload;
mod reads;
mod restored;
mod streams;
mod surface;
mod tls;
mod writes;
