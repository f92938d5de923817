//! The commands against a devnet: what they print, how they end, and what they refuse before anything is sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "tests"
)]

#[path = "../network/mod.rs"]
mod network;

mod accounts;
mod credit;
mod epochs;
mod governance;
mod history;
mod lines;
mod money;
mod proofs;
mod records;
mod settlement;
mod transfer;
mod trust;
mod usage;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use network::Devnet;
use serde_json::Value;

/// One devnet serves the tests that run at the same time; each has its own account or table. The last one stops it.
fn net() -> Arc<Devnet> {
    static SHARED: Mutex<Weak<Devnet>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let net = Arc::new(Devnet::start(&["--epoch-secs", "600"]));
        *shared = Arc::downgrade(&net);
        net
    })
}

fn number(value: &Value) -> u128 {
    value.as_str().unwrap_or_else(|| panic!("{value} is no decimal string")).parse().unwrap()
}
