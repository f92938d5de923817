//! Printing data on standard output, in the format that was asked for, and messages on standard error.

use std::io::{IsTerminal, Write};

use super::failure::Failure;
use super::value::{Object, Value};
use crate::console::{ColorChoice, OutputFormat};

/// Longest cell of a table: a hash with its `0x` fits. One huge value would pad every row.
const CELL_CHARS_MAX: usize = 66;

/// Where and how to print.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// The format of data.
    pub format: OutputFormat,
    /// Whether data on standard output is coloured.
    pub color: ColorChoice,
    /// Whether to leave out everything but data and errors.
    pub quiet: bool,
    /// Whether to say more than usual.
    pub verbose: bool,
}

/// A list that is being printed: JSON and CSV go out row by row, tables at the end, when their widths are known.
pub struct List {
    output: Output,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
    header_written: bool,
}

impl Output {
    /// Prints one object: its fields one below the other in a table, one line in JSON, header and line in CSV.
    pub fn object(self, object: &Object) -> Result<(), Failure> {
        match self.format {
            OutputFormat::Json => write_out(&format!("{}\n", object.to_json())),
            OutputFormat::Csv => {
                let names: Vec<String> = object.fields().iter().map(|(name, _)| csv_field(name)).collect();
                let cells: Vec<String> = object.fields().iter().map(|(_, value)| csv_field(&value.to_cell())).collect();
                write_out(&format!("{}\n{}\n", names.join(","), cells.join(",")))
            }
            OutputFormat::Table => self.pairs(object),
        }
    }

    fn pairs(self, object: &Object) -> Result<(), Failure> {
        let titles: Vec<String> = object.fields().iter().map(|(name, _)| title(name)).collect();
        let width = titles.iter().map(|title| title.chars().count()).max().unwrap_or(0);
        let line = |(title, (_, value)): (&String, &(&str, Value))| {
            format!("{}  {}\n", self.bold(&format!("{title:<width$}")), value.to_shown())
        };
        write_out(&titles.iter().zip(object.fields()).map(line).collect::<Vec<_>>().concat())
    }

    /// Begins a list. `columns` are the fields that a table and CSV show; JSON shows all.
    #[must_use]
    pub fn list(self, columns: &[&'static str]) -> List {
        List { output: self, columns: columns.to_vec(), rows: Vec::new(), header_written: false }
    }

    /// Prints raw bytes on standard output.
    #[expect(clippy::unused_self, reason = "all printing goes through the output")]
    pub fn raw(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::from_stdout)
    }

    /// Says something to the person on standard error, unless they asked for quiet.
    pub fn say(self, text: &str) {
        if !self.quiet {
            note(text);
        }
    }

    /// Warns on standard error, unless they asked for quiet: in words, or in JSON with what the words are about.
    pub fn warn(self, message: &str, remedy: &str, details: &Object) {
        if self.format == OutputFormat::Json {
            let warning = details.clone().with("message", message).with("remedy", remedy);
            self.say(&Object::new().with("warning", Value::Object(warning)).to_json());
        } else {
            self.say(&format!("warning: {message}; {remedy}"));
        }
    }

    /// Says something that only `--verbose` asks for.
    pub fn say_more(self, text: &str) {
        if self.verbose && !self.quiet {
            note(text);
        }
    }

