//! Every maximum of this crate.

use std::time::Duration;

/// Entries asked for at once.
pub const PAGE_ENTRIES: i32 = 1_000;

/// Headers asked for while looking for those that lead from the trusted one to the newest.
pub const HEADERS_FETCHED_MAX: usize = 64;

/// Wait after the first failure; it doubles from one to the next.
pub const RETRY_FIRST: Duration = Duration::from_millis(50);

/// Characters of an error that are kept.
pub const ERROR_CHARS_MAX: usize = 500;

/// Wait where the reader's time is behind the writer's: the same delivery is good in a moment.
pub const TOO_EARLY_PAUSE: Duration = Duration::from_secs(1);
