//! Reading JSON: one object a line, an array of objects, or an object that holds one such array. A row keeps its
//! fields' order, its numbers' digits and its strings' escapes: the stored value is its text without the white space
//! between tokens.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::csv::Shape;
use super::row::{Fault, Row};

/// An object whose members are still text.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// Reads one object a line. Empty lines are passed over.
pub fn read_lines(text: &str, shape: &Shape) -> Result<Vec<Row>, Fault> {
    let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate();
    lines
        .map(|(index, line)| (index.saturating_add(1), line))
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            let fields: Fields<'_> = serde_json::from_str(line).map_err(|error| syntax(&error, number))?;
            row(number, &fields, line, shape)
        })
        .collect()
}

/// Reads a whole document.
pub fn read_document(text: &str, shape: &Shape) -> Result<Vec<Row>, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('[') {
        return elements(text, text, shape);
    }
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| syntax(&error, 1))?;
    if is_row(&fields, shape) {
        return Ok(vec![row(line_of(text, text.trim_start()), &fields, text, shape)?]);
    }
    let arrays: Vec<_> = fields.0.iter().filter(|(_, value)| value.get().starts_with('[')).collect();
    match arrays.as_slice() {
        [(_, array)] => elements(text, array.get(), shape),
        [] => Err(Fault::at_line(1, "the object holds no array of records", shapes())),
        [_, ..] => {
            let names: Vec<&str> = arrays.iter().map(|(name, _)| name.as_ref()).collect();
            Err(Fault::at_line(1, format!("the object holds several arrays: {}", names.join(", ")), shapes()))
        }
    }
}

fn shapes() -> &'static str {
    "give an array of objects, an object with one array of objects inside, or one object a line (--format ndjson)"
}

fn is_row(fields: &Fields<'_>, shape: &Shape) -> bool {
    match shape {
        Shape::Rows { key } => fields.find(key).is_some(),
        Shape::Pairs => fields.find("key").or_else(|| fields.find("key_hex")).is_some(),
    }
}

fn elements(document: &str, array: &str, shape: &Shape) -> Result<Vec<Row>, Fault> {
    let first = line_of(document, array);
    let elements: Vec<&RawValue> = serde_json::from_str(array).map_err(|error| syntax(&error, first))?;
    let mut rows = Vec::with_capacity(elements.len());
    let (mut line, mut seen) = (1usize, 0usize);
    for element in elements {
        // Counts on from the element before, so that a large file is read once.
        let offset = offset_in(document, element.get());
        line = line.saturating_add(newlines(document.get(seen..offset).unwrap_or_default()));
        seen = offset;
        let fields: Fields<'_> = serde_json::from_str(element.get()).map_err(|error| syntax(&error, line))?;
        rows.push(row(line, &fields, element.get(), shape)?);
    }
    Ok(rows)
}

fn row(line: usize, fields: &Fields<'_>, text: &str, shape: &Shape) -> Result<Row, Fault> {
    match shape {
        Shape::Rows { key } => {
            let Some(value) = fields.find(key) else {
                let names: Vec<&str> = fields.0.iter().map(|(name, _)| name.as_ref()).collect();
                return Err(Fault::at_line(
                    line,
                    format!("the record has no field `{key}`"),
                    format!("choose one of: {}", names.join(", ")),
                ));
            };
            let key = scalar(value).ok_or_else(|| {
                let shown: String = value.get().chars().take(60).collect();
                Fault::at_line(
                    line,
                    format!("the field `{key}` is {shown}"),
                    "a key must be a string or a number; choose another --key",
                )
            })?;
            Ok(Row { line, key: key.into_bytes(), value: compact(text).into_bytes() })
        }
        Shape::Pairs => Ok(Row {
            line,
            key: bytes(line, fields, "key", "key_hex")?,
            value: bytes(line, fields, "value", "value_hex")?,
        }),
    }
}

fn bytes(line: usize, fields: &Fields<'_>, plain: &str, hex_name: &str) -> Result<Vec<u8>, Fault> {
    let remedy = || format!("give `{plain}` as a string, or `{hex_name}` as 0x and pairs of digits");
    let text = |value: &RawValue| serde_json::from_str::<String>(value.get()).ok();
    if let Some(found) = fields.find(hex_name).and_then(text) {
        let digits = found.strip_prefix("0x").unwrap_or(&found);
        return hex::decode(digits)
            .map_err(|error| Fault::at_line(line, format!("`{found}` is no hex: {error}"), remedy()));
    }
    let found = fields.find(plain).and_then(text);
    found
        .map(String::into_bytes)
        .ok_or_else(|| Fault::at_line(line, format!("the record has no text `{plain}`"), remedy()))
}

