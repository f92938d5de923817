//! `db3 devnet`: hands over to `db3-devnet`, which stands beside this program.

use std::path::PathBuf;
use std::process::Command;

use super::args::Global;
use super::failure::Failure;
use super::session::Session;
use crate::devnet_args::{ConsoleArgs, DevnetArgs};

/// `db3 devnet`
pub fn devnet(global: &Global, args: &DevnetArgs) -> Result<(), Failure> {
    let program = program()?;
    let session = Session::new(global.clone())?;
    let mut args = args.clone();
    args.start.port = args.start.port.or(session.config.devnet_port);
    let console = ConsoleArgs {
        output: session.output.format,
        color: session.output.color,
        yes: session.global.yes,
        no_input: session.global.no_input,
        quiet: session.global.quiet,
    };
    let mut command = Command::new(&program);
    command.args(console.to_arguments()).args(args.to_arguments());
    hand_over(command, &program)
}

fn program() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().and_then(std::fs::canonicalize);
    let own =
        own.map_err(|error| Failure::input(format!("cannot find this program: {error}"), "run db3-devnet itself"))?;
    let beside = own.with_file_name(format!("db3-devnet{}", std::env::consts::EXE_SUFFIX));
    if beside.exists() {
        return Ok(beside);
    }
    Err(Failure::input(
        format!("there is no {}", beside.display()),
        "build it with `cargo build -p db3-devnet`, or install it beside db3 with scripts/install",
    ))
}

/// Becomes the other program, so that signals and exit code are its own.
#[cfg(unix)]
fn hand_over(mut command: Command, program: &std::path::Path) -> Result<(), Failure> {
    use std::os::unix::process::CommandExt as _;
    // It returns only if it fails.
    let error = command.exec();
    Err(Failure::file("run", program, &error))
}

/// Runs the other program and ends as it does.
#[cfg(not(unix))]
fn hand_over(mut command: Command, program: &std::path::Path) -> Result<(), Failure> {
    let status = command.status().map_err(|error| Failure::file("run", program, &error))?;
    std::process::exit(status.code().unwrap_or(1))
}
