//! `db3 get|scan|watch`

use std::io::IsTerminal;

use super::args::{GetArgs, ScanArgs, WatchArgs};
use super::failure::{Exit, Failure};
use super::render;
use super::session::Session;
use super::value::{Object, Value, shown};
use crate::console::OutputFormat;
use crate::{Answer, KeptProof, Range, Record};

/// Columns of records in tables and CSV.
const RECORD_COLUMNS: &[&str] = &["key", "value", "version", "update_time"];

/// The same in CSV, where what is no UTF-8 has columns of its own.
const RECORD_CSV_COLUMNS: &[&str] = &["key", "key_hex", "value", "value_hex", "version", "update_time"];

/// `db3 get`
pub async fn get(session: &Session, args: &GetArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let (namespace, table) = session.table(&args.table, &network)?;
    let key = session.decode("key", &args.key)?;
    let client = session.client_of(network.file).await?;
    let answer = match &args.proof_file {
        Some(path) => {
            let (answer, proof) = client.get_and_keep(namespace.as_str(), table.as_str(), &key).await?;
            keep(path, &proof)?;
            answer
        }
        None => client.get(namespace.as_str(), table.as_str(), &key).await?,
    };
    let Some(record) = &answer.value else {
        return Err(absent(&answer, &args.table, &session.encode(&key)));
    };
    match session.output.format {
        OutputFormat::Json | OutputFormat::Csv => {
            session.output.object(&render::at(render::record(session, record), &answer.at))
        }
        OutputFormat::Table => print_value(session, &record.value),
    }
}

fn absent(answer: &Answer<Option<Record>>, table: &str, key: &str) -> Failure {
    let at = &answer.at;
    let how = if at.verified { "proven" } else { "by the word of the node" };
    Failure::new(
        Exit::Absent,
        format!(
            "{table} has no record with the key `{}` ({how}, at height {} of {})",
            shown(key),
            at.height,
            at.chain_id
        ),
        "check the key, or write it with db3 put",
    )
}

/// The value alone: as it is into a file or pipe, with a line feed and nothing that moves the cursor on a terminal.
fn print_value(session: &Session, value: &[u8]) -> Result<(), Failure> {
    if session.encoding != super::args::Encoding::Text {
        return session.output.raw(format!("{}\n", session.encode(value)).as_bytes());
    }
    if !std::io::stdout().is_terminal() {
        return session.output.raw(value);
    }
    let text = session.encode(value);
    let lines: Vec<String> = text.split('\n').map(shown).collect();
    session.output.raw(format!("{}\n", lines.join("\n").trim_end_matches('\n')).as_bytes())
}

/// `db3 scan`
pub async fn scan(session: &Session, args: &ScanArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let (namespace, table) = session.table(&args.table, &network)?;
    let bound = |what: &str, text: &Option<String>| match text {
        Some(text) => session.decode(what, text),
        None => Ok(Vec::new()),
    };
    let range = Range {
        from: bound("start", &args.from)?,
        to: bound("end", &args.to)?,
        prefix: bound("prefix", &args.prefix)?,
    };
    if let (Some(from), Some(to)) = (&args.from, &args.to)
        && range.from >= range.to
    {
        return Err(Failure::input(
            format!("--from {from} does not stand before --to {to}, so no key can be in the range"),
            "ranges are [from, to): give the lower key first",
        ));
    }
    let limit = args.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let client = session.client_of(network.file).await?;
    let for_people = session.output.format != OutputFormat::Csv;
    let mut list = session.output.list(if for_people { RECORD_COLUMNS } else { RECORD_CSV_COLUMNS });
    // Whether the range went on where the limit ended the reading.
    let mut cut = false;
    let at = if let Some(path) = &args.proof_file {
        let (answer, proof) = client.scan_and_keep(namespace.as_str(), table.as_str(), &range, limit).await?;
        keep(path, &proof)?;
        for record in &answer.value {
            list.push(&render::record(session, record))?;
        }
        cut = answer.value.len() >= limit;
        Some(answer.at)
    } else {
        let mut scan = client.scan(namespace.as_str(), table.as_str(), &range)?;
        let mut left = limit;
        while left > 0 {
            let Some(page) = scan.next_page(left.min(1_000)).await? else { break };
            left = left.saturating_sub(page.len());
            cut = left == 0;
            for record in &page {
                list.push(&render::record(session, record))?;
            }
        }
        scan.at().cloned()
    };
    let how = at.map(|at| {
        let proven = match (at.verified, cut) {
            (true, false) => "proven complete".to_owned(),
            (true, true) => format!("the first {limit}, proven; there may be more"),
            (false, _) => "by the word of the node".to_owned(),
        };
        format!("{proven}, at height {} of {}", at.height, at.chain_id)
    });
    list.finish(&format!("no records ({})", how.clone().unwrap_or_default()))?;
    session.output.say(&how.unwrap_or_default());
    Ok(())
}

fn keep(path: &std::path::Path, proof: &KeptProof) -> Result<(), Failure> {
    std::fs::write(path, proof.to_json()).map_err(|error| Failure::file("write", path, &error))
}

/// `db3 watch`
pub async fn watch(session: &Session, args: &WatchArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let (namespace, table) = session.table(&args.table, &network)?;
    let prefix = args.prefix.as_deref().map(|text| session.decode("prefix", text)).transpose()?.unwrap_or_default();
    let client = session.client_of(network.file).await?;
    let mut watch = client.watch(namespace.as_str(), table.as_str(), &prefix).await?;
    session.output.say(&format!("watching {namespace}/{table}; interrupt to end"));
    let end = args.duration.and_then(|duration| tokio::time::Instant::now().checked_add(duration));
    let mut list = session.output.list(&["height", "deleted", "key", "value", "version", "mutation_id", "verified"]);
    let mut seen = 0u64;
    while args.count.is_none_or(|count| seen < count) {
        let change = match end {
            Some(end) => match tokio::time::timeout_at(end, watch.next()).await {
                Ok(change) => change?,
                Err(_) => break,
            },
            None => watch.next().await?,
        };
        seen = seen.saturating_add(1);
        let object = Object::new().with("height", change.height).with("deleted", change.record.is_none());
        let object = match &change.record {
            Some(record) => render::key_and_value(session, object, record).with("version", record.version),
            None if session.output.format == OutputFormat::Json => {
                render::bytes_field(object, ("key", "key_hex"), change.key.as_bytes())
            }
            None => object.with("key", session.encode(change.key.as_bytes())),
        };
        let object = object
            .with_some("mutation_id", change.mutation_id.map(|id| id.to_string()))
            .with("verified", change.verified);
        if session.output.format != OutputFormat::Table {
            list.push(&object)?;
            continue;
        }
        // A table's widths are known at its end only, and this has none.
        let cell = |name: &str| object.get(name).map(Value::to_shown).unwrap_or_default();
        let what = if change.record.is_some() { format!("= {}", cell("value")) } else { "removed".to_owned() };
        session.output.raw(format!("{}  {} {what}\n", cell("height"), cell("key")).as_bytes())?;
    }
    if session.output.format == OutputFormat::Table { Ok(()) } else { list.finish("") }
}