/// The text of a string, or the digits of a number.
fn scalar(value: &RawValue) -> Option<String> {
    let text = value.get();
    match text.bytes().next()? {
        b'"' => serde_json::from_str(text).ok(),
        b'-' | b'0'..=b'9' => Some(text.to_owned()),
        _ => None,
    }
}

/// JSON text without the white space between its tokens. The text must be valid JSON.
#[must_use]
pub fn compact(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for letter in text.chars() {
        if in_string {
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else if letter.is_ascii_whitespace() {
            continue;
        } else {
            in_string = letter == '"';
        }
        compact.push(letter);
    }
    compact
}

fn syntax(error: &serde_json::Error, first_line: usize) -> Fault {
    let line = first_line.saturating_add(error.line()).saturating_sub(1).max(1);
    Fault::at(
        line,
        error.column().max(1),
        db3_genesis::json_fault(error),
        "every record must be a JSON object in UTF-8",
    )
}

fn offset_in(document: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(document.as_ptr() as usize)
}

fn line_of(document: &str, part: &str) -> usize {
    newlines(document.get(..offset_in(document, part)).unwrap_or_default()).saturating_add(1)
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

impl Fields<'_> {
    fn find(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| *value)
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("the field `{name}` stands twice in one record")));
                    }
                    members.push((name, value));
                }
                Ok(Fields(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn rows_by(key: &str) -> Shape {
        Shape::Rows { key: key.to_owned() }
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_array_inside_an_object_is_found_and_rows_keep_their_text() {
        let document = "{\n \"3166-1\": [\n  { \"code\": \"AW\", \"n\": 1.50, \"s\": \"a b\\\" \\u00e9\" },\n\n  {\"code\":\"AF\"}\n ]\n}";
        let rows = read_document(document, &rows_by("code")).unwrap();
        assert_eq!(rows[0].line, 3);
        assert_eq!(text(&rows[0].value), r#"{"code":"AW","n":1.50,"s":"a b\" \u00e9"}"#);
        assert_eq!((rows[1].line, text(&rows[1].key)), (5, "AF"));
    }

    #[test]
    fn arrays_lines_and_single_objects_are_read() {
        assert_eq!(read_document("[{\"k\":1},{\"k\":\"x\"}]", &rows_by("k")).unwrap()[0].key, b"1");
        assert_eq!(read_document("{\"k\":\"one\",\"list\":[1]}", &rows_by("k")).unwrap().len(), 1);
        let lines = read_lines("{\"k\":\"a\"}\n\n{\"k\":\"b\"}\n", &rows_by("k")).unwrap();
        assert_eq!((lines[1].line, text(&lines[1].key)), (3, "b"));
    }

    #[test]
    fn faults_name_line_and_column() {
        let fault = read_lines("{\"k\":\"a\"}\n{\"k\" \"b\"}\n", &rows_by("k")).unwrap_err();
        assert_eq!((fault.line, fault.column), (2, Some(6)));
        let fault = read_document("[\n {\"k\":\"a\"},\n {\"k\":]\n]", &rows_by("k")).unwrap_err();
        assert_eq!((fault.line, fault.column), (3, Some(7)));
        let fault = read_document("{\"a\":[],\"b\":[]}", &rows_by("k")).unwrap_err();
        assert!(fault.what.contains("a, b"), "{fault}");
        let fault = read_document("[{\"k\":[1]}]", &rows_by("k")).unwrap_err();
        assert!(fault.to_string().contains("string or a number"), "{fault}");
        let fault = read_lines("{\"k\":1,\"k\":2}", &rows_by("k")).unwrap_err();
        assert!(fault.what.contains("twice"), "{fault}");
        assert!(read_lines("{\"name\":1}", &rows_by("k")).unwrap_err().remedy.contains("name"));
        assert!(read_lines("[1]", &rows_by("k")).is_err());
    }

    #[test]
    fn pairs_are_what_export_writes() {
        let rows = read_lines("{\"key\":\"a\",\"value_hex\":\"0x00\",\"version\":\"1\"}", &Shape::Pairs).unwrap();
        assert_eq!((rows[0].key.as_slice(), rows[0].value.as_slice()), (b"a".as_slice(), &[0u8][..]));
    }
}
