//! What is written on the command line, as values: times, amounts, names of bills.

use std::time::Duration;

use db3_primitives::{Address, BlockTime, MutationId, Tai};

use super::billing::EpochChoice;
use crate::BillRef;

/// A time such as 500ms, 30s, 2m or 1h; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let number: f64 = digits.parse().map_err(|_| format!("`{text}` is no time; write it as 500ms, 30s, 2m or 1h"))?;
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("`{unit}` is no unit of time; use ms, s, m or h")),
    };
    let duration = Duration::try_from_secs_f64(number * factor).map_err(|error| format!("`{text}`: {error}"))?;
    if duration.is_zero() { Err(format!("`{text}` is no time to wait; give more than 0")) } else { Ok(duration) }
}

/// An amount with its unit.
pub fn amount(text: &str) -> Result<Tai, String> {
    Tai::parse_with_unit(text).map_err(|error| error.to_string())
}

/// A moment by RFC 3339.
pub fn time(text: &str) -> Result<BlockTime, String> {
    BlockTime::parse_rfc3339(text).map_err(|error| error.to_string())
}

/// One character, or tab.
pub fn delimiter(text: &str) -> Result<char, String> {
    let mut letters = text.chars();
    match (text, letters.next(), letters.next()) {
        ("tab" | "\\t", _, _) => Ok('\t'),
        (_, Some(letter), None) if letter != '"' && letter != '\n' && letter != '\r' => Ok(letter),
        _ => Err(format!("`{text}` is no delimiter; give one character, or tab")),
    }
}

/// An identifier of a mutation.
pub fn mutation_id(text: &str) -> Result<MutationId, String> {
    db3_primitives::hash::parse_hash(text).map(MutationId).map_err(|error| error.to_string())
}

/// A number, open or last.
pub fn epoch(text: &str) -> Result<EpochChoice, String> {
    match text {
        "open" => Ok(EpochChoice::Open),
        "last" => Ok(EpochChoice::Last),
        number => number
            .parse()
            .map(EpochChoice::Number)
            .map_err(|_| format!("`{text}` is no epoch; give a number, open or last")),
    }
}

/// SHARD/ACCOUNT/SEQ, or the identifier of the mutation.
pub fn bill_ref(text: &str) -> Result<BillRef, String> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        [id] => mutation_id(id).map(BillRef::Mutation),
        [shard, account, seq] => {
            let shard = shard.parse().map_err(|_| format!("`{shard}` is no shard; give its number"))?;
            let account: Address = account.parse().map_err(|error| format!("{error}"))?;
            let seq = seq.parse().map_err(|_| format!("`{seq}` is no number of a bill"))?;
            Ok(BillRef::Seq { shard, account, seq })
        }
        _ => Err(format!("`{text}` names no bill; write SHARD/ACCOUNT/SEQ, or the mutation's identifier")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn times_carry_their_unit_or_are_seconds() {
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("120s").unwrap(), Duration::from_secs(120));
        assert_eq!(duration("30").unwrap(), Duration::from_secs(30));
        assert_eq!(duration("1.5m").unwrap(), Duration::from_secs(90));
        for bad in ["", "s", "0", "-1s", "1d", "1e99h", "NaN"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bills_are_named_by_place_or_by_mutation() {
        let address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        let by_place = bill_ref(&format!("1/{address}/7")).unwrap();
        assert_eq!(by_place, BillRef::Seq { shard: 1, account: address.parse().unwrap(), seq: 7 });
        assert!(matches!(bill_ref(&format!("0x{}", "ab".repeat(32))).unwrap(), BillRef::Mutation(_)));
        for bad in ["", "1/2", "x/y/z", "0xab", "1/0x0/1"] {
            assert!(bill_ref(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bare_number_is_no_amount() {
        assert!(amount("5").unwrap_err().contains("5db3"));
        assert_eq!(amount("0.25db3").unwrap(), Tai::new(250_000_000));
    }
}
