//! A process that ends at any moment loses nothing that it acknowledged, and its chain is whole: a shard with deliveries
//! on their way, and the settlement chain with rounds.
//!
//! The process is this test program again, running one workload alone. It does the same again from where its chain
//! stands, so what must be there afterwards is known without it.

mod comet;
mod settlement;
mod shard;
mod torn;

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{ChainConfig, StopReason};

const HOME: &str = "DB3_TEST_CRASH_HOME";
/// The signal that ends a process which aborts.
const ABORTED: i32 = 6;
const BLOCKS_KEPT: &str = "DB3_TEST_BLOCKS_KEPT";
/// The moments at which every process ends once; [`crate::store::Step`].
const STEPS: [&str; 5] = ["BeforeBlock", "AfterBlock", "AfterHistory", "BeforeSnapshot", "AfterSnapshot"];

/// A folder and the test that works in it.
struct Trial<'a> {
    home: &'a Path,
    workload: &'static str,
}

/// In the process: the folder to work in; none where the test runs as one among others.
fn told_home() -> Option<PathBuf> {
    std::env::var_os(HOME).map(PathBuf::from)
}

/// In the process: the settings, as told.
fn told_settings(home: &Path) -> ChainConfig {
    let blocks_kept = std::env::var(BLOCKS_KEPT).map_or(0, |text| text.parse().unwrap());
    ChainConfig { blocks_kept, ..super::support::settings(home) }
}

/// In the process: what was acknowledged, line by line.
struct Acknowledged(File);

impl Acknowledged {
    fn open(home: &Path) -> Self {
        Self(File::options().create(true).append(true).open(home.join("acknowledged")).unwrap())
    }

    /// In one piece: half a line would be read as one with the next process's first.
    fn note(&mut self, what: impl std::fmt::Display) {
        self.0.write_all(format!("{what}\n").as_bytes()).unwrap();
    }
}

/// In the process: what went wrong, which a chain that stops is the reason of.
type Failed = Box<dyn std::error::Error>;

/// In the process: works until the chain stops, and gives why it did.
async fn until_stopped(
    work: impl Future<Output = Result<(), Failed>>,
    stopped: impl Future<Output = StopReason>,
) -> StopReason {
    let mut stopped = std::pin::pin!(stopped);
    tokio::select! {
        biased;
        reason = &mut stopped => reason,
        worked = work => {
            let told = tokio::time::timeout(Duration::from_secs(20), stopped).await;
            told.unwrap_or_else(|_| panic!("the chain goes on, and the work failed: {worked:?}"))
        }
    }
}

/// In the process: notes why the chain stopped.
fn tell(home: &Path, reason: &StopReason) {
    std::fs::write(home.join("stopped"), format!("{reason:?}")).unwrap();
}

fn acknowledged(home: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(home.join("acknowledged")).unwrap_or_default();
    // A line without an end was being written when the process ended.
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(|line| line.trim().to_owned()).collect()
}

impl Trial<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", self.workload, "--nocapture"]).env(HOME, self.home);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Works until the process ends itself at a step, or panics there.
    fn end_at(&self, step: &str, more: impl FnOnce(&mut Command) -> &mut Command) {
        let mut command = self.command();
        let mut child = more(command.env("DB3_TEST_ABORT_AT", step)).spawn().unwrap();
        wait(&mut child, step, || false);
        // What fails in the process for another reason ends it otherwise.
        assert_eq!(child.wait().unwrap().signal(), Some(ABORTED), "{step} was not reached");
    }

    /// Works until so many lines were acknowledged, and is killed.
    fn kill_after(&self, lines: usize) {
        let before = acknowledged(self.home).len();
        let mut child = self.command().spawn().unwrap();
        wait(&mut child, "acknowledgements", || acknowledged(self.home).len() >= before + lines);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Works until the chain stops by itself, and tells why it did.
    fn stop_at(&self, step: &str) -> String {
        let mut child = self.command().env("DB3_TEST_PANIC_AT", step).spawn().unwrap();
        wait(&mut child, step, || false);
        assert!(child.wait().unwrap().success());
        std::fs::read_to_string(self.home.join("stopped")).unwrap()
    }

    /// Ends the process at each step, early and late, and looks at what is left.
    async fn ends_at_every_step(&self, check: impl AsyncFn(&Path)) {
        for passes in [0, 5] {
            for step in STEPS {
                let before = acknowledged(self.home).len();
                self.end_at(&format!("{step}:{passes}"), |command| command);
                check(self.home).await;
                assert!(acknowledged(self.home).len() >= before);
            }
        }
        assert!(!acknowledged(self.home).is_empty());
    }

    /// Kills the process at moments of nobody's choice, and looks at what is left.
    async fn is_killed(&self, check: impl AsyncFn(&Path)) {
        for kill in 1..=4 {
            self.kill_after(7 * kill);
            check(self.home).await;
        }
    }

    /// The thread of snapshots panics: the chain stops, says why, and goes on from there at the next start.
    async fn survives_a_panic_of_the_snapshot_thread(&self, check: impl AsyncFn(&Path)) {
        for step in ["BeforeSnapshot:2", "AfterSnapshot:1"] {
            let reason = self.stop_at(step);
            assert!(reason.contains("the snapshot thread ended") && reason.contains("Fatal"), "{reason}");
            check(self.home).await;
        }
    }
}

fn wait(child: &mut Child, what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() && !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
