//! When a block is due, as a function of times: no clock in here.

use std::time::{Duration, Instant};

use db3_primitives::BlockTime;

/// What the engine sees when it decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) now: Instant,
    /// When mutations may be put in a block again.
    pub(super) content_from: Instant,
    /// Mutations wait.
    pub(super) waiting: bool,
    /// No header carries the newest root yet.
    pub(super) root_unproven: bool,
    /// An epoch has ended, or its close is being written.
    pub(super) work_pending: bool,
    /// Time until the open epoch ends.
    pub(super) until_boundary: Duration,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A block now, with mutations or without.
    Block {
        /// Whether mutations may be in it.
        content: bool,
    },
    /// Nothing for so long, unless something happens.
    Wait(Duration),
}

impl View {
    pub(super) fn due(&self) -> Due {
        let content = self.now >= self.content_from;
        if self.root_unproven || self.work_pending || (self.waiting && content) {
            return Due::Block { content };
        }
        let until_content = self.content_from.saturating_duration_since(self.now);
        let wait = if self.waiting { until_content.min(self.until_boundary) } else { self.until_boundary };
        // A boundary that is due to the nanosecond must not turn into a busy loop.
        Due::Wait(wait.max(Duration::from_millis(1)))
    }
}

/// The time of the block after one of time `last`: the clock's, but later than `last` by at least a millisecond.
pub(super) fn block_time(now: BlockTime, last: BlockTime) -> BlockTime {
    now.max(add(last, Duration::from_millis(1)))
}

/// Time from `now` until the second `secs` begins.
pub(super) fn until(now: BlockTime, secs: u64) -> Duration {
    let now = Duration::new(now.secs, now.nanos);
    Duration::from_secs(secs).saturating_sub(now)
}

fn add(time: BlockTime, by: Duration) -> BlockTime {
    let sum = Duration::new(time.secs, time.nanos).saturating_add(by);
    BlockTime { secs: sum.as_secs(), nanos: sum.subsec_nanos() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn view() -> View {
        let now = Instant::now();
        View {
            now,
            content_from: now,
            waiting: false,
            root_unproven: false,
            work_pending: false,
            until_boundary: Duration::from_secs(30),
        }
    }

    #[test]
    fn an_idle_chain_makes_no_block_before_the_epoch_ends() {
        assert_eq!(view().due(), Due::Wait(Duration::from_secs(30)));
        assert_eq!(View { work_pending: true, ..view() }.due(), Due::Block { content: true });
    }

    #[test]
    fn mutations_wait_for_the_interval_between_blocks() {
        let now = Instant::now();
        let soon = View { waiting: true, now, content_from: now + Duration::from_millis(40), ..view() };
        assert_eq!(soon.due(), Due::Wait(Duration::from_millis(40)));
        assert_eq!(View { content_from: now, ..soon }.due(), Due::Block { content: true });
    }

    #[test]
    fn a_new_root_gets_its_header_at_once_and_without_mutations() {
        let now = Instant::now();
        let view = View { root_unproven: true, now, content_from: now + Duration::from_millis(40), ..view() };
        assert_eq!(view.due(), Due::Block { content: false });
    }

    #[test]
    fn block_time_rises_even_when_the_clock_goes_back() {
        let last = BlockTime { secs: 100, nanos: 999_500_000 };
        assert_eq!(block_time(BlockTime { secs: 50, nanos: 0 }, last), BlockTime { secs: 101, nanos: 500_000 });
        assert_eq!(block_time(BlockTime { secs: 200, nanos: 7 }, last), BlockTime { secs: 200, nanos: 7 });
    }

    #[test]
    fn the_boundary_is_as_far_away_as_the_clock_says() {
        let now = BlockTime { secs: 119, nanos: 250_000_000 };
        assert_eq!(until(now, 120), Duration::from_millis(750));
        assert_eq!(until(now, 60), Duration::ZERO);
    }
}
