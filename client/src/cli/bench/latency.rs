//! Latencies of calls, and their percentiles.

use std::time::Duration;

/// Measured durations.
#[derive(Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Adds one.
    pub fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// Adds those of another.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The latency that `percent` of all do not exceed, milliseconds; 0 of none.
    pub fn percentile_ms(&mut self, percent: usize) -> f64 {
        self.0.sort_unstable();
        let rank = self.0.len().saturating_mul(percent).div_ceil(100).saturating_sub(1);
        self.0.get(rank).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "whole milliseconds")]
    use super::*;

    #[test]
    fn percentiles_are_by_rank() {
        let mut latencies = Latencies((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!((latencies.percentile_ms(50), latencies.percentile_ms(99)), (50.0, 99.0));
        assert_eq!(Latencies::default().percentile_ms(99), 0.0);
    }
}
