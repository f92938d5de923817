//! A settlement chain and a shard over real connections, with the relays of both nodes: what is written on the one is
//! settled on the other, and every answer can be checked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod chains;
mod money;
mod net;
mod restored;
mod settling;
