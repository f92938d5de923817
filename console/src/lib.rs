//! Standard output and standard error of all programs. Data goes to standard output, and a program that cannot write them ends
//! with an error; messages go to standard error, and whoever does not want to hear them loses nothing else.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

/// Exit code of a program that could not write its data: of wrong input, since where they go is the caller's choice.
pub const STDOUT_EXIT_CODE: u8 = 2;

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}; check where it goes")]
pub struct StdoutError(#[from] pub io::Error);

impl StdoutError {
    /// Whether the reader went away: it had enough, which is no failure. The program ends with 0, and says nothing.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.kind() == ErrorKind::BrokenPipe
    }
}

/// Writes data to standard output, and hands them on at once: what fails later would fail unseen.
pub fn write(text: Arguments<'_>) -> Result<(), StdoutError> {
    let mut out = io::stdout().lock();
    out.write_fmt(text)?;
    Ok(out.flush()?)
}

/// Writes a message to standard error, if somebody hears it.
pub fn say(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// Whether messages are coloured that nobody said anything about: on a terminal, unless `NO_COLOR` is set
/// (<https://no-color.org>).
#[must_use]
pub fn is_colored(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The same of standard error.
#[must_use]
pub fn is_stderr_colored() -> bool {
    is_colored(io::stderr().is_terminal())
}

/// A line of data on standard output, or the [`StdoutError`].
#[macro_export]
macro_rules! out {
    ($format:literal $($arguments:tt)*) => {
        $crate::write(format_args!("{}\n", format_args!($format $($arguments)*)))
    };
}

/// A line of a message on standard error.
#[macro_export]
macro_rules! say {
    ($format:literal $($arguments:tt)*) => {
        $crate::say(format_args!("{}\n", format_args!($format $($arguments)*)))
    };
}
