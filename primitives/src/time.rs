//! Block time: seconds and nanoseconds since 1970, UTC, and its text by RFC 3339.
//!
//! Nothing here asks a clock; every time is an argument.

use std::fmt;
use std::str::FromStr;

use crate::quote::quoted;

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
pub const UNIX_SECS_MAX: u64 = 253_402_300_799;
const SECS_PER_DAY: u64 = 86_400;
const NANOS_PER_SEC: u32 = 1_000_000_000;

/// A moment of block time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockTime {
    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub secs: u64,
    /// Nanoseconds after that second, < 10^9.
    pub nanos: u32,
}

/// A text that is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} is not a time: write it by RFC 3339, such as 2026-01-31T09:30:00Z")]
pub struct TimeError {
    /// The text, quoted and shortened.
    pub text: String,
}

impl BlockTime {
    /// This moment, if `nanos` < 10^9.
    #[must_use]
    pub const fn new(secs: u64, nanos: u32) -> Option<Self> {
        if nanos < NANOS_PER_SEC { Some(Self { secs, nanos }) } else { None }
    }

    /// The start of this Unix second.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self { secs, nanos: 0 }
    }

    /// RFC 3339 in UTC, `2026-01-31T09:30:00Z`, with as many decimals as it needs. A time after the year 9999 has no
    /// such form and is written `Unix second N`.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        if self.secs > UNIX_SECS_MAX {
            return format!("Unix second {}", self.secs);
        }
        let (days, second) = (self.secs.div_euclid(SECS_PER_DAY), self.secs.rem_euclid(SECS_PER_DAY));
        let (year, month, day) = civil_of_days(days);
        let (hour, minute, second) =
            (second.div_euclid(3_600), second.div_euclid(60).rem_euclid(60), second.rem_euclid(60));
        let fraction = if self.nanos == 0 {
            String::new()
        } else {
            format!(".{:09}", self.nanos).trim_end_matches('0').to_owned()
        };
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
    }

    /// Reads RFC 3339 with any offset and up to nine decimals; a leap second and a moment before 1970 are refused.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        parse(text).ok_or_else(|| TimeError { text: quoted(text) })
    }
}

impl fmt::Display for BlockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.rfc3339())
    }
}

impl FromStr for BlockTime {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        Self::parse_rfc3339(text)
    }
}

/// Year, month and day of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
#[expect(clippy::arithmetic_side_effects, reason = "days ≤ 2 932 896, so every term stays below 2^32")]
const fn civil_of_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// Days from 1970-01-01 to a date of the years 1970 to 9999 that the calendar has.
#[expect(clippy::arithmetic_side_effects, reason = "year ≤ 9999, month ≤ 12 and day ≤ 31 keep every term small")]
fn days_of_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1970..=9999).contains(&year) || !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let year_of_era = year % 400;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (year / 400 * 146_097 + day_of_era).checked_sub(719_468)
}

/// Takes `count` digits and then `separator` (nothing if empty) off the front.
fn take(text: &mut &str, count: usize, separator: &str) -> Option<u64> {
    let (digits, rest) = text.split_at_checked(count)?;
    *text = rest.strip_prefix(separator)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn parse(text: &str) -> Option<BlockTime> {
    if !text.is_ascii() {
        return None;
    }
    let upper = text.to_ascii_uppercase();
    let mut rest = upper.as_str();
    let (year, month, day) = (take(&mut rest, 4, "-")?, take(&mut rest, 2, "-")?, take(&mut rest, 2, "")?);
    rest = rest.strip_prefix('T').or_else(|| rest.strip_prefix(' '))?;
    let (hour, minute, second) = (take(&mut rest, 2, ":")?, take(&mut rest, 2, ":")?, take(&mut rest, 2, "")?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanos = match rest.strip_prefix('.') {
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, after) = fraction.split_at_checked(digits)?;
            rest = after;
            if fraction.is_empty() || fraction.len() > 9 {
                return None;
            }
            format!("{fraction:0<9}").parse().ok()?
        }
        None => 0,
    };
    let local = days_of_civil(year, month, day)?
        .checked_mul(SECS_PER_DAY)?
        .checked_add(hour.checked_mul(3_600)?)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)?;
    BlockTime::new(apply_offset(local, rest)?, nanos)
}

/// A local time in seconds less its offset: `Z`, `+hh:mm` or `-hh:mm`.
fn apply_offset(local: u64, offset: &str) -> Option<u64> {
    if offset == "Z" {
        return Some(local);
    }
    let east = offset.starts_with('+');
    let mut rest = offset.strip_prefix(['+', '-'])?;
    let (hours, minutes) = (take(&mut rest, 2, ":")?, take(&mut rest, 2, "")?);
    if hours > 23 || minutes > 59 || !rest.is_empty() {
        return None;
    }
    let secs = hours.checked_mul(3_600)?.checked_add(minutes.checked_mul(60)?)?;
    let utc = if east { local.checked_sub(secs)? } else { local.checked_add(secs)? };
    (utc <= UNIX_SECS_MAX).then_some(utc)
}
