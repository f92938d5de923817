//! A share of time that may be spent on what turns out false, where nobody can be made to wait for it: what is not spent adds
//! up, to a bound, and while it is used up nothing more is looked at.

use std::time::{Duration, Instant};

/// At most so much adds up.
const MOST: Duration = Duration::from_secs(1);

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// One part in so many of the time that passes may be spent.
    part: u32,
    left: Duration,
    /// What was spent beyond it.
    owed: Duration,
    counted: Instant,
}

impl Allowance {
    /// One part in so many of the time, of which nothing was spent yet.
    pub(crate) fn of(part: u32, now: Instant) -> Self {
        Self { part, left: MOST, owed: Duration::ZERO, counted: now }
    }

    /// Whether something is left.
    pub(crate) fn is_open(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.counted).checked_div(self.part).unwrap_or_default();
        self.counted = self.counted.max(now);
        let beyond = earned.saturating_sub(self.owed);
        self.owed = self.owed.saturating_sub(earned);
        self.left = self.left.saturating_add(beyond).min(MOST);
        self.left > Duration::ZERO
    }

    /// So much was spent for nothing.
    pub(crate) fn spend(&mut self, spent: Duration) {
        self.owed = self.owed.saturating_add(spent.saturating_sub(self.left));
        self.left = self.left.saturating_sub(spent);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    #[test]
    fn a_twentieth_of_the_time_may_be_spent_and_no_more_than_a_second_adds_up() {
        let begun = Instant::now();
        let after = |secs| begun + Duration::from_secs(secs);
        let mut allowance = Allowance::of(20, begun);
        assert!(allowance.is_open(after(1_000)));
        allowance.spend(Duration::from_millis(1_500));
        assert!(!allowance.is_open(after(1_000)), "it was one second");
        assert!(!allowance.is_open(after(1_010)), "half a second is owed");
        assert!(allowance.is_open(after(1_011)));
        allowance.spend(Duration::from_millis(60));
        assert!(!allowance.is_open(after(1_011)));
        assert!(allowance.is_open(after(1_012)));
    }
}
