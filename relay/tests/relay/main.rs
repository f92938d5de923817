//! Relays between two chains that are made up, but prove and judge as real ones do: over real gRPC, with light clients, state
//! proofs and refusals; and between chains that lie.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "tests"
)]

mod carries;
mod fake;
mod hostile;
mod pair;
