//! Tests of the words: each file of this folder tests the file of the same name in `src`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    reason = "tests"
)]

mod account;
mod amount;
mod batch;
mod body;
mod codes;
mod credit;
mod encodings;
mod envelope;
mod key;
mod leaf;
mod mutation;
mod name;
mod number;
mod price;
mod settlement_leaf;
mod signature;
mod signing_doc;
mod transaction;
mod vectors;
mod window;
