//! The command line of `db3-genesis`.
//!
//! Data goes to standard output, warnings and errors to standard error. Exit codes: 0 done, 1 no (a genesis folder is
//! wrong, a file cannot be written), 2 wrong usage or input (a file or folder that is not there).

mod add_validator;
mod build;
mod check;
mod init;
mod join;
mod keys;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use db3_console::{STDOUT_EXIT_CODE, StdoutError, say};
use db3_network::folder::Wrong;
use db3_network::{NetworkError, Output};
use db3_primitives::BlockTime;

/// A plan in its folder.
const PLAN_FILE: &str = "plan.toml";

/// Make a network of validators: one plans it, every validator makes keys, one builds, everybody compares and joins
#[derive(Debug, Parser)]
#[command(name = "db3-genesis", version)]
struct Program {
    /// What to do
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
struct Global {
    /// Folder in which the network is prepared: plan.toml and validators/
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The genesis folder [default: genesis in --dir; of `keys` none: the network is not made yet]
    #[arg(long, global = true, value_name = "DIR")]
    genesis: Option<PathBuf>,
    /// How data is printed
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "table")]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plan a network: write plan.toml
    #[command(after_help = init::EXAMPLES)]
    Init(init::InitArgs),
    /// Make a validator's keys for all chains, on its own machine; only the public file leaves it
    #[command(after_help = keys::EXAMPLES)]
    Keys(keys::KeysArgs),
    /// Add a validator's public file to the network, with its power
    #[command(after_help = add_validator::EXAMPLES)]
    AddValidator(add_validator::AddArgs),
    /// Make the genesis folder and print its hash, which validators compare
    #[command(after_help = build::EXAMPLES)]
    Build,
    /// Look whether a genesis folder is whole, and print its hash
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckArgs),
    /// Make the homes of this machine's nodes: genesis, settings, ports, peers, keys, units
    #[command(after_help = join::EXAMPLES)]
    Join(join::JoinArgs),
}

impl Global {
    fn plan(&self) -> PathBuf {
        self.dir.join(PLAN_FILE)
    }

    fn validators(&self) -> PathBuf {
        self.dir.join("validators")
    }

    fn genesis(&self) -> PathBuf {
        self.genesis.clone().unwrap_or_else(|| self.dir.join("genesis"))
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let program = Program::parse();
    let Err(error) = run(&program) else { return ExitCode::SUCCESS };
    if error.downcast_ref().is_some_and(StdoutError::is_closed) {
        // Whoever read had enough, and that is no failure.
        return ExitCode::SUCCESS;
    }
    let code = exit_code(&error);
    if program.global.output == Output::Json {
        let object = serde_json::json!({ "error": { "message": error.to_string(), "exit_code": code } });
        say!("{object}");
    } else {
        for line in error.to_string().lines() {
            say!("error: {line}");
        }
    }
    ExitCode::from(code)
}

fn run(program: &Program) -> Result<()> {
    let global = &program.global;
    match &program.command {
        Command::Init(args) => init::run(global, args),
        Command::Keys(args) => keys::run(global, args),
        Command::AddValidator(args) => add_validator::run(global, args),
        Command::Build => build::run(global),
        Command::Check(args) => check::run(global, args),
        Command::Join(args) => join::run(global, args),
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(wrong) = error.downcast_ref::<Wrong>() {
        return if wrong.absent { 2 } else { 1 };
    }
    if error.is::<StdoutError>() {
        return STDOUT_EXIT_CODE;
    }
    match error.downcast_ref::<NetworkError>() {
        // A file that is not there was named wrongly.
        Some(NetworkError::File { source, .. }) if source.kind() == ErrorKind::NotFound => 2,
        Some(NetworkError::File { .. } | NetworkError::Keys(_)) | None => 1,
        Some(_) => 2,
    }
}

/// What this machine's clock says.
fn now() -> Result<BlockTime> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    Ok(BlockTime::from_secs(since.as_secs()))
}

/// Warnings, for people.
fn warn(warnings: &[String]) {
    for warning in warnings {
        say!("warning: {warning}");
    }
}

fn hash_text(hash: &db3_primitives::Hash32) -> String {
    format!("0x{}", hex::encode(hash))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
