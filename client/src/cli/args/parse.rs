//! What is written on the command line, as values: times, amounts, names of bills.

use std::time::Duration;

use db3_primitives::{BlockTime, MutationId, Tai};

use super::billing::{BillName, EpochChoice};

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
pub fn bill_name(text: &str) -> Result<BillName, String> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        [id] => mutation_id(id).map(BillName::Mutation),
        [shard, account, seq] => {
            let shard = shard.parse().map_err(|_| format!("`{shard}` is no shard; give its number"))?;
            let seq = seq.parse().map_err(|_| format!("`{seq}` is no number of a bill; give one from 1 on"))?;
            Ok(BillName::Seq { shard, account: (*account).to_owned(), seq })
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
        for account in [address, "dev0"] {
            let by_place = bill_name(&format!("1/{account}/7")).unwrap();
            assert_eq!(by_place, BillName::Seq { shard: 1, account: account.to_owned(), seq: 7 });
        }
        assert!(matches!(bill_name(&format!("0x{}", "ab".repeat(32))).unwrap(), BillName::Mutation(_)));
        for bad in ["", "1/2", "x/y/z", "0xab", "1/dev0/x"] {
            assert!(bill_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bare_number_is_no_amount() {
        assert!(amount("5").unwrap_err().contains("5db3"));
        assert_eq!(amount("0.25db3").unwrap(), Tai::new(250_000_000));
    }
}
