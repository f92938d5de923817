//! `db3 export`: a whole table, proven complete, in a form that `db3 import` reads back.
//!
//! Rows: each value is a JSON object and is written as it is; import with `--key`. Pairs: key and value of each record,
//! whatever they hold, with version and owner beside them; import with `--pairs`. Everything is read before anything is
//! written, so that a proof that does not hold leaves no half of a file.

use std::io::Write;

use serde_json::Value as Json;

use super::args::{ExportArgs, FileFormat};
use super::failure::Failure;
use super::output::csv_field;
use super::render;
use super::session::Session;
use super::value::Object;
use crate::console::OutputFormat;
use crate::{Range, Record};

/// `db3 export`
pub async fn export(session: &Session, args: &ExportArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let (namespace, table) = session.table(&args.table, &network)?;
    let client = session.client_of(network.file).await?;
    let mut scan = client.scan(namespace.as_str(), table.as_str(), &Range::default())?;
    let mut records = Vec::new();
    while let Some(page) = scan.next_page(1_000).await? {
        records.extend(page);
    }
    let format = args.format.unwrap_or(match session.output.format {
        OutputFormat::Csv => FileFormat::Csv,
        OutputFormat::Table | OutputFormat::Json => FileFormat::Ndjson,
    });
    let pairs = args.pairs
        || (session.output.format == OutputFormat::Json && args.format.is_none())
        || !is_object(records.first());
    let text = if pairs { as_pairs(&records, format) } else { as_rows(&records, format)? };
    if let Some(path) = &args.file {
        session.write_file(path, text.as_bytes())?;
    } else {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::from_stdout)?;
    }
    if let Some(at) = scan.at() {
        let proven = if at.verified { ", proven complete" } else { "" };
        session.output.say_more(&format!(
            "{} records{proven} at height {} of {}",
            records.len(),
            at.height,
            at.chain_id
        ));
    }
    Ok(())
}

/// An empty table has no shape; the first record decides for all.
fn is_object(record: Option<&Record>) -> bool {
    record.is_none_or(|record| matches!(serde_json::from_slice(&record.value), Ok(Json::Object(_))))
}

fn as_pairs(records: &[Record], format: FileFormat) -> String {
    let pair = |record: &Record| {
        let object = render::bytes_field(Object::new(), ("key", "key_hex"), record.key.as_bytes());
        render::bytes_field(object, ("value", "value_hex"), &record.value)
            .with("version", record.version)
            .with("owner", record.owner.to_string())
            .with("update_time", record.update_time)
    };
    match format {
        FileFormat::Ndjson => lines(records.iter().map(|record| pair(record).to_json())),
        FileFormat::Json => array(records.iter().map(|record| pair(record).to_json())),
        FileFormat::Csv => {
            let names = ["key", "key_hex", "value", "value_hex", "version", "owner", "update_time"];
            let line = |object: &Object| {
                let cells =
                    names.map(|name| object.get(name).map(|value| csv_field(&value.to_cell())).unwrap_or_default());
                format!("{}\n", cells.join(","))
            };
            std::iter::once(format!("{}\n", names.join(",")))
                .chain(records.iter().map(|record| line(&pair(record))))
                .collect()
        }
    }
}

fn as_rows(records: &[Record], format: FileFormat) -> Result<String, Failure> {
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let text = std::str::from_utf8(&record.value)
            .ok()
            .filter(|text| matches!(serde_json::from_str(text), Ok(Json::Object(_))));
        let text = text.ok_or_else(|| {
            let key = render::bytes_field(Object::new(), ("key", "key_hex"), record.key.as_bytes()).to_json();
            Failure::input(format!("the record {key} is no JSON object, as the first one is"), "give --pairs")
        })?;
        rows.push(text);
    }
    match format {
        FileFormat::Ndjson => Ok(lines(rows.iter().map(|row| (*row).to_owned()))),
        FileFormat::Json => Ok(array(rows.iter().map(|row| (*row).to_owned()))),
        FileFormat::Csv => Ok(csv(&rows)),
    }
}

/// Each with a line feed.
fn lines(items: impl Iterator<Item = String>) -> String {
    let mut text = items.collect::<Vec<_>>().join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn array(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.map(|item| format!("  {item}")).collect();
    if items.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", items.join(",\n")) }
}

/// Columns in the order in which they are first met. Text stands as it is, anything else as JSON.
fn csv(rows: &[&str]) -> String {
    let objects: Vec<Vec<(String, Json)>> = rows.iter().map(|row| members(row)).collect();
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in objects.iter().flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let header: Vec<String> = names.iter().map(|name| csv_field(name)).collect();
    let mut rows = vec![header.join(",")];
    for object in &objects {
        let cell = |name: &&str| match object.iter().find(|(member, _)| member == name) {
            Some((_, Json::String(value))) => csv_field(value),
            Some((_, value)) => csv_field(&value.to_string()),
            None => String::new(),
        };
        let cells: Vec<String> = names.iter().map(cell).collect();
        rows.push(cells.join(","));
    }
    lines(rows.into_iter())
}

/// An object's members in their order.
fn members(text: &str) -> Vec<(String, Json)> {
    struct Members(Vec<(String, Json)>);
    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visit;
            impl<'de> serde::de::Visitor<'de> for Visit {
                type Value = Members;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry()? {
                        members.push(member);
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Visit)
        }
    }
    serde_json::from_str::<Members>(text).map(|members| members.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_different_fields_share_one_header() {
        let text = csv(&[r#"{"b":"1","a":"x,y"}"#, r#"{"a":2,"c":{"d":null}}"#]);
        assert_eq!(text, "b,a,c\n1,\"x,y\",\n,2,\"{\"\"d\"\":null}\"\n");
    }

    #[test]
    fn arrays_are_one_record_a_line() {
        assert_eq!(array(["1".to_owned(), "2".to_owned()].into_iter()), "[\n  1,\n  2\n]\n");
        assert_eq!(array(std::iter::empty()), "[]\n");
    }
}
