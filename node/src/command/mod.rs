//! The command line of a node, the same for every kind of chain.
//!
//! Data goes to standard output, messages and errors to standard error. Exit codes: 0 done, 1 no, 2 wrong input, 3
//! nobody answered, 70 fatal: must not be started again as it is.

mod check;
mod export;
mod failure;
mod home;
mod init;
mod relay_section;
mod rollback;
mod serve_section;
mod settings;
mod snapshot;
mod start;
mod status;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use db3_console::{StdoutError, say};
use db3_network::Output;

use crate::kind::Kind;

/// What stands in help texts for the program's name.
const PROGRAM: &str = "{program}";

/// A node's program.
#[derive(Debug, Parser)]
#[command(version)]
struct Program {
    /// What to do
    #[command(subcommand)]
    command: Command,
    /// Folder of the node.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help = "Folder of the node; of `init`: where a folder for every chain is made [default: $DB3_HOME/<chain id>]"
    )]
    home: Option<PathBuf>,
    /// How data is printed
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

/// What the program does.
#[derive(Debug, Subcommand)]
enum Command {
    /// Make the folders of a new network, its settlement chain and its shards, with one validator
    #[command(after_help = init::EXAMPLES)]
    Init(init::InitArgs),
    /// Run the node until it is told to stop
    #[command(after_help = start::EXAMPLES)]
    Start(settings::StartArgs),
    /// Ask a running node how it stands
    #[command(after_help = status::EXAMPLES)]
    Status(status::StatusArgs),
    /// Look whether the data are whole: execute blocks again and compare roots
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckArgs),
    /// Snapshots: the state at a height, as files that are the same on every node
    #[command(after_help = snapshot::EXAMPLES)]
    Snapshot(snapshot::SnapshotArgs),
    /// Go back by one height, consensus and application together; the node must be stopped
    #[command(after_help = rollback::EXAMPLES)]
    Rollback,
    /// Write the whole state as text, one JSON object a line
    #[command(after_help = export::EXAMPLES)]
    Export(export::ExportArgs),
    /// Say which program this is
    Version,
}

/// The whole program of a kind of chain.
#[must_use]
pub fn main<K: Kind>() -> ExitCode {
    let matches = described::<K>().get_matches();
    let program = Program::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run::<K>(&program) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read had enough, and that is no failure.
        Err(error) if error.downcast_ref().is_some_and(StdoutError::is_closed) => ExitCode::SUCCESS,
        Err(error) => {
            let code = failure::exit_code(&error);
            let message = failure::text(&error);
            if program.output == Output::Json {
                let object = serde_json::json!({ "error": { "message": message, "exit_code": code } });
                say!("{object}");
            } else {
                say!("error: {message}");
            }
            ExitCode::from(code)
        }
    }
}

/// The command line with the program's own name in it.
fn described<K: Kind>() -> clap::Command {
    let with_name = |command: clap::Command| match command.get_after_help().map(ToString::to_string) {
        Some(help) => command.after_help(help.replace(PROGRAM, K::PROGRAM)),
        None => command,
    };
    let program = Program::command().name(K::PROGRAM).about(K::ABOUT);
    let names: Vec<String> = program.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    names.into_iter().fold(program, |program, name| program.mut_subcommand(name, with_name))
}

/// Does what the command line says.
fn run<K: Kind>(program: &Program) -> Result<()> {
    let home = program.home.as_deref();
    match &program.command {
        Command::Init(args) => init::run::<K>(home, args, program.output),
        Command::Start(args) => start::run::<K>(home, args),
        Command::Status(args) => status::run::<K>(home, args, program.output),
        Command::Check(args) => check::run::<K>(home, args, program.output),
        Command::Snapshot(args) => snapshot::run::<K>(home, args, program.output),
        Command::Rollback => rollback::run::<K>(home, program.output),
        Command::Export(args) => export::run::<K>(home, args),
        Command::Version => Ok(version::run(K::PROGRAM, program.output)?),
    }
}
