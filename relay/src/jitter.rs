//! Random waits. Nothing depends on how good the randomness is: the standard library's hash keys serve.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A random part of `longest`, evenly.
pub fn part_of(longest: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    Duration::from_millis(random.checked_rem(millis).unwrap_or(0)).min(longest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]

    use super::*;

    #[test]
    fn a_wait_is_within_its_bound_and_not_always_the_same() {
        assert_eq!(part_of(Duration::ZERO), Duration::ZERO);
        let bound = Duration::from_secs(1);
        let waits: Vec<Duration> = (0..50).map(|_| part_of(bound)).collect();
        assert!(waits.iter().all(|wait| *wait <= bound));
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }
}
