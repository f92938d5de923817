//! Bytes that each structure has allocated per key, counted by the allocator, without the allocator's own overhead.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::alloc::System;

use anyhow::Result;
use cap::Cap;
use clap::Parser;

use db3_benches::tree::subject::Subject;
use db3_benches::tree::workload::{Record, records, updates};
use db3_benches::tree::{jellyfish, nearly_optimal, ours, sparse};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Counts the memory of the state tree, jmt, sparse-merkle-tree and nomt.
#[derive(Parser)]
struct Options {
    /// Records in the tree.
    #[arg(long, default_value_t = 1_000_000)]
    keys: usize,
    /// Records updated in a batch.
    #[arg(long, default_value_t = 5_000)]
    updates: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let records = records(options.keys);
    let updates = updates(&records, options.updates.min(options.keys / 2), 0);
    println!("{:<24} {:>14} {:>22}", "structure", "bytes per key", "bytes kept per update");
    count::<ours::Ours>(&records, &updates)?;
    count::<jellyfish::Jellyfish>(&records, &updates)?;
    count::<sparse::Sparse>(&records, &updates)?;
    count::<nearly_optimal::NearlyOptimal>(&records, &updates)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count<S: Subject>(records: &[Record], updates: &[Record]) -> Result<()> {
    let empty = ALLOCATOR.allocated();
    let mut subject = S::open(1)?;
    subject.fill(records)?;
    let filled = ALLOCATOR.allocated();
    subject.update(updates)?;
    let changed = ALLOCATOR.allocated();
    let per = |bytes: usize, of: &[Record]| bytes as f64 / of.len().max(1) as f64;
    println!(
        "{:<24} {:>14.0} {:>22.0}",
        S::NAME,
        per(filled.saturating_sub(empty), records),
        per(changed.saturating_sub(filled), updates)
    );
    Ok(())
}