    /// Whether progress may be drawn.
    #[must_use]
    pub fn shows_progress(self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    fn bold(self, text: &str) -> String {
        if self.color.on_stdout() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

impl List {
    /// Prints, or takes in, one row.
    pub fn push(&mut self, object: &Object) -> Result<(), Failure> {
        match self.output.format {
            OutputFormat::Json => write_out(&format!("{}\n", object.to_json())),
            OutputFormat::Csv => {
                self.write_header()?;
                let cells: Vec<String> = self.cells(object).iter().map(|value| csv_field(&value.to_cell())).collect();
                write_out(&format!("{}\n", cells.join(",")))
            }
            OutputFormat::Table => {
                let row = self.cells(object);
                self.rows.push(row);
                Ok(())
            }
        }
    }

    /// Ends the list. `empty` is said to the person, on standard error, if there was no row in a table.
    pub fn finish(mut self, empty: &str) -> Result<(), Failure> {
        match self.output.format {
            OutputFormat::Json => Ok(()),
            OutputFormat::Csv => self.write_header(),
            OutputFormat::Table if self.rows.is_empty() => {
                self.output.say(empty);
                Ok(())
            }
            OutputFormat::Table => write_out(&self.render()),
        }
    }

    fn cells(&self, object: &Object) -> Vec<Value> {
        let absent = Value::Text(String::new());
        self.columns.iter().map(|column| object.get(column).unwrap_or(&absent).clone()).collect()
    }

    fn write_header(&mut self) -> Result<(), Failure> {
        if self.header_written {
            return Ok(());
        }
        self.header_written = true;
        let names: Vec<String> = self.columns.iter().map(|name| csv_field(name)).collect();
        write_out(&format!("{}\n", names.join(",")))
    }

    fn render(&self) -> String {
        let titles: Vec<String> = self.columns.iter().map(|name| title(name).to_uppercase()).collect();
        let shown: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|value| cut(&value.to_shown())).collect()).collect();
        let width = |column: usize, title: &String| {
            let cells = shown.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([title.chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = titles.iter().enumerate().map(|(column, title)| width(column, title)).collect();
        // A cell that is empty says nothing of its column.
        let filled =
            |column: usize| self.rows.iter().filter_map(move |row| row.get(column)).filter(|cell| !cell.is_empty());
        let right: Vec<bool> = (0..titles.len())
            .map(|column| filled(column).next().is_some() && filled(column).all(Value::is_number))
            .collect();
        let mut text = self.output.bold(aligned(&titles, &widths, &right).trim_end());
        text.push('\n');
        for row in &shown {
            text.push_str(aligned(row, &widths, &right).trim_end());
            text.push('\n');
        }
        text
    }
}

/// A cell as a table shows it: what is too long ends with an ellipsis.
fn cut(cell: &str) -> String {
    if cell.chars().count() <= CELL_CHARS_MAX {
        return cell.to_owned();
    }
    let kept: String = cell.chars().take(CELL_CHARS_MAX.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn aligned(cells: &[String], widths: &[usize], right: &[bool]) -> String {
    let mut line = String::new();
    for ((cell, width), right) in cells.iter().zip(widths).zip(right) {
        let padded = if *right { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
        line.push_str(&padded);
    }
    line
}

/// A field's name for people: `fee_tai` is shown in DB3, so that it says so.
fn title(name: &str) -> String {
    match name.strip_suffix("_tai") {
        Some(amount) => format!("{} (DB3)", amount.replace('_', " ")),
        None => name.replace('_', " "),
    }
}

/// A field of CSV by RFC 4180.
#[must_use]
pub fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::from_stdout)
}

fn note(text: &str) {
    // Nothing useful can be done where even standard error is closed.
    let _closed = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_column_of_numbers_stays_to_the_right_where_a_cell_is_empty() {
        let output = Output { format: OutputFormat::Table, color: ColorChoice::Never, quiet: false, verbose: false };
        let mut list = output.list(&["epoch", "last_height", "note"]);
        list.push(&Object::new().with("epoch", 8u64)).unwrap();
        list.push(&Object::new().with("epoch", 7u64).with("last_height", 22u64)).unwrap();
        assert_eq!(list.render(), "EPOCH  LAST HEIGHT  NOTE\n    8\n    7           22\n");
    }

    #[test]
    fn a_huge_value_is_cut_in_a_table_and_pads_nothing() {
        let output = Output { format: OutputFormat::Table, color: ColorChoice::Never, quiet: false, verbose: false };
        let mut list = output.list(&["key", "value"]);
        for (key, value) in [("a", "é".repeat(5_000)), ("b", "short".to_owned())] {
            list.push(&Object::new().with("key", key).with("value", value)).unwrap();
        }
        let text = list.render();
        assert!(text.lines().all(|line| line.chars().count() <= CELL_CHARS_MAX + 10), "{text}");
        assert!(text.contains("é…\n") && text.contains("b    short\n"), "{text}");
    }
}
