//! What ends a command of the devnet, and the exit code that goes with it (docs: SURFACE's exit codes).
//!
//! A message says what was wrong and, after its last semicolon, what to do.

use std::process::ExitCode;

use db3_client::console::OutputFormat;
use db3_console::{STDOUT_EXIT_CODE, StdoutError, say};
use serde::{Deserialize, Serialize};

/// An error with an exit code of its own. Any other error is 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Wrong usage or input: exit code 2.
    #[error("{0}")]
    Wrong(String),
    /// No devnet answers: exit code 3.
    #[error("{0}")]
    NobodyAnswered(String),
    /// The devnet was asked and has not answered: exit code 6.
    #[error("{0}")]
    OutcomeUnknown(String),
    /// A running devnet failed and must not be restarted as it is: exit code 70.
    #[error("{0}")]
    Fatal(String),
}

/// An error as `--output json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What was wrong, and what to do.
    error: Details,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Details {
    exit_code: u8,
    message: String,
    remedy: String,
}

impl Report {
    /// What is to be said of an error.
    pub fn of(error: &anyhow::Error) -> Self {
        let text = format!("{error:#}");
        let (message, remedy) = text.rsplit_once("; ").unwrap_or((&text, ""));
        let error = Details { exit_code: exit_code(error), message: message.to_owned(), remedy: remedy.to_owned() };
        Self { error }
    }

    /// The report that a line holds; none if it holds anything else.
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// Prints it on standard error; the code to end with.
    pub fn print(&self, format: OutputFormat) -> ExitCode {
        let Details { exit_code, message, remedy } = &self.error;
        match (format, remedy.as_str()) {
            (OutputFormat::Json, _) => say!("{}", self.to_json()),
            (OutputFormat::Table | OutputFormat::Csv, "") => say!("error: {message}"),
            (OutputFormat::Table | OutputFormat::Csv, remedy) => say!("error: {message}\n  {remedy}"),
        }
        ExitCode::from(*exit_code)
    }

    /// One line.
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// The error again, as one that happened here.
    pub fn into_error(self) -> anyhow::Error {
        let Details { exit_code, message, remedy } = self.error;
        let text = if remedy.is_empty() { message } else { format!("{message}; {remedy}") };
        match exit_code {
            2 => Failure::Wrong(text).into(),
            3 => Failure::NobodyAnswered(text).into(),
            6 => Failure::OutcomeUnknown(text).into(),
            70 => Failure::Fatal(text).into(),
            _ => anyhow::anyhow!(text),
        }
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<StdoutError>() {
        return STDOUT_EXIT_CODE;
    }
    match error.downcast_ref::<Failure>() {
        Some(Failure::Wrong(_)) => 2,
        Some(Failure::NobodyAnswered(_)) => 3,
        Some(Failure::OutcomeUnknown(_)) => 6,
        Some(Failure::Fatal(_)) => 70,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn an_error_survives_its_way_out_of_another_process() {
        let error = anyhow::Error::from(Failure::Wrong("port 7 is taken; choose another with --port".to_owned()));
        let report = Report::of(&error);
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["error"]["message"], "port 7 is taken");
        assert_eq!(json["error"]["remedy"], "choose another with --port");
        assert_eq!(json["error"]["exit_code"], 2);
        let again = Report::read(&report.to_json()).unwrap().into_error();
        assert_eq!((Report::of(&again), again.to_string()), (report, error.to_string()));
        assert_eq!(Report::read("error: something else"), None);
    }
}
