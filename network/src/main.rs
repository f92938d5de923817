//! `db3-genesis`: makes a network of validators, and the homes of a machine that takes part in one.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main()
}
