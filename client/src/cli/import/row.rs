//! One record to import, and what can be wrong with a file of them. Everything is found before anything is sent.

use std::collections::HashMap;
use std::fmt;

use db3_primitives::Rejection;
use db3_primitives::limits::{KEY_BYTES_MAX, PAIR_BYTES_MAX};

/// A record read from a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// Line of the file on which it begins, from 1.
    pub line: usize,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1, where it is known.
    pub column: Option<usize>,
    /// What is wrong, with the value.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// What the network would say of it, where it would refuse the record.
    pub rejection: Option<Box<Rejection>>,
}

impl Fault {
    /// A fault at a line.
    pub fn at_line(line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { line, column: None, what: what.into(), remedy: remedy.into(), rejection: None }
    }

    /// A fault at a column of a line.
    pub fn at(line: usize, column: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { line, column: Some(column), what: what.into(), remedy: remedy.into(), rejection: None }
    }
}

impl Fault {
    /// The same, with what the network would say of it.
    #[must_use]
    fn refused_with(mut self, rejection: Rejection) -> Self {
        self.rejection = Some(Box::new(rejection));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "{}:{}: {}; {}", self.line, column, self.what, self.remedy),
            None => write!(f, "{}: {}; {}", self.line, self.what, self.remedy),
        }
    }
}

/// Checks what the network would refuse: sizes, and keys that stand twice.
pub fn check(rows: &[Row]) -> Result<(), Fault> {
    let mut lines: HashMap<&[u8], usize> = HashMap::with_capacity(rows.len());
    for row in rows {
        check_size(row)?;
        if let Some(first) = lines.insert(&row.key, row.line) {
            return Err(Fault::at_line(
                row.line,
                format!("the key `{}` stands on line {first} already", shown_key(&row.key)),
                "remove one of the two lines, or choose a --key that tells them apart",
            ));
        }
    }
    Ok(())
}

fn check_size(row: &Row) -> Result<(), Fault> {
    let key_bytes = row.key.len() as u64;
    let key_invalid = || Rejection::KeyInvalid { operation: None, bytes: key_bytes, max: KEY_BYTES_MAX as u64 };
    if row.key.is_empty() {
        let fault = Fault::at_line(row.line, "the key is empty", "give the record a key, or choose another --key");
        return Err(fault.refused_with(key_invalid()));
    }
    if row.key.len() > KEY_BYTES_MAX {
        let what =
            format!("the key `{}` has {key_bytes} bytes, at most {KEY_BYTES_MAX} are allowed", shown_key(&row.key));
        let fault = Fault::at_line(row.line, what, "shorten it, or choose another --key");
        return Err(fault.refused_with(key_invalid()));
    }
    let bytes = row.key.len().saturating_add(row.value.len());
    if bytes > PAIR_BYTES_MAX {
        let what = format!(
            "key `{}` and its value have {bytes} bytes together, at most {PAIR_BYTES_MAX} are allowed",
            shown_key(&row.key)
        );
        let too_large = Rejection::PairTooLarge { operation: 0, bytes: bytes as u64, max: PAIR_BYTES_MAX as u64 };
        return Err(Fault::at_line(row.line, what, "shorten the record or split it").refused_with(too_large));
    }
    Ok(())
}

/// A key for people: text where it is text, hex where not, the middle left out where it is long.
#[must_use]
pub fn shown_key(key: &[u8]) -> String {
    let text = match std::str::from_utf8(key) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => format!("0x{}", hex::encode(key)),
    };
    if text.chars().count() <= 60 {
        return text;
    }
    let head: String = text.chars().take(57).collect();
    format!("{head}...")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn row(line: usize, key: &str, value_bytes: usize) -> Row {
        Row { line, key: key.into(), value: vec![b'v'; value_bytes] }
    }

    #[test]
    fn a_key_that_stands_twice_names_both_lines() {
        let fault = check(&[row(2, "a", 1), row(3, "b", 1), row(7, "a", 1)]).unwrap_err();
        assert_eq!(fault.line, 7);
        assert!(fault.what.contains("line 2"), "{fault}");
    }

    #[test]
    fn sizes_are_checked_with_value_and_maximum() {
        let long_key = check(&[row(1, &"k".repeat(257), 1)]).unwrap_err().to_string();
        assert!(long_key.contains("257") && long_key.contains("256"), "{long_key}");
        let large = check(&[row(4, "k", 10_240)]).unwrap_err().to_string();
        assert!(large.starts_with("4: ") && large.contains("10241") && large.contains("10240"), "{large}");
        assert!(check(&[row(4, "k", 10_239)]).is_ok());
        assert!(check(&[row(1, "", 1)]).is_err());
    }
}
