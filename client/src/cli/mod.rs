//! The `db3` command: parses, runs, prints, and ends with the exit code that says what happened.

mod account;
mod args;
mod bench;
mod bill;
mod credit;
mod debt;
mod decode;
mod devnet;
mod epoch;
pub mod examples;
mod export;
mod failure;
mod governance;
mod history;
mod home;
mod import;
mod line_use;
mod money;
mod names;
mod network;
mod on_shard;
mod opening;
mod output;
mod period;
mod pool;
mod posting;
mod read;
mod receipt;
mod relay;
mod render;
mod send;
mod session;
mod span;
mod statement;
mod statement_export;
mod status;
mod unanswered;
mod usage;
mod value;
mod verify;
mod write;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};
use failure::{Exit, Failure};
use session::Session;
use write::WriteKind;

/// Runs the command with this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let (format, color) = Session::error_style(&cli.global);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.report(format, color)),
    }
}

fn parse() -> Result<Cli, ExitCode> {
    let matches = examples::attach(Cli::command()).try_get_matches();
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| usage::report(&error))
}

fn run(cli: Cli) -> Result<(), Failure> {
    // These need neither settings nor network.
    match &cli.command {
        Command::Completions { shell } => return completions(*shell),
        Command::Devnet(devnet) => return devnet::devnet(&cli.global, devnet),
        _ => {}
    }
    let session = Session::new(cli.global)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::input(format!("cannot start: {error}"), "try again"))?;
    let outcome = runtime.block_on(async {
        // These end in their own way when they are interrupted.
        let own_way = matches!(cli.command, Command::Import(_) | Command::Relay(_));
        tokio::select! {
            outcome = dispatch(&session, &cli.command) => outcome,
            () = interrupted(), if !own_way => Err(Failure::new(Exit::Interrupted, "interrupted", "")),
        }
    });
    runtime.shutdown_background();
    outcome
}

async fn interrupted() {
    // Without a handler the default action ends the process with the same meaning.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn dispatch(session: &Session, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Network(command) => network::network(session, command),
        Command::Account(command) => account::account(session, command),
        Command::Namespace(command) => names::namespace(session, command).await,
        Command::Table(command) => names::table(session, command).await,
        Command::Put(args) => write::write(session, WriteKind::Put, args).await,
        Command::Insert(args) => write::write(session, WriteKind::Insert, args).await,
        Command::Update(args) => write::write(session, WriteKind::Update, args).await,
        Command::Delete(args) => write::delete(session, args).await,
        Command::Mutate(args) => write::mutate(session, args).await,
        Command::Get(args) => read::get(session, args).await,
        Command::Scan(args) => read::scan(session, args).await,
        Command::Watch(args) => read::watch(session, args).await,
        Command::Verify(args) => verify::verify(session, args),
        Command::Decode(args) => decode::decode(session, args),
        Command::Import(args) => import::import(session, args).await,
        Command::Export(args) => export::export(session, args).await,
        Command::Receipt(args) => receipt::receipt(session, args).await,
        Command::Bill(command) => bill::bill(session, command).await,
        Command::Statement(command) => statement::statement(session, command).await,
        Command::Posting(command) => posting::posting(session, command).await,
        Command::Pool(command) => pool::pool(session, command).await,
        Command::Epoch(command) => epoch::epoch(session, command).await,
        Command::Transfer(args) => money::transfer(session, args).await,
        Command::Credit(command) => money::credit(session, command).await,
        Command::Governance(command) => governance::governance(session, command).await,
        Command::Status => status::status(session).await,
        Command::Relay(args) => relay::relay(session, args).await,
        Command::Bench(command) => bench::bench(session, command).await,
        Command::Completions { shell } => completions(*shell),
        Command::Devnet(devnet) => devnet::devnet(&session.global, devnet),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "db3", &mut script);
    std::io::Write::write_all(&mut std::io::stdout().lock(), &script).map_err(Failure::from_stdout)
}
