//! Tests of the shard's execution through its public interface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "tests"
)]

mod acknowledged;
mod admission;
mod closes;
mod docs;
mod governance;
mod inbound;
mod killers;
mod model;
mod model_leaves;
mod properties;
mod scenarios;
mod script;
mod settlement;
mod support;
mod totality;
