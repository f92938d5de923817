//! Where two JSON texts first differ.

use serde_json::Value;

/// Path and both values of the first place where the two differ, in order of field name; none if they hold the same,
/// or if either is no JSON.
pub fn first(found: &str, expected: &str) -> Option<(String, String, String)> {
    let found: Value = serde_json::from_str(found).ok()?;
    let expected: Value = serde_json::from_str(expected).ok()?;
    within(String::new(), &found, &expected)
}

fn within(path: String, found: &Value, expected: &Value) -> Option<(String, String, String)> {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let join = |name: &String| if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
            names.into_iter().find_map(|name| match (found.get(name), expected.get(name)) {
                (Some(one), Some(other)) => within(join(name), one, other),
                (one, other) => Some((join(name), text(one), text(other))),
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let pairs = one.iter().zip(other).enumerate();
            pairs.into_iter().find_map(|(at, (one, other))| within(format!("{path}[{at}]"), one, other))
        }
        _ if found == expected => None,
        _ => Some((path, text(Some(found)), text(Some(expected)))),
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(entries)) => format!("{} entries", entries.len()),
        Some(Value::Object(fields)) => format!("{} fields", fields.len()),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_first_difference_has_its_path() {
        let told = |found: &str, expected: &str| first(found, expected).unwrap();
        let (path, found, expected) = told(r#"{"a":[{"b":1},{"b":2}]}"#, r#"{"a":[{"b":1},{"b":3}]}"#);
        assert_eq!((path.as_str(), found.as_str(), expected.as_str()), ("a[1].b", "2", "3"));
        assert_eq!(told(r#"{"a":1,"x":"y"}"#, r#"{"a":1}"#), ("x".into(), "y".into(), "nothing".into()));
        assert_eq!(told(r#"{"a":[1]}"#, r#"{"a":[1,2]}"#).1, "1 entries");
        assert_eq!(first(r#"{"a":1}"#, r#"{ "a" : 1 }"#), None);
    }
}
