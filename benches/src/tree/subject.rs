//! What a structure must do to be measured.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::tree::workload::{Key, Record};

/// An authenticated map under measurement. Only what [`update`](Self::update) reports, `prove` and `verify` are timed.
pub trait Subject: Sized {
    /// A proof that a key has its value.
    type Proof;

    /// Name and version.
    const NAME: &'static str;
    /// Whether it can use a second thread.
    const THREADED: bool;

    /// An empty one that may use this many threads.
    fn open(threads: usize) -> Result<Self>;
    /// Writes the first records, sorted by key.
    fn fill(&mut self, records: &[Record]) -> Result<()>;
    /// Writes records, sorted by key: time until the new root is known, and until the change is also on disk, if the
    /// subject has one.
    fn update(&mut self, records: &[Record]) -> Result<Updated>;
    /// Proves the value of a key.
    fn prove(&self, key: &Key) -> Result<Self::Proof>;
    /// Bytes of a proof.
    fn proof_bytes(proof: &Self::Proof) -> usize;
    /// Whether a proof shows this record under the current root.
    fn verify(&self, proof: Self::Proof, record: &Record) -> bool;
}

/// How long an update took.
pub struct Updated {
    /// Until the new root was known.
    pub root: Duration,
    /// Until the change was on disk.
    pub durable: Option<Duration>,
}

/// The result of `work` and how long it took.
pub fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let begin = Instant::now();
    let result = work();
    (result, begin.elapsed())
}
