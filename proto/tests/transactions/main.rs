//! Transactions of the settlement chain: one encoding each, and a number for everything that is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod properties;
mod refusals;
mod signing_document;
