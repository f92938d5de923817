//! Block time as `google.protobuf.Timestamp`.

use db3_primitives::BlockTime;
use prost_types::Timestamp;

/// A moment as a message. Seconds beyond what the message holds become its last.
#[must_use]
pub fn timestamp(time: BlockTime) -> Timestamp {
    Timestamp { seconds: i64::try_from(time.secs).unwrap_or(i64::MAX), nanos: i32::try_from(time.nanos).unwrap_or(0) }
}

/// A full second since 1970 as a message.
#[must_use]
pub fn timestamp_of_secs(secs: u64) -> Timestamp {
    timestamp(BlockTime::from_secs(secs))
}

/// A message as a moment; `None` before 1970, or if its nanoseconds are no fraction of a second.
#[must_use]
pub fn block_time(timestamp: &Timestamp) -> Option<BlockTime> {
    let secs = u64::try_from(timestamp.seconds).ok()?;
    let nanos = u32::try_from(timestamp.nanos).ok()?;
    BlockTime::new(secs, nanos)
}
