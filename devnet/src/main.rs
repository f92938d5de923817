//! `db3-devnet`: a local DB3 network, every node in one process. `db3 devnet …` runs this program.
//!
//! It listens on this machine alone and its accounts' keys are public: it must never be offered to anybody else.

mod accounts;
mod advance;
mod banner;
mod command;
mod control;
mod control_server;
mod detach;
mod failure;
mod fund;
mod home;
mod make;
mod network;
mod publish;
mod ready;
mod render;
mod start;

use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use clap::Parser as _;
use db3_client::console::OutputFormat;
use db3_client::devnet_args::{DevnetCommand, DevnetProgram};
use db3_console::StdoutError;

use crate::failure::Report;
use crate::home::Home;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = DevnetProgram::parse();
    match run(&program) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read had enough, and that is no failure.
        Err(error) if error.downcast_ref().is_some_and(StdoutError::is_closed) => ExitCode::SUCCESS,
        Err(error) => {
            let report = Report::of(&error);
            // The process that started a detached one reads this line, and says it in its own way.
            let format = if detach::is_detached() { OutputFormat::Json } else { program.console.output };
            report.print(format)
        }
    }
}

fn run(program: &DevnetProgram) -> Result<()> {
    let home = Home::find(program.devnet.home.as_deref())?;
    match &program.devnet.command {
        None | Some(DevnetCommand::Start(_)) => start::start(program, &home),
        Some(DevnetCommand::Stop) => command::stop(&home, program.console),
        Some(DevnetCommand::Status) => command::status(&home, program.console),
        Some(DevnetCommand::Reset) => command::reset(&home, program.console),
        Some(DevnetCommand::Advance { secs }) => command::advance(&home, *secs, program.console),
        Some(DevnetCommand::Fund { account, amount }) => command::fund(&home, account, *amount, program.console),
    }
}

/// A mutex's content. Whoever panicked with it left it whole: no lock is held across a step that can fail in between.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
