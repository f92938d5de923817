//! Networks of validators from plan to homes: the same bytes wherever they are built, and what is wrong is named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod build;
mod check;
mod join;
mod support;
