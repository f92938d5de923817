//! `stop`, `status`, `reset`, `advance` and `fund`: they speak to the devnet that runs in a folder, or to nobody.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use db3_client::console::OutputFormat;
use db3_client::devnet_args::ConsoleArgs;
use db3_console::out;
use db3_primitives::{Address, Tai};
use serde_json::json;

use crate::control::{self, Answer, Question};
use crate::failure::Failure;
use crate::home::Home;
use crate::render;

/// How long a stopping devnet may take: it brings its snapshots forward.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// How long what crosses the chains may take: lines, closes, rounds, leases.
const CROSSING_PATIENCE: Duration = Duration::from_secs(360);
/// How long the answer to a status may take.
const STATUS_PATIENCE: Duration = Duration::from_secs(10);
/// How often a stopping devnet is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// Stops the devnet and waits until it has ended.
pub fn stop(home: &Home, console: ConsoleArgs) -> Result<()> {
    let pid = stop_and_wait(home)?;
    match console.output {
        OutputFormat::Json => out!("{}", json!({ "stopped": true, "pid": pid }))?,
        OutputFormat::Csv => out!("stopped,pid\ntrue,{pid}")?,
        OutputFormat::Table if console.quiet => {}
        OutputFormat::Table => out!("The devnet (process {pid}) has stopped; its state is kept.")?,
    }
    Ok(())
}

fn stop_and_wait(home: &Home) -> Result<u32> {
    let pid = match control::ask(home, &Question::Stop, STATUS_PATIENCE)? {
        Answer::Stopping { pid } => pid,
        other @ (Answer::Status(_) | Answer::Advanced { .. } | Answer::Funded { .. } | Answer::Refused { .. }) => {
            return Err(unexpected(other));
        }
    };
    let began = Instant::now();
    while home.is_locked()? {
        if began.elapsed() > STOP_PATIENCE {
            bail!("the devnet (process {pid}) has not ended after {} s", STOP_PATIENCE.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(pid)
}

/// Prints how the devnet stands.
pub fn status(home: &Home, console: ConsoleArgs) -> Result<()> {
    match control::ask(home, &Question::Status, STATUS_PATIENCE)? {
        Answer::Status(status) => render::status(&status, console)?,
        other
        @ (Answer::Stopping { .. } | Answer::Advanced { .. } | Answer::Funded { .. } | Answer::Refused { .. }) => {
            return Err(unexpected(other));
        }
    }
    Ok(())
}

/// Removes the devnet, after stopping it, if the user agrees.
pub fn reset(home: &Home, console: ConsoleArgs) -> Result<()> {
    let running = home.is_locked()?;
    if home.made()?.is_none() && !running {
        bail!(Failure::Wrong(format!("there is no devnet in {}; `db3 devnet` makes one", home.path().display())));
    }
    let what = if running { "Stop the running devnet and remove" } else { "Remove" };
    agree(&format!("{what} all its data in {}?", home.path().display()), console)?;
    if running {
        stop_and_wait(home)?;
    }
    home.remove()?;
    match console.output {
        OutputFormat::Json => out!("{}", json!({ "removed": home.path().display().to_string() }))?,
        OutputFormat::Csv => out!("removed\n{}", home.path().display())?,
        OutputFormat::Table if console.quiet => {}
        OutputFormat::Table => {
            out!("The devnet in {} is removed; the next start begins anew.", home.path().display())?;
        }
    }
    Ok(())
}

fn agree(question: &str, console: ConsoleArgs) -> Result<()> {
    if console.yes {
        return Ok(());
    }
    if console.no_input || !std::io::stdin().is_terminal() {
        bail!(Failure::Wrong(format!("{question} Nobody can be asked here; say --yes to agree")));
    }
    db3_console::say(format_args!("{question} [y/N] "));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if matches!(line.trim(), "y" | "Y" | "yes") { Ok(()) } else { bail!("nothing was removed") }
}

/// Moves block time and prints what was closed and settled.
pub fn advance(home: &Home, secs: u64, console: ConsoleArgs) -> Result<()> {
    match control::ask(home, &Question::Advance { secs }, CROSSING_PATIENCE)? {
        Answer::Advanced { chains } => render::advanced(&chains, console)?,
        other @ (Answer::Status(_) | Answer::Stopping { .. } | Answer::Funded { .. } | Answer::Refused { .. }) => {
            return Err(unexpected(other));
        }
    }
    Ok(())
}

/// Gives an account money and prints what it has then.
pub fn fund(home: &Home, account: &str, amount: Option<Tai>, console: ConsoleArgs) -> Result<()> {
    let address: Address = account.parse().map_err(|_| {
        Failure::Wrong(format!("{account} is no address; give 0x and 40 digits, or its name to `db3 devnet fund`"))
    })?;
    let question = Question::Fund { address: address.to_string(), amount_tai: amount.map(|amount| amount.to_string()) };
    match control::ask(home, &question, CROSSING_PATIENCE)? {
        Answer::Funded { funds, owed_tai } => render::funded(&funds, owed_tai.as_deref(), console)?,
        other @ (Answer::Status(_) | Answer::Stopping { .. } | Answer::Advanced { .. } | Answer::Refused { .. }) => {
            return Err(unexpected(other));
        }
    }
    Ok(())
}

fn unexpected(answer: Answer) -> anyhow::Error {
    match answer {
        Answer::Refused { message } => anyhow::anyhow!(message),
        other @ (Answer::Status(_) | Answer::Stopping { .. } | Answer::Advanced { .. } | Answer::Funded { .. }) => {
            anyhow::anyhow!("the devnet gave the answer to another question: {other:?}")
        }
    }
}
