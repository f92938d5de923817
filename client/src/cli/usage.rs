//! What is said of a command line that cannot be understood: help and version go to standard output, wrong usage is an
//! error like any other, in words for people.

use std::error::Error as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::failure::{Exit, Failure};
use crate::console::{ColorChoice, OutputFormat};

/// Says it, and gives the code to end with.
pub fn report(error: &clap::Error) -> ExitCode {
    let is_error = !matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if is_error && asks_for_json() {
        let failure = Failure::input(wrong_value(error).unwrap_or_else(|| told(error)), "see --help");
        return ExitCode::from(failure.report(OutputFormat::Json, ColorChoice::Never));
    }
    if let Some(what) = wrong_value(error) {
        return ExitCode::from(Failure::input(what, "see --help").report(OutputFormat::Table, ColorChoice::Auto));
    }
    // Where the output is closed there is nobody to tell.
    let _closed = error.print();
    let code = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
        _ => Exit::Input as u8,
    };
    ExitCode::from(code)
}

/// All that clap says of what was wrong, up to where it repeats the usage.
fn told(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let said: Vec<_> = said.map(str::trim).filter(|line| !line.is_empty()).collect();
    said.join(" ").trim_start_matches("error: ").to_owned()
}

/// What is wrong with the value of an argument, if that is what is wrong.
fn wrong_value(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::ValueValidation {
        return None;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (argument, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let source = error.source()?.to_string();
    // The standard library's words for numbers say neither what was given nor what would do.
    let reason = match source.as_str() {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            format!("`{value}` is no whole number")
        }
        "number too large to fit in target type" => format!("`{value}` is too large a number"),
        "number too small to fit in target type" => format!("`{value}` is too small a number"),
        said => said.to_owned(),
    };
    Some(format!("{argument}: {reason}"))
}

/// Whether the arguments, which could not be parsed, ask for JSON.
fn asks_for_json() -> bool {
    let arguments: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let by_option = arguments.iter().any(|word| word == "--output=json")
        || arguments.windows(2).any(|pair| matches!(pair, [name, value] if name == "--output" && value == "json"));
    by_option || std::env::var("DB3_OUTPUT").is_ok_and(|value| value == "json")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Cli;

    #[test]
    fn a_wrong_number_is_named_in_words_for_people() {
        let said = |words: &str| wrong_value(&Cli::try_parse_from(words.split(' ')).unwrap_err()).unwrap();
        assert_eq!(said("db3 put t k v --if-version abc"), "--if-version <N>: `abc` is no whole number");
        assert_eq!(said("db3 devnet advance x"), "<SECS>: `x` is no whole number");
        assert!(said("db3 bill list --limit 0").starts_with("--limit <N>: 0 is not in 1.."));
        assert!(said("db3 bill list --shard 99999999999").contains("99999999999"));
        assert!(said("db3 transfer dev1 5").contains("5db3"));
    }
}
