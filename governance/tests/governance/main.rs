//! Governance by itself, over a tree and a number.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

mod encoding;
mod rules;
mod support;
