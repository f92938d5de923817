//! How long a header is trusted and how far clocks may differ.

use std::time::Duration;

use crate::limits::CLOCK_DRIFT_SECS_MIN;

/// Settings of one light client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    trusting_period_secs: u64,
    clock_drift_secs: u64,
}

/// Settings that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Nothing would ever be trusted.
    #[error("the trusting period must be at least 1 s")]
    NoTrustingPeriod,
    /// Honest headers would be refused.
    #[error("the clock drift must be at least {CLOCK_DRIFT_SECS_MIN} s, not {secs} s")]
    DriftTooSmall {
        /// The drift given.
        secs: u64,
    },
}

impl Options {
    /// `trusting_period_secs`: how long after its own time a header may vouch for another; `u64::MAX` is for ever. It must be
    /// well below the time in which a validator that leaves can still be held to account. `clock_drift_secs`: how far a header
    /// may be ahead of `now`.
    pub fn new(trusting_period_secs: u64, clock_drift_secs: u64) -> Result<Self, OptionsError> {
        if trusting_period_secs == 0 {
            return Err(OptionsError::NoTrustingPeriod);
        }
        if clock_drift_secs < CLOCK_DRIFT_SECS_MIN {
            return Err(OptionsError::DriftTooSmall { secs: clock_drift_secs });
        }
        Ok(Self { trusting_period_secs, clock_drift_secs })
    }

    /// Trust that never expires, and the smallest drift: for a user whose chain never releases its validators.
    #[must_use]
    pub fn never_expires() -> Self {
        Self { trusting_period_secs: u64::MAX, clock_drift_secs: CLOCK_DRIFT_SECS_MIN }
    }

    /// How long after its own time a header may vouch for another; `u64::MAX` is for ever.
    #[must_use]
    pub fn trusting_period_secs(self) -> u64 {
        self.trusting_period_secs
    }

    /// How far a header may be ahead of `now`.
    #[must_use]
    pub fn clock_drift_secs(self) -> u64 {
        self.clock_drift_secs
    }

    pub(crate) fn trusting_period(self) -> Duration {
        Duration::from_secs(self.trusting_period_secs)
    }

    pub(crate) fn clock_drift(self) -> Duration {
        Duration::from_secs(self.clock_drift_secs)
    }
}
