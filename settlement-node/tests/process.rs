//! The program itself: a network is made, its settlement chain served, killed, served again, looked over and exported.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use db3_chain::{ChainConfig, ChainHandle};
use db3_primitives::{Address, Tai};
use db3_settlement_node::ServeConfig;
use tempfile::TempDir;
use tokio::net::TcpListener;

fn node(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_settlement-node"));
    command.args(arguments).env_remove("DB3_HOME").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    node(arguments).output().unwrap()
}

fn ran(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

struct Place {
    _folder: TempDir,
    net: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let net = folder.path().join("net");
        let fund = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266=1000db3";
        ran(&["init", "--home", net.to_str().unwrap(), "--network", "test", "--shards", "2", "--fund", fund]);
        Self { _folder: folder, net }
    }

    fn home(&self) -> PathBuf {
        self.net.join("test-settlement")
    }

    fn start(&self) -> Child {
        let home = self.home();
        node(&["start", "--home", text(&home), "--listen", "127.0.0.1:0", "--block-ms", "10", "--log", "warn"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// The status that the folder's node tells.
    fn status(&self) -> serde_json::Value {
        let began = Instant::now();
        loop {
            let home = self.home();
            let output = run(&["status", "--home", text(&home), "--output", "json"]);
            if output.status.success() {
                return serde_json::from_slice(&output.stdout).unwrap();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{}", String::from_utf8_lossy(&output.stderr));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_settlement_chain_survives_kill_9_and_is_whole() {
    let place = Place::new();
    for _ in 0..2 {
        let mut child = place.start();
        let status = place.status();
        assert_eq!(status["chain_id"], "test-settlement");
        assert_eq!(status["ready"], true);
        let heard: Vec<_> = status["inboxes"].as_array().unwrap().iter().map(|inbox| &inbox["source"]).collect();
        assert_eq!(heard, ["test-shard-0", "test-shard-1"]);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let home = place.home();
    let checked = ran(&["check", "--home", text(&home), "--from-genesis", "--output", "json"]);
    let checked: serde_json::Value = serde_json::from_str(&checked).unwrap();
    let file = place.net.join("state.ndjson");
    ran(&["export", "--home", text(&home), "--out", text(&file)]);
    let copy = place.net.join("copy");
    ran(&["init", "--home", text(&copy), "--import", text(&file)]);
    let again = ran(&["check", "--home", text(&copy), "--output", "json"]);
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["root"], checked["root"], "an imported state has the exported root");
    assert!(ran(&["snapshot", "make", "--home", text(&home)]).contains("height"));
}

#[test]
fn wrong_input_ends_with_2_and_names_the_program() {
    let place = Place::new();
    let shard = place.net.join("test-shard-0");
    let other = run(&["start", "--home", text(&shard)]);
    assert_eq!(other.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&other.stderr).contains("settlement-node"), "{other:?}");
    let help = ran(&["start", "--help"]);
    assert!(help.contains("settlement-node start") && !help.contains("{program}"), "{help}");
    assert!(ran(&["version"]).starts_with("settlement-node "));
    let nobody = run(&["status", "--endpoint", "http://127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(3));
}

/// The relay of the program carries credit to a shard whose endpoint stands in its settings, and tells how it does.
#[tokio::test(flavor = "multi_thread")]
async fn credit_of_a_new_network_reaches_its_shard_through_the_nodes_own_relay() {
    let place = Place::new();
    let home = place.net.join("test-shard-1");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shard = ChainHandle::start(ChainConfig { block_ms: 10, ..ChainConfig::new(&home) }).await.unwrap();
    let served = db3_shard_node::serve_on(listener, shard.clone(), ServeConfig::new(address)).await.unwrap();
    let metrics = free_address();
    let folder = place.home();
    let mut child = node(&["start", "--home", text(&folder), "--listen", "127.0.0.1:0", "--metrics", &metrics])
        .env("DB3_RELAY_ENDPOINTS", format!("{{ test-shard-1 = [\"http://{address}\"] }}"))
        .env("DB3_RELAY_JITTER_MILLIS", "0")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let account: Address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".parse().unwrap();
    let began = Instant::now();
    while shard.provable().state.account(&account).is_none_or(|leaf| leaf.ceiling == Tai::ZERO) {
        assert!(began.elapsed() < Duration::from_secs(60), "no credit came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The relay looks in both directions, one after the other: the second may not have been looked at yet.
    let told = loop {
        let metrics = metrics.clone();
        let told = tokio::task::spawn_blocking(move || get(&metrics)).await.unwrap();
        let lines = [
            "db3_relay_frozen{from=\"test-settlement\",to=\"test-shard-1\"} 0",
            "db3_relay_lag_entries{from=\"test-shard-1\",to=\"test-settlement\"} 0",
        ];
        let missing: Vec<_> = lines.into_iter().filter(|line| !told.contains(line)).collect();
        if missing.is_empty() {
            break told;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{missing:?} in {told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(told.matches("# EOF").count(), 1, "one text: {told}");
    child.kill().unwrap();
    child.wait().unwrap();
    served.stop().await;
    shard.shutdown().await;
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn get(address: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
