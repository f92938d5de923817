//! Every program whose reader went away, or whose disk is full: it ends with a code and, where somebody lost something, a word;
//! it never panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What each program is asked, in a folder that the lines before have left: `!` marks what only prepares the others.
const COMMANDS: &str = "
shard-node version
shard-node version --output json
!shard-node init --network other --home one --treasury 0x00000000000000000000000000000000000000a1
shard-node init --network again --home two-N --treasury 0x00000000000000000000000000000000000000a1
shard-node check --home one/other-shard-0
shard-node snapshot list --home one/other-shard-0
shard-node check --home one/other-shard-0 --output json
settlement-node version
settlement-node check --home one/other-settlement
db3-genesis init town --shards 1 --dir plan-N
!db3-genesis init town --shards 1 --dir plan
db3-genesis keys --name val-N --p2p-address 192.0.2.1 --payout 0x00000000000000000000000000000000000000a1 --operator 0x00000000000000000000000000000000000000a1 --keys keys-N --out val-N.toml --dir plan
!db3-genesis keys --name val --p2p-address 192.0.2.1 --payout 0x00000000000000000000000000000000000000a1 --operator 0x00000000000000000000000000000000000000a1 --keys keys --out val.toml --dir plan
!db3-genesis add-validator val.toml --power 10 --dir plan
db3-genesis build --dir plan
db3-genesis check --dir plan
db3-genesis check --dir plan --output json
!db3-devnet start --detach
db3-devnet status
db3-devnet status --output json
db3-devnet status --output csv
db3-devnet advance 1
db3-devnet fund 0x00000000000000000000000000000000000000a1
db3 status
db3 account list
!db3-devnet stop
db3-devnet reset --yes
";

fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_db3-history")).with_file_name(name);
    assert!(path.exists(), "there is no {}: `cargo build` builds it", path.display());
    path
}

struct Place {
    folder: tempfile::TempDir,
    port: u16,
}

impl Place {
    fn run(&self, line: &str, stdout: Stdio) -> Output {
        let mut words = line.split_whitespace();
        let mut command = Command::new(program(words.next().unwrap()));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DB3_")) {
            command.env_remove(name);
        }
        let home = self.folder.path().join("home");
        command.current_dir(self.folder.path()).env("DB3_HOME", home).env("DB3_DEVNET_PORT", self.port.to_string());
        command.args(words).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
        command.spawn().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _stopped = self.run("db3-devnet stop", Stdio::null());
    }
}

/// A port with three free ones after it.
fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let are_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (0..4).all(|n| first.checked_add(n).is_some_and(are_free)) {
            return first;
        }
    }
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    let full: File = OpenOptions::new().write(true).open("/dev/full").unwrap();
    full.into()
}

fn each(to: fn() -> Stdio, check: fn(&str, &Output, &str)) {
    let place = Place { folder: tempfile::tempdir().unwrap(), port: free_port() };
    for (number, line) in COMMANDS.lines().filter(|line| !line.is_empty()).enumerate() {
        let line = line.replace("-N", &format!("-{number}"));
        if let Some(line) = line.strip_prefix('!') {
            let output = place.run(line, Stdio::null());
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
            continue;
        }
        let output = place.run(&line, to());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{line}: {said}");
        check(&line, &output, &said);
    }
}

#[test]
fn a_reader_that_had_enough_is_no_failure() {
    each(closed, |line, output, said| {
        assert_eq!(output.status.code(), Some(0), "{line}: {said}");
        assert!(!said.contains("standard output"), "{line}: {said}");
    });
}

#[test]
fn data_that_cannot_be_written_are_an_error() {
    each(full, |line, output, said| {
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(
            said.contains("cannot write to standard output") && said.contains("check where it goes"),
            "{line}: {said}"
        );
    });
}
