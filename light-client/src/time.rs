//! A point in time as headers carry it.
//!
//! Byte layout: seconds (i64, big endian) ‖ nanoseconds (u32, big endian).

use std::fmt;
use std::time::Duration;

use tendermint::Time;

/// Seconds and nanoseconds since 1970-01-01 UTC, in the years 1 to 9999 (the range of a protobuf timestamp).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime {
    secs: i64,
    nanos: u32,
}

impl UnixTime {
    /// The last moment of the year 9999.
    pub const MAX: Self = Self { secs: 253_402_300_799, nanos: 999_999_999 };
    /// The first moment of the year 1.
    pub const MIN: Self = Self { secs: -62_135_596_800, nanos: 0 };

    /// None outside the years 1 to 9999 or where `nanos` is a second or more.
    #[must_use]
    pub fn new(secs: i64, nanos: u32) -> Option<Self> {
        let time = Self { secs, nanos };
        (nanos < 1_000_000_000 && time >= Self::MIN && time <= Self::MAX).then_some(time)
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub fn secs(self) -> i64 {
        self.secs
    }

    /// Nanoseconds after [`secs`](Self::secs).
    #[must_use]
    pub fn nanos(self) -> u32 {
        self.nanos
    }

    /// The time `secs` seconds earlier, no earlier than [`MIN`](Self::MIN).
    #[must_use]
    pub fn saturating_sub_secs(self, secs: u64) -> Self {
        i64::try_from(secs)
            .ok()
            .and_then(|secs| Self::new(self.secs.checked_sub(secs)?, self.nanos))
            .unwrap_or(Self::MIN)
    }

    /// How long after `earlier` it is; zero if it is before.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        let nanos =
            |time: Self| i128::from(time.secs).saturating_mul(1_000_000_000).saturating_add(i128::from(time.nanos));
        let between = u128::try_from(nanos(self).saturating_sub(nanos(earlier))).unwrap_or(0);
        let secs = u64::try_from(between.checked_div(1_000_000_000).unwrap_or(0)).unwrap_or(u64::MAX);
        Duration::new(secs, u32::try_from(between.checked_rem(1_000_000_000).unwrap_or(0)).unwrap_or(0))
    }

    pub(crate) fn from_tendermint(time: Time) -> Self {
        let nanos = time.unix_timestamp_nanos().rem_euclid(1_000_000_000);
        Self { secs: time.unix_timestamp(), nanos: u32::try_from(nanos).unwrap_or(0) }
    }

    /// Always possible, because both have the same range; the year 1970 would be a wrong answer, so the error is passed on.
    pub(crate) fn to_tendermint(self) -> Result<Time, tendermint::Error> {
        Time::from_unix_timestamp(self.secs, self.nanos)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_tendermint() {
            Ok(time) => time.fmt(f),
            Err(_) => write!(f, "{}.{:09} s", self.secs, self.nanos),
        }
    }
}
