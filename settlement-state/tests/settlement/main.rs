//! Tests of the settlement chain: what each block does, seen from outside. Shards are made-up chains with real headers,
//! so every delivery here passes the same checks as a real one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "tests"
)]

mod acknowledged;
mod bounds;
mod docs;
mod faults;
mod governance;
mod scenarios;
mod script;
mod support;
mod totality;
mod transactions;
