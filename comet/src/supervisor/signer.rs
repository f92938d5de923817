//! A signer elsewhere that is not connected: `CometBFT` waits three seconds for it at its start and then ends, and while it
//! runs complains every three seconds. What is missing and what is to be done is told once; and once that it is there again.

use std::time::{Duration, Instant};

/// `CometBFT`'s last words where the signer did not connect in time, or has no key for the chain.
const MISSING: &str = "ERROR: failed to create node: error with private validator socket client: can't get pubkey: ";
/// `privval/signer_listener_endpoint.go`: what it complains of without a signer. A peer can write none of it.
const COMPLAINTS: [&str; 2] = ["SignerListener: Error accepting connection", "SignerListener: Ping timeout"];
const MODULE: &str = "privval";
/// Without a complaint for so long it is there: they come every three seconds.
const QUIET: Duration = Duration::from_secs(10);
/// The longest pause between starts. A signer finds an open door only while `CometBFT` runs: it shall not wait for long.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Whether last words, or a line of output, are that no signer came.
pub(super) fn is_missing(line: &str) -> bool {
    line.starts_with(MISSING)
}

/// Whether an error is such a complaint, by where `CometBFT` tells it.
pub(super) fn is_complaint(module: &str, message: &str) -> bool {
    module == MODULE && COMPLAINTS.contains(&message)
}

/// What is known of the signer.
#[derive(Debug, Default)]
pub(super) struct Signer {
    /// When it was missing last; none since it was there.
    missed: Option<Instant>,
}

impl Signer {
    /// Whether it was told that it is missing, and not yet that it is there.
    pub(super) fn is_missing(&self) -> bool {
        self.missed.is_some()
    }

    /// How long a process may make no block. One that waits for its signer is never started again for it: it listens all the
    /// while, and a new one would for three seconds. What it no longer tries to sign is signed by a new one, once the signer
    /// is there.
    pub(super) fn patience(&self, patience: Duration) -> Duration {
        if self.is_missing() { Duration::MAX } else { patience }
    }

    /// Takes that it is missing: told the first time.
    pub(super) fn misses(&mut self, address: Option<&str>, why: &str) {
        if self.missed.replace(Instant::now()).is_none() {
            let address = address.unwrap_or_default();
            tracing::error!(address, why, remedy = crate::SIGNER_WANTED, "comet.signer");
        }
    }

    /// Takes that the process answers, as it does only after a signer has come.
    pub(super) fn answers(&mut self, address: Option<&str>) {
        if self.missed.take_if(|missed| missed.elapsed() >= QUIET).is_some() {
            tracing::info!(address = address.unwrap_or_default(), "comet.signer_back");
        }
    }
}
