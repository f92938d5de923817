//! How commands speak: the choices that `db3` and `db3-devnet` share. Data goes to standard output, everything else to
//! standard error.

use std::io::IsTerminal;

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum OutputFormat {
    /// Aligned columns for people; amounts in DB3.
    #[default]
    Table,
    /// One JSON object, or one a line for lists; amounts in tai.
    Json,
    /// Comma-separated values with a header line; amounts in tai.
    Csv,
}

/// Whether to colour what people read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Whether to colour standard error (`stream` is whether it is a terminal).
    #[must_use]
    pub fn applies(self, stream_is_terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => db3_console::is_colored(stream_is_terminal),
        }
    }

    /// Whether to colour messages on standard error.
    #[must_use]
    pub fn on_stderr(self) -> bool {
        self.applies(std::io::stderr().is_terminal())
    }

    /// Whether to colour data on standard output.
    #[must_use]
    pub fn on_stdout(self) -> bool {
        self.applies(std::io::stdout().is_terminal())
    }
}
