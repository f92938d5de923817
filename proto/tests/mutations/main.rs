//! Signed mutations as bytes: the one encoding is accepted and nothing else, whatever comes is answered with a number, and the
//! number names what is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod canonical;
mod example;
mod properties;
mod refusals;
mod signing_document;
