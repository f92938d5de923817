//! The log of a node: to standard error, as text for people or as JSON lines.

use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text, coloured on a terminal unless `NO_COLOR` is set.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A filter that cannot be read, or a log that was set up before.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter.
    #[error("log filter `{filter}`: {detail}; expected such as info or db3_chain=debug,info")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The second call.
    #[error("the log is set up already")]
    Twice,
}

/// Sets up the process's log once. `filter` is in the syntax of `RUST_LOG`, which overrides it where it is set.
pub fn init(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(&wanted)
        .map_err(|error| TelemetryError::Filter { filter: wanted, detail: error.to_string() })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(db3_console::is_stderr_colored());
    match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    }
    .map_err(|_| TelemetryError::Twice)
}
