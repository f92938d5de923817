//! Measures one subject: medians over rounds.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::tree::subject::{Subject, timed};
use crate::tree::workload::{Random, Record, records, updates};

/// How much to measure.
#[derive(Clone, Copy)]
pub struct Extent {
    /// Records in the structure.
    pub keys: usize,
    /// Records updated in a batch.
    pub updates: usize,
    /// Batches, and rounds of proofs.
    pub rounds: u64,
    /// Threads that the subject may use.
    pub threads: usize,
}

/// One subject's figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// The subject.
    pub name: String,
    /// Threads that it might use.
    pub threads: usize,
    /// Writing the first records.
    pub fill_ms: f64,
    /// A batch of updates until the new root is known.
    pub update_ms: f64,
    /// And until it is on disk, where the subject has one.
    pub durable_ms: Option<f64>,
    /// What the resident set grew by while the first records were written.
    pub resident_bytes_per_key: f64,
    /// Making a proof of a random record.
    pub prove_us: f64,
    /// Verifying it.
    pub verify_us: f64,
    /// Its size, without the record where the structure allows that.
    pub proof_bytes: f64,
}

const PROOFS_PER_ROUND: u32 = 1_000;

/// Measures a subject in this process.
pub fn measure<S: Subject>(extent: Extent) -> Result<Figures> {
    let mut records = records(extent.keys);
    let before = resident_bytes()?;
    let mut subject = S::open(extent.threads)?;
    let (filled, fill) = timed(|| subject.fill(&records));
    filled?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let resident_bytes_per_key = resident_bytes()?.saturating_sub(before) as f64 / records.len() as f64;

    let (mut roots, mut durables) = (Vec::new(), Vec::new());
    for round in 0..extent.rounds {
        let batch = updates(&records, extent.updates, round);
        let updated = subject.update(&batch)?;
        roots.push(updated.root);
        durables.extend(updated.durable);
        remember(&mut records, &batch);
    }

    let mut random = Random(7);
    let (mut prove, mut verify, mut proof_bytes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..extent.rounds {
        let picked: Vec<&Record> =
            (0..PROOFS_PER_ROUND).filter_map(|_| records.get(random.below(records.len()))).collect();
        let (proofs, took) = timed(|| picked.iter().map(|(key, _)| subject.prove(key)).collect::<Result<Vec<_>>>());
        let proofs = proofs?;
        prove.push(took);
        proof_bytes.push(proofs.iter().map(S::proof_bytes).sum::<usize>());
        let (all_hold, took) =
            timed(|| proofs.into_iter().zip(&picked).all(|(proof, record)| black_box(subject.verify(proof, record))));
        ensure!(all_hold, "{}: a proof does not hold", S::NAME);
        verify.push(took);
    }
    proof_bytes.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let proof_bytes = proof_bytes.get(proof_bytes.len() / 2).copied().unwrap_or_default() as f64;
    Ok(Figures {
        name: S::NAME.into(),
        threads: extent.threads,
        fill_ms: millis(fill),
        update_ms: median(&mut roots).map_or(0.0, millis),
        durable_ms: median(&mut durables).map(millis),
        resident_bytes_per_key,
        prove_us: median(&mut prove).map_or(0.0, micros_each),
        verify_us: median(&mut verify).map_or(0.0, micros_each),
        proof_bytes: proof_bytes / f64::from(PROOFS_PER_ROUND),
    })
}

/// Writes updates into the records; both are sorted by key.
fn remember(records: &mut [Record], updates: &[Record]) {
    for (key, value) in updates {
        if let Ok(place) = records.binary_search_by_key(key, |(key, _)| *key)
            && let Some(record) = records.get_mut(place)
        {
            record.1 = *value;
        }
    }
}

fn median(times: &mut [Duration]) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn micros_each(all_proofs: Duration) -> f64 {
    all_proofs.as_secs_f64() * 1_000_000.0 / f64::from(PROOFS_PER_ROUND)
}

/// The process's resident set, from `/proc/self/statm`.
fn resident_bytes() -> Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split_whitespace().nth(1).unwrap_or_default().parse()?;
    Ok(pages.saturating_mul(4_096))
}
