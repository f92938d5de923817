//! A devnet of its own for a test: the real programs, in a temporary folder, on free ports.
#![allow(dead_code, reason = "every test file uses its part")]

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A running devnet, stopped when it is dropped.
pub struct Devnet {
    pub folder: tempfile::TempDir,
    port: u16,
}

impl Devnet {
    /// Starts one with the default home, so that commands find it without being told.
    pub fn start(arguments: &[&str]) -> Self {
        let net = Self::prepared();
        net.ok([&["devnet", "start", "--detach"], arguments].concat());
        net
    }

    /// A folder and ports, and nothing running yet.
    pub fn prepared() -> Self {
        let program = devnet_program();
        assert!(program.exists(), "there is no {}: build it first with `cargo build -p db3-devnet`", program.display());
        Self { folder: tempfile::tempdir().expect("a folder"), port: free_ports(4) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn network_file(&self) -> PathBuf {
        self.path("home/networks/devnet.toml")
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_db3"));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).env("NO_COLOR", "1");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DB3_")) {
            command.env_remove(name);
        }
        command.env("DB3_HOME", self.path("home")).env("DB3_DEVNET_PORT", self.port.to_string());
        command
    }

    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        self.command().args(arguments).output().expect("db3 runs")
    }

    /// Runs a command that must end with 0, and returns what it printed.
    pub fn ok(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let arguments: Vec<_> = arguments.into_iter().map(|word| word.as_ref().to_owned()).collect();
        let output = self.run(&arguments);
        assert!(output.status.success(), "db3 {arguments:?}: {}\n{}", output.status, text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a command that must end with `code`, and returns what it said on standard error.
    pub fn fails(&self, code: i32, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let arguments: Vec<_> = arguments.into_iter().map(|word| word.as_ref().to_owned()).collect();
        let output = self.run(&arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "db3 {arguments:?}\n{}\n{said}", text(&output.stdout));
        said
    }

    /// Runs a command with `--output json` and reads its one object.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.ok([&["--output", "json"], arguments].concat());
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {printed}"))
    }

    /// Runs a command with `--output json` and reads an object a line.
    pub fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let printed = self.ok([&["--output", "json"], arguments].concat());
        printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        let _stopped = self.command().args(["devnet", "stop", "--quiet"]).output();
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn devnet_program() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_db3")).with_file_name("db3-devnet")
}

/// The first of several neighbouring ports that nobody uses.
fn free_ports(count: u16) -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
        let all: Option<Vec<_>> =
            (0..count).map(|n| TcpListener::bind(("127.0.0.1", first.checked_add(n)?)).ok()).collect();
        if all.is_some() {
            return first;
        }
    }
}
