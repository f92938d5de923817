//! The settlement loop of a whole network in one process, on a virtual clock: shards, the settlement chain, and relayers that
//! lose, repeat, reorder, cut, forge and crash, from one seed.
//!
//! At every block the rules I1–I9 are checked from the states, and an independent model predicts every statement, ceiling,
//! posting and balance. At the end everything that ever had an effect is sent again and changes no byte.
//!
//! The operator changes trust and factor now and then, and when most of a history is over one shard lies, which takes no more
//! than the lines that it was given.
//!
//! Three histories are always the same, and one is another in every run. `DB3_SIM_SEED` chooses the history (printed when a run
//! begins, and so when it fails), `DB3_SIM_BILLS` its length instead of 100 000 bills (the shorter histories: 5 000).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod checks;
mod decide;
mod exposure;
mod genesis;
mod liar;
mod lie;
mod machine;
mod model;
mod network;
mod record;
mod relayer;
mod rng;
mod story;
mod timeline;
mod users;

use std::time::{SystemTime, UNIX_EPOCH};

use db3_primitives::PostingKind;

use crate::network::{Network, Size};

/// The seed that the environment names, or this one.
fn seed(default: u64) -> u64 {
    std::env::var("DB3_SIM_SEED").ok().map_or(default, |text| text.parse().expect("DB3_SIM_SEED is a number"))
}

/// Bills of a run.
fn bills(default: u64) -> u64 {
    std::env::var("DB3_SIM_BILLS").ok().map_or(default, |text| text.parse().expect("DB3_SIM_BILLS is a number"))
}

/// What a history must show, or its assertions say little: every kind of posting, and every refusal for want of credit.
const KINDS: [PostingKind; 5] =
    [PostingKind::Round, PostingKind::Pay, PostingKind::Seize, PostingKind::WriteOff, PostingKind::Payout];
const REASONS: [&str; 3] = ["LINE_MISSING", "CREDIT_EXHAUSTED", "LEASE_ENDED"];
/// A history goes on until it has shown all of that, but not for longer than so many epochs.
const EPOCHS_MAX: u64 = 2_000;

/// What a history has not shown yet.
fn not_shown(network: &Network) -> Vec<String> {
    let kinds = KINDS.iter().filter(|kind| !network.checks.kinds.contains_key(kind)).map(|kind| format!("{kind:?}"));
    let reasons = REASONS.iter().filter(|reason| !network.refused.contains_key(**reason));
    kinds.chain(reasons.map(ToString::to_string)).collect()
}

/// Runs a history to its end, whatever its seed and length: it goes on until it has shown what it must.
fn run(seed: u64, size: Size, epochs_min: u64) -> Network {
    eprintln!("DB3_SIM_SEED={seed} DB3_SIM_BILLS={} {size:?}", size.bills);
    let mut network = Network::new(seed, size);
    let first = network.epoch();
    while network.bills < size.bills || network.epoch() < first + epochs_min || !not_shown(&network).is_empty() {
        network.step();
        let epochs = network.epoch() - first;
        assert!(epochs < EPOCHS_MAX || network.bills < size.bills, "{epochs} epochs show no {:?}", not_shown(&network));
    }
    network.settle_down();
    eprintln!(
        "{} bills in {} epochs, {} closes, {} rounds, {} decisions, postings {:?}, refused {:?}, shard {:?} lied",
        network.bills,
        network.epoch() - first,
        network.checks.closes,
        network.checks.rounds,
        network.decisions,
        network.checks.kinds,
        network.refused,
        network.checks.liar
    );
    for shard in &mut network.shards {
        shard.restart();
        let _ = shard.resend_everything();
    }
    network.settlement.restart();
    let _ = network.settlement.resend_everything();
    let again = network.shards.iter().map(|shard| shard.resent).chain([network.settlement.resent]).collect::<Vec<_>>();
    assert!(again.iter().any(|resent| *resent > 0), "what is good still is sent again as well: {again:?}");
    network
}

const SIZE: Size = Size { shards: 4, users: 16, epoch_secs: 60, block_mutations: 14, bills: 0, trusting_epochs: 0 };

#[test]
fn any_history_is_settled_to_the_tai_and_only_once() {
    let bills = bills(100_000);
    let network = run(seed(1), Size { bills, ..SIZE }, 20);
    assert!(network.checks.closes > 0 && network.checks.rounds > 0, "closes and rounds are seen");
}

#[test]
fn light_clients_that_must_not_fall_asleep_settle_as_well() {
    run(seed(2), Size { bills: bills(25_000) / 5, trusting_epochs: 12, shards: 5, ..SIZE }, 20);
}

#[test]
fn true_epochs_of_600_seconds_settle_as_well() {
    run(seed(3), Size { bills: bills(25_000) / 5, epoch_secs: 600, ..SIZE }, 10);
}

#[test]
fn a_history_that_nobody_chose_settles_as_well() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // To have the same again: DB3_SIM_SEED, as it is printed, and the name of this test.
    run(seed(u64::try_from(since.as_millis()).unwrap()), Size { bills: bills(25_000) / 5, ..SIZE }, 20);
}
