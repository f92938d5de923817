//! Trials of the credit rules: random histories of honest shards and accounts on the product, beside an independent,
//! simpler model that predicts every balance, line and entry; and the eight broken rules of
//! `credit-model/broken_variants.py`, put into the product one by one, each of which must be caught.
//!
//! They stand in the crate because only here the rules can be replaced. A failure names its seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "tests"
)]

mod chance;
mod count;
mod decisions;
mod oracle;
mod shards;
mod slips;
mod truth;
mod world;

use std::any::Any;
use std::panic::catch_unwind;

use db3_primitives::{Epoch, LineLeaf, Tai};

use crate::rules::Rules;
use count::Count;
use world::{Setting, World};

const STEPS: usize = 1_500;

/// What the product's check of a block says of a step that the account took, and what the truth says of the shards: an
/// account has spent more than its line holds, or may yet.
const STEP: [&str; 1] = ["I8: no voluntary step raises what is held"];
const SPENT: [&str; 2] = ["I9: spent ", "I8: shard "];

/// A whole history; its statistics.
fn history(seed: u64, setting: Setting) -> Count {
    let mut world = World::new(seed, setting);
    for _ in 0..STEPS {
        world.step();
    }
    world.count
}

fn honest() -> Setting {
    Setting { rules: Rules::DESIGN, overspent_epochs: 0, round_accounts_max: 1_000, predicted: true, slip: None }
}

#[test]
fn random_histories_are_predicted_to_the_tai_by_a_simpler_model() {
    let mut sum = Count::default();
    for seed in 0..24 {
        sum.add(history(seed, honest()));
    }
    // Every kind of step must have occurred, or the histories show nothing.
    assert!(sum.all_positive(), "{sum:?}");
}

#[test]
fn rounds_that_spread_over_many_blocks_keep_every_rule() {
    for seed in 100..116 {
        let setting = Setting { round_accounts_max: 1 + seed as u32 % 4, predicted: false, ..honest() };
        assert!(history(seed, setting).rounds > 3, "seed {seed}");
    }
}

/// What a panic says.
fn text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<String>().map_or_else(|| *panic.downcast_ref::<&str>().unwrap(), String::as_str)
}

/// Runs histories under a broken rule until one of them is caught, by one of the rules of ARCHITECTURE.md that it would
/// break. The same history under the rules of the design is caught by nothing.
fn is_caught(name: &str, by: &[&str], broken: Setting) {
    let caught = (0..400).find_map(|seed| Some((seed, catch_unwind(|| history(seed, broken)).err()?)));
    let (seed, panic) = caught.unwrap_or_else(|| panic!("{name} was not caught in 400 histories"));
    let found = text(&*panic);
    assert!(
        by.iter().any(|rule| found.contains(rule)),
        "{name} in history {seed} was caught by something else: {found}"
    );
    history(seed, with(Rules::DESIGN));
}

/// The rules with one broken. No prediction helps: what the assertions of the product and the truth about the shards say
/// must suffice.
fn with(rules: Rules) -> Setting {
    Setting { rules, predicted: false, ..honest() }
}

#[test]
fn each_of_the_eight_broken_rules_is_caught() {
    let design = Rules::DESIGN;
    let t1 = Rules { held_after_cut: |line: &LineLeaf| line.ceiling, ..design };
    is_caught("T1: what is owed is forgotten when a cut is confirmed", &["I9: P + W ≤ D ≤ R ≤ H"], with(t1));
    let t2 = Rules {
        is_confirmed: |cut, cursor, last| cut.index <= cursor || last.is_some_and(|last| cut.lease <= last),
        ..design
    };
    is_caught("T2: the cursor is off by one", &SPENT, with(t2));
    let t3 = Rules {
        is_confirmed: |cut, cursor, last| {
            cut.index < cursor || last.is_some_and(|last| cut.lease <= Epoch::new(last.get() + 1))
        },
        ..design
    };
    is_caught("T3: the lease is off by one", &SPENT, with(t3));
    let t4 = Rules { may_withdraw: |after| after.owed <= after.limit, ..design };
    is_caught("T4: a withdrawal looks at what is owed only", &STEP, with(t4));
    let t5 = Rules { counted: |line| line.ceiling, held_after_raise: |_, ceiling| ceiling, ..design };
    is_caught("T5: a raise forgets an unconfirmed cut", &STEP, with(t5));
    let t6 = Rules { remembered_lease: |_| Epoch::new(0), ..design };
    is_caught("T6: a cut does not remember the lease", &SPENT, with(t6));
    // The shard here is a model; `db3-shard-state` breaks the rule of the product in its own trials.
    is_caught(
        "T7: a shard charges in the epoch after its lease",
        &SPENT,
        Setting { overspent_epochs: 1, ..with(design) },
    );
    let t8 = Rules { renewed_by_seizure: |seized| seized, ..design };
    is_caught("T8: a seizure renews the ceiling", &STEP, with(t8));
}

#[test]
fn the_rules_of_the_design_are_caught_by_nothing() {
    for seed in 0..40 {
        history(seed, with(Rules::DESIGN));
    }
    assert_eq!((Rules::DESIGN.renewed_by_seizure)(Tai::new(5)), Tai::ZERO);
}

#[test]
fn a_wrong_figure_at_the_end_of_a_true_block_is_caught_by_the_rule_that_it_breaks() {
    for (name, slip, rule) in slips::SLIPS {
        is_caught(name, &[rule], Setting { slip: Some(slip), ..with(Rules::DESIGN) });
    }
}
