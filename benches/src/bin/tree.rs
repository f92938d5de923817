//! The state tree beside its peers, in one run: a batch of random updates and the new root, bytes per key, proofs made
//! and verified.
//!
//! Each subject is measured in a process of its own, one after another, so that neither memory nor heap layout carries
//! over; figures are medians over rounds. `tree-memory` counts allocated bytes exactly.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::hint::black_box;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};

use db3_benches::tree::measure::{Extent, Figures, measure};
use db3_benches::tree::subject::Subject;
use db3_benches::tree::{jellyfish, nearly_optimal, ours, report, sparse};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks the state tree beside jmt, sparse-merkle-tree and nomt.
#[derive(Parser)]
struct Options {
    /// Records in the tree.
    #[arg(long, default_value_t = 1_000_000)]
    keys: usize,
    /// Records updated in a batch.
    #[arg(long, default_value_t = 5_000)]
    updates: usize,
    /// Batches, and rounds of a thousand proofs, of which the median counts.
    #[arg(long, default_value_t = 31)]
    rounds: u64,
    /// Prints one JSON object a line instead of the table.
    #[arg(long)]
    json: bool,
    /// Measures only these; default all.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Name>,
    /// Measures one subject in this process, on this many threads.
    #[arg(long, hide = true)]
    threads: Option<usize>,
    /// Uses this much memory and ends.
    #[arg(long, hide = true)]
    touch_bytes: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Ours,
    Jmt,
    SparseMerkleTree,
    Nomt,
}

impl Name {
    fn is_threaded(self) -> bool {
        match self {
            Self::Ours => ours::Ours::THREADED,
            Self::Jmt => jellyfish::Jellyfish::THREADED,
            Self::SparseMerkleTree => sparse::Sparse::THREADED,
            Self::Nomt => nearly_optimal::NearlyOptimal::THREADED,
        }
    }

    fn measure(self, extent: Extent) -> Result<Figures> {
        match self {
            Self::Ours => measure::<ours::Ours>(extent),
            Self::Jmt => measure::<jellyfish::Jellyfish>(extent),
            Self::SparseMerkleTree => measure::<sparse::Sparse>(extent),
            Self::Nomt => measure::<nearly_optimal::NearlyOptimal>(extent),
        }
    }
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    ensure!(options.keys > 0 && options.updates <= options.keys / 2, "--updates must be at most half of --keys");
    if options.only.is_empty() {
        options.only = Name::value_variants().to_vec();
    }
    if let Some(bytes) = options.touch_bytes {
        black_box(vec![1_u8; bytes]);
        return Ok(());
    }
    if let (Some(threads), [name]) = (options.threads, options.only.as_slice()) {
        let Options { keys, updates, rounds, .. } = options;
        let figures = name.measure(Extent { keys, updates, rounds, threads })?;
        println!("{}", serde_json::to_string(&figures)?);
        return Ok(());
    }
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for threads in [1, 2] {
        for name in options.only.iter().filter(|name| threads == 1 || name.is_threaded()) {
            match in_own_process(&options, *name, threads) {
                Ok(figures) => {
                    if options.json {
                        println!("{}", serde_json::to_string(&figures)?);
                    }
                    rows.push(figures);
                }
                Err(error) => failed.push(error.to_string()),
            }
        }
    }
    if !options.json {
        println!("{} keys of 32 bytes, values of 100, {} updates a batch", options.keys, options.updates);
        report::print(&rows);
    }
    ensure!(failed.is_empty(), "not measured: {}", failed.join("; "));
    Ok(())
}

/// More than any subject keeps.
const TOUCHED_BYTES_PER_KEY: usize = 1_500;

/// Has memory used and given back by another process: on a virtual machine the first use of a page costs many times the
/// later ones, and no subject shall pay for being the first.
fn touch_memory(options: &Options) -> Result<()> {
    let bytes = options.keys.saturating_mul(TOUCHED_BYTES_PER_KEY);
    let status = Command::new(std::env::current_exe()?).args(["--touch-bytes", &bytes.to_string()]).status()?;
    ensure!(status.success(), "no {bytes} bytes of memory to be had: fewer --keys");
    Ok(())
}

fn in_own_process(options: &Options, name: Name, threads: usize) -> Result<Figures> {
    let value = name.to_possible_value().context("every subject has a name")?;
    touch_memory(options)?;
    eprintln!("measuring {} on {threads} thread(s) ...", value.get_name());
    let output = Command::new(std::env::current_exe()?)
        .args(["--only", value.get_name()])
        .args(["--threads", &threads.to_string()])
        .args(["--keys", &options.keys.to_string()])
        .args(["--updates", &options.updates.to_string()])
        .args(["--rounds", &options.rounds.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("{} ended with {}", value.get_name(), output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
