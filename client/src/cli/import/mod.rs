//! `db3 import`: a file of records as signed mutations. Everything that can be wrong with the file is found before
//! anything is sent; what is there already is not written again, so that a run that was interrupted is simply repeated.

mod csv;
mod json;
mod plan;
mod row;
mod run;

use std::path::Path;

use super::args::{FileFormat, ImportArgs};
use super::failure::Failure;
use super::session::Session;
use super::write::read_text;
use csv::{Layout, Shape};
use row::{Fault, Row};

/// `db3 import`
pub async fn import(session: &Session, args: &ImportArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let (namespace, table) = session.table(&args.table, &network)?;
    let rows = read(args)?;
    run::run(session, network, (&namespace, &table), args, rows).await
}

/// Reads and checks the whole file.
fn read(args: &ImportArgs) -> Result<Vec<Row>, Failure> {
    let text = read_text(&args.file)?;
    let shape = match &args.key {
        Some(key) => Shape::Rows { key: key.clone() },
        None => Shape::Pairs,
    };
    let (format, default_delimiter) = format_of(args)?;
    let rows = match format {
        FileFormat::Csv => {
            let layout =
                Layout { delimiter: args.delimiter.unwrap_or(default_delimiter), columns: args.columns.clone() };
            csv::read(&text, &layout, &shape)
        }
        FileFormat::Ndjson => json::read_lines(&text, &shape),
        FileFormat::Json => json::read_document(&text, &shape),
    };
    let rows = rows.and_then(|rows| row::check(&rows).map(|()| rows));
    rows.map_err(|fault| located(&args.file, &fault))
}

fn located(file: &Path, fault: &Fault) -> Failure {
    let place = match fault.column {
        Some(column) => format!("{}:{}:{column}", file.display(), fault.line),
        None => format!("{}:{}", file.display(), fault.line),
    };
    let failure = Failure::input(format!("{place}: {}", fault.what), format!("{}; nothing was sent", fault.remedy));
    match &fault.rejection {
        Some(rejection) => failure.numbered((**rejection).clone()),
        None => failure,
    }
}

/// The format, by the option or the file's extension, and what parts its fields.
fn format_of(args: &ImportArgs) -> Result<(FileFormat, char), Failure> {
    let extension = args.file.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    let (by_extension, delimiter) = match extension.as_deref() {
        Some("csv") => (Some(FileFormat::Csv), ','),
        Some("tsv") => (Some(FileFormat::Csv), '\t'),
        Some("json") => (Some(FileFormat::Json), ','),
        Some("ndjson" | "jsonl") => (Some(FileFormat::Ndjson), ','),
        _ if args.columns.is_some() || args.delimiter.is_some() => (Some(FileFormat::Csv), ','),
        _ => (None, ','),
    };
    match args.format.or(by_extension) {
        Some(format) => Ok((format, delimiter)),
        None => Err(Failure::input(
            format!("the format of {} is not known from its name", args.file.display()),
            "give --format csv, ndjson or json",
        )),
    }
}
