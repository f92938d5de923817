//! How long a call may take: the caller's `grpc-timeout`, never more than the server's own maximum.
//!
//! A write that waits answers a little before the deadline, because an answer that arrives with the deadline is
//! an answer that the caller has stopped waiting for. It must never be turned into an error: what was sent stays
//! sent, and its receipt says "pending".

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

/// The header that carries the caller's deadline.
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// What an answer needs to reach the caller in time, at most.
const MARGIN_MAX: Duration = Duration::from_millis(50);
/// The share of the caller's time that is kept for the answer's way back.
const MARGIN_SHARE: u32 = 10;

/// The moment at which a call must have its answer ready.
///
/// `longest` is the server's maximum and also what holds when the caller named nothing, or nothing readable.
#[must_use]
pub fn deadline(metadata: &MetadataMap, longest: Duration) -> Instant {
    let asked = metadata
        .get(GRPC_TIMEOUT)
        .and_then(|value| value.to_str().ok())
        .and_then(parse_timeout)
        .map_or(longest, |asked| asked.min(longest));
    let margin = asked.checked_div(MARGIN_SHARE).unwrap_or_default().min(MARGIN_MAX);
    let now = Instant::now();
    now.checked_add(asked.saturating_sub(margin)).unwrap_or(now)
}

/// Reads a timeout of the gRPC protocol over HTTP/2: at most eight digits and a unit (`H M S m u n`).
#[must_use]
pub fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => count.checked_mul(3_600).map(Duration::from_secs),
        "M" => count.checked_mul(60).map(Duration::from_secs),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    #[test]
    fn reads_every_unit_of_the_protocol() {
        assert_eq!(parse_timeout("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(parse_timeout("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parse_timeout("15S"), Some(Duration::from_secs(15)));
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout("7u"), Some(Duration::from_micros(7)));
        assert_eq!(parse_timeout("9n"), Some(Duration::from_nanos(9)));
    }

    #[test]
    fn what_is_no_timeout_is_none() {
        for text in ["", "S", "12", "-1S", "123456789S", "1x", "1 S", "é"] {
            assert_eq!(parse_timeout(text), None, "{text}");
        }
    }

    #[test]
    fn the_server_maximum_bounds_what_the_caller_asks() {
        let mut metadata = MetadataMap::new();
        metadata.insert(GRPC_TIMEOUT, "99999999H".parse().unwrap());
        let longest = Duration::from_secs(2);
        assert!(deadline(&metadata, longest) <= Instant::now() + longest);
        metadata.insert(GRPC_TIMEOUT, "100m".parse().unwrap());
        assert!(deadline(&metadata, longest) <= Instant::now() + Duration::from_millis(90));
    }
}
