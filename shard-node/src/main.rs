//! `shard-node`: runs one shard chain of a network, for who validates it.

mod command;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = command::Program::parse();
    match command::run(&program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = command::failure::exit_code(&error);
            let message = command::failure::text(&error);
            if program.output == command::Output::Json {
                let object = serde_json::json!({ "error": { "message": message, "exit_code": code } });
                eprintln!("{object}");
            } else {
                eprintln!("error: {message}");
            }
            ExitCode::from(code)
        }
    }
}
