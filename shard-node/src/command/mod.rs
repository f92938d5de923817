//! The command line of `shard-node`.
//!
//! Data goes to standard output, messages and errors to standard error. Exit codes: 0 done, 1 no, 2 wrong input, 3
//! nobody answered, 70 fatal: must not be started again as it is.

mod check;
mod export;
pub mod failure;
mod home;
mod init;
mod settings;
mod snapshot;
mod start;
mod status;
mod version;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

/// Runs a shard chain of a DB3 network.
#[derive(Debug, Parser)]
#[command(name = "shard-node", version, about = "Runs a shard chain of a DB3 network")]
pub struct Program {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// Folder of the node.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help = "Folder of the node [default: $DB3_HOME/<chain id>, if there is one]"
    )]
    pub home: Option<PathBuf>,
    /// How data is printed
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "table")]
    pub output: Output,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// One JSON object, or one a line for lists.
    Json,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the folder of a new chain with one validator
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
    /// Write the whole state as text, one JSON object a line
    #[command(after_help = export::EXAMPLES)]
    Export(export::ExportArgs),
    /// Say which program this is
    Version,
}

/// Does what the command line says.
pub fn run(program: &Program) -> Result<()> {
    let home = program.home.as_deref();
    match &program.command {
        Command::Init(args) => init::run(home, args, program.output),
        Command::Start(args) => start::run(home, args),
        Command::Status(args) => status::run(home, args, program.output),
        Command::Check(args) => check::run(home, args, program.output),
        Command::Snapshot(args) => snapshot::run(home, args, program.output),
        Command::Export(args) => export::run(home, args),
        Command::Version => {
            version::run(program.output);
            Ok(())
        }
    }
}
