//! `--detach`: the same devnet in a process of its own, with its output in a file; this one returns once it serves.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use db3_client::devnet_args::{DevnetCommand, DevnetProgram};

use crate::control::{self, Status};
use crate::failure::Report;
use crate::home::Home;

/// Set in the environment of a detached devnet, which outlives the terminal that started it.
const DETACHED: &str = "DB3_DEVNET_DETACHED";
/// How long a detached devnet may take until it serves: a large state is loaded and hashed at a start.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(5);
/// How much of its output is shown when it fails.
const OUTPUT_BYTES_MAX: u64 = 16 * 1024;

/// Whether this process is a detached devnet.
pub fn is_detached() -> bool {
    std::env::var_os(DETACHED).is_some()
}

/// Starts it and waits until it serves.
pub fn start(program: &DevnetProgram, home: &Home) -> Result<Status> {
    std::fs::create_dir_all(home.path())
        .with_context(|| format!("cannot make the folder {}", home.path().display()))?;
    let log = home.log();
    let mut output = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("cannot open {}", log.display()))?;
    let from = output.seek(SeekFrom::End(0))?;
    let mut child = spawn(program, home, &output)?;
    let began = Instant::now();
    loop {
        if let Some(status) = control::running(home).filter(|status| status.pid == child.id()) {
            return Ok(status);
        }
        if let Some(status) = child.try_wait()? {
            return Err(failed(status, &log, from));
        }
        if began.elapsed() > PATIENCE {
            child.kill()?;
            bail!("the devnet did not serve within {} s; look into {}", PATIENCE.as_secs(), log.display());
        }
        std::thread::sleep(PAUSE);
    }
}

fn spawn(program: &DevnetProgram, home: &Home, output: &File) -> Result<Child> {
    let mut devnet = program.devnet.clone();
    let mut start = devnet.start_args().unwrap_or_default();
    start.detach = false;
    start.ready_file = start.ready_file.map(|file| std::path::absolute(&file).unwrap_or(file));
    devnet.start = db3_client::devnet_args::StartArgs::default();
    devnet.command = Some(DevnetCommand::Start(start));
    devnet.home = Some(home.path().to_owned());
    let executable = std::env::current_exe().context("the path of this program is unknown")?;
    Command::new(&executable)
        .args(program.console.to_arguments())
        .args(devnet.to_arguments())
        .env(DETACHED, "1")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", executable.display()))
}

/// What the child said when it ended: its error, or, if it died without one, the end of its output.
fn failed(status: ExitStatus, log: &Path, from: u64) -> anyhow::Error {
    let mut text = String::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(from))?;
        file.take(OUTPUT_BYTES_MAX).read_to_string(&mut text)
    });
    if let Some(report) = text.lines().rev().find_map(Report::read) {
        return report.into_error();
    }
    let said = text.trim();
    let said = if read.is_err() || said.is_empty() { "without a word" } else { said };
    anyhow::anyhow!("the devnet ended ({status}): {said}; look into {}", log.display())
}
