//! What a command prints, before it is known how: objects whose fields keep their order.
//!
//! JSON rules: 64-bit and larger integers are decimal strings, amounts are tai, absent things are left out.

use db3_primitives::{BlockTime, Tai};

/// One printable value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number of 32 bits or less.
    Int(u32),
    /// A measured figure.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Text; numbers of 64 bits or more stand here as decimals.
    Text(String),
    /// An amount: tai in JSON and CSV, DB3 in tables.
    Tai(Tai),
    /// The last of something that is counted; 2^64 − 1, which is never reached, is shown as "for ever".
    Until(u64),
    /// A time: to the nanosecond in JSON and for people, to the second in CSV, which spreadsheets read as a date.
    Time(BlockTime),
    /// A value of an enum of the proto files: its whole name, and how much of it is the enum's own. What is printed is the
    /// rest in small letters, as options such as `--status` take it.
    Enum(&'static str, &'static str),
    /// Several values.
    List(Vec<Value>),
    /// Named values.
    Object(Object),
}

/// Named values in the order in which they are printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Vec<(&'static str, Value)>);

impl Object {
    /// No fields yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds a field if there is something to add.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds another object's fields.
    #[must_use]
    pub fn with_all(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().cloned());
        self
    }

    /// The object without some of its fields.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(name, _)| !names.contains(name)).cloned().collect())
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &[(&'static str, Value)] {
        &self.0
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// The object as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        write_object(self, &mut text);
        text
    }
}

impl Value {
    /// The value as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        write_value(self, &mut text);
        text
    }

    /// The value in a cell of CSV: amounts in tai, structures as JSON.
    #[must_use]
    pub fn to_cell(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Enum(name, prefix) => word(name, prefix),
            Self::Tai(amount) => amount.to_string(),
            Self::Until(last) => last.to_string(),
            Self::Time(time) => BlockTime::from_secs(time.secs).rfc3339(),
            Self::Int(_) | Self::Float(_) | Self::Bool(_) | Self::List(_) | Self::Object(_) => self.to_json(),
        }
    }

    /// The value for people: amounts in DB3, yes and no, control characters made visible.
    #[must_use]
    pub fn to_shown(&self) -> String {
        match self {
            Self::Text(text) => shown(text),
            Self::Enum(name, prefix) => word(name, prefix),
            Self::Tai(amount) => amount.to_db3_string(),
            Self::Until(u64::MAX) => "for ever".to_owned(),
            Self::Until(last) => last.to_string(),
            Self::Time(time) => time.rfc3339(),
            Self::Bool(true) => "yes".to_owned(),
            Self::Bool(false) => "no".to_owned(),
            Self::Float(number) => format!("{number:.1}"),
            Self::List(values) if values.iter().all(|value| !matches!(value, Self::Object(_) | Self::List(_))) => {
                values.iter().map(Self::to_shown).collect::<Vec<_>>().join(", ")
            }
            Self::Int(_) | Self::List(_) | Self::Object(_) => self.to_json(),
        }
    }

    /// Whether a column of such values is aligned to the right.
    #[must_use]
    pub fn is_number(&self) -> bool {
        match self {
            Self::Int(_) | Self::Float(_) | Self::Tai(_) | Self::Until(_) => true,
            Self::Text(text) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Bool(_) | Self::Enum(..) | Self::List(_) | Self::Object(_) | Self::Time(_) => false,
        }
    }

    /// Whether nothing stands there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}

/// How many there are, with the word for one or for several.
#[must_use]
pub fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// What of an enum's name is its own, in small letters.
fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

/// Text that cannot move the cursor or change colours: control characters stand as escapes.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() { shown.extend(letter.escape_default()) } else { shown.push(letter) }
    }
    shown
}

fn write_object(object: &Object, text: &mut String) {
    text.push('{');
    for (position, (name, value)) in object.0.iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        write_text(name, text);
        text.push(':');
        write_value(value, text);
    }
    text.push('}');
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Int(number) => text.push_str(&number.to_string()),
        Value::Float(number) => {
            let shown = format!("{number:.3}");
            text.push_str(&shown);
        }
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Text(content) => write_text(content, text),
        Value::Enum(name, prefix) => write_text(&word(name, prefix), text),
        Value::Tai(amount) => write_text(&amount.to_string(), text),
        Value::Until(last) => write_text(&last.to_string(), text),
        Value::Time(time) => write_text(&time.rfc3339(), text),
        Value::List(values) => {
            text.push('[');
            for (position, value) in values.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write_value(value, text);
            }
            text.push(']');
        }
        Value::Object(object) => write_object(object, text),
    }
}

fn write_text(content: &str, text: &mut String) {
    // Serialising a string cannot fail.
    text.push_str(&serde_json::to_string(content).unwrap_or_default());
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Text(number.to_string())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Tai> for Value {
    fn from(amount: Tai) -> Self {
        Self::Tai(amount)
    }
}

impl From<BlockTime> for Value {
    fn from(time: BlockTime) -> Self {
        Self::Time(time)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn large_integers_and_amounts_are_decimal_strings_in_json() {
        let object =
            Object::new().with("height", 7u64).with("index", 3u32).with("fee_tai", Tai::new(250)).with("done", true);
        assert_eq!(object.to_json(), r#"{"height":"7","index":3,"fee_tai":"250","done":true}"#);
    }

    #[test]
    fn a_status_is_the_same_word_in_every_format() {
        let status = Value::Enum("BILL_STATUS_WRITTEN_OFF", "BILL_STATUS_");
        assert_eq!((status.to_shown(), status.to_cell()), ("written_off".to_owned(), "written_off".to_owned()));
        assert_eq!(status.to_json(), "\"written_off\"");
    }

    #[test]
    fn tables_show_db3_and_no_control_characters() {
        assert_eq!(Value::Tai(Tai::new(250_000_001)).to_shown(), "0.250000001");
        assert_eq!((Value::Until(u64::MAX).to_shown(), Value::Until(7).to_shown()), ("for ever".into(), "7".into()));
        assert_eq!(Value::Until(u64::MAX).to_json(), "\"18446744073709551615\"");
        assert_eq!(Value::from("a\u{1b}[31mb\n").to_shown(), "a\\u{1b}[31mb\\n");
    }

    #[test]
    fn a_time_stands_in_csv_as_spreadsheets_read_it_and_elsewhere_to_the_nanosecond() {
        let time = Value::from(BlockTime { secs: 1_796_068_860, nanos: 24_191_959 });
        assert_eq!(time.to_cell(), "2026-11-30T20:01:00Z");
        assert_eq!(time.to_json(), "\"2026-11-30T20:01:00.024191959Z\"");
        assert_eq!(time.to_shown(), "2026-11-30T20:01:00.024191959Z");
    }

    #[test]
    fn json_escapes_what_must_be_escaped() {
        let parsed: serde_json::Value =
            serde_json::from_str(&Object::new().with("key", "a\"\\\n\u{1}é").to_json()).unwrap();
        assert_eq!(parsed["key"], "a\"\\\n\u{1}é");
    }
}
