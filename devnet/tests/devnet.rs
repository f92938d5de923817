//! The program itself, on free ports and in folders of its own: start, what it announces, stop, time, reset.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use db3_client::keystore::{Folder, open};
use db3_client::{Client, Options, load_network};
use db3_genesis::{NetworkFile, NetworkKind};
use db3_primitives::SecretKey;
use serde_json::Value;
use tempfile::TempDir;

/// Folders and ports of one test; whatever still runs in them ends with it.
struct Place {
    folder: TempDir,
    port: u16,
}

/// A free port with two free ones after it.
fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let free =
            |above: u16| port.checked_add(above).is_some_and(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
        if port > 1_024 && free(1) && free(2) {
            return port;
        }
    }
}

impl Place {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), port: free_port() }
    }

    fn db3_home(&self) -> PathBuf {
        self.folder.path().join("db3")
    }

    fn home(&self) -> PathBuf {
        self.db3_home().join("devnet")
    }

    fn ready_file(&self) -> PathBuf {
        self.folder.path().join("ready.json")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_db3-devnet"));
        command.args(arguments).env("DB3_HOME", self.db3_home()).env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn ran(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts in the foreground and waits for the ready file.
    fn start(&self, more: &[&str]) -> Running<'_> {
        let (port, ready) = (self.port.to_string(), self.ready_file());
        let _ = std::fs::remove_file(&ready);
        let mut arguments = vec!["start", "--port", &port, "--ready-file", ready.to_str().unwrap()];
        arguments.extend(more);
        let mut child = self.command(&arguments).stdout(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while !ready.exists() {
            assert!(child.try_wait().unwrap().is_none(), "the devnet ended");
            assert!(began.elapsed() < Duration::from_secs(60), "the devnet does not serve");
            std::thread::sleep(Duration::from_millis(2));
        }
        Running { place: self, child }
    }

    fn ready(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.ready_file()).unwrap()).unwrap()
    }

    /// What `advance` prints, by chain.
    fn advance(&self, secs: &str) -> Vec<Value> {
        let text = self.ran(&["advance", secs, "--output", "json"]);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.ran(&["status", "--output", "json"])).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.command(&["stop"]).stderr(Stdio::null()).stdout(Stdio::null()).status();
    }
}

struct Running<'p> {
    place: &'p Place,
    child: Child,
}

impl Running<'_> {
    fn stop(mut self) {
        self.place.ran(&["stop"]);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_started_devnet_announces_accounts_chains_and_keys() {
    let place = Place::new();
    let running = place.start(&["--accounts", "3"]);
    let ready = place.ready();
    assert_eq!(ready["accounts"][0]["name"], "dev0");
    assert_eq!(ready["accounts"][0]["address"], "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    assert_eq!(ready["accounts"].as_array().unwrap().len(), 3);
    let nodes = ready["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3);
    assert_eq!(nodes[0]["chain_id"], "devnet-settlement");
    assert_eq!(nodes[0]["grpc"], format!("http://127.0.0.1:{}", place.port));
    assert_eq!(nodes[2]["chain_id"], "devnet-shard-1");
    assert_eq!(nodes[2]["grpc"], format!("http://127.0.0.1:{}", place.port + 2));
    assert!(nodes.iter().all(|node| node["pid"] == running.child.id() && node["index"] == 0));

    let file = PathBuf::from(ready["network_file"].as_str().unwrap());
    let beside = place.db3_home().join("networks/devnet.toml");
    for file in [file, beside] {
        let network = NetworkFile::load(&file).unwrap();
        assert_eq!((network.kind, network.shards().count()), (NetworkKind::Devnet, 2));
        let keys = Folder::new(network.keystore_folder(&file).unwrap());
        let account = keys.find("dev2").unwrap().expect("the keystore is where the file says");
        open(&account.key_file().unwrap(), "dev").unwrap();
    }
    let config = std::fs::read_to_string(place.db3_home().join("config.toml")).unwrap();
    assert!(config.contains("network = \"devnet\""), "{config}");
    running.stop();
    assert!(!place.ready_file().exists(), "nothing says that it serves");
}

#[test]
fn a_second_start_says_who_is_running() {
    let place = Place::new();
    let running = place.start(&[]);
    for detach in [&[][..], &["--detach"]] {
        let output = place.run(&[&["start"], detach].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(&running.child.id().to_string()), "{}", said(&output));
    }
    running.stop();
}

#[test]
fn time_moves_and_stays_moved_after_kill_9() {
    let place = Place::new();
    let running = place.start(&["--epoch-secs", "60", "--shards", "1"]);
    let before: u64 = place.status()["chains"][1]["open_epoch"].as_str().unwrap().parse().unwrap();
    let advanced = place.advance("600");
    assert_eq!(advanced[0]["chain_id"], "devnet-settlement");
    let closed = &advanced[1];
    let after: u64 = closed["open_epoch"].as_str().unwrap().parse().unwrap();
    assert!(after >= before + 10, "{closed}");
    let listed = closed["closed"].as_array().unwrap();
    assert_eq!(listed[0]["epoch"], before.to_string());
    assert_eq!(listed.last().unwrap()["last_epoch"], (after - 1).to_string());
    let settled: u64 = place.status()["chains"][0]["settled_epoch"].as_str().unwrap().parse().unwrap();
    assert!(settled >= after - 1, "what was closed is settled");
    running.kill();
    let running = place.start(&[]);
    let again: u64 = place.status()["chains"][1]["open_epoch"].as_str().unwrap().parse().unwrap();
    assert!(again >= after, "block time never goes back");
    assert!(place.ran(&["advance", "60"]).contains("closed epoch"));
    running.stop();
}

#[test]
fn what_shapes_the_state_cannot_change_until_reset() {
    let place = Place::new();
    place.start(&["--shards", "1", "--epoch-secs", "30"]).stop();
    let port = place.port.to_string();
    let stranger = "0x70997970C51812dc3A010C7d01b50e0d17dc79C9";
    for (option, value) in [("--shards", "2"), ("--epoch-secs", "31"), ("--accounts", "4")] {
        let output = place.run(&["start", "--port", &port, option, value]);
        assert_eq!(output.status.code(), Some(2), "{option}");
        assert!(said(&output).contains("reset") && said(&output).contains(option), "{}", said(&output));
    }
    let output = place.run(&["reset"]);
    assert_eq!(output.status.code(), Some(2), "nobody can be asked");
    assert!(said(&output).contains("--yes"));
    place.ran(&["reset", "--yes"]);
    assert!(!place.home().exists() && !place.db3_home().join("networks/devnet.toml").exists());
    let running = place.start(&["--shards", "2", "--fund", &stranger.to_lowercase()]);
    assert_eq!(place.status()["funded"].as_array().unwrap().len(), 1);
    running.stop();
}

#[test]
fn a_taken_port_is_named_with_the_remedy() {
    let place = Place::new();
    let taken = TcpListener::bind(("127.0.0.1", place.port + 2)).unwrap();
    let output = place.run(&["start", "--port", &place.port.to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains(&(place.port + 2).to_string()) && said(&output).contains("--port"),
        "{}",
        said(&output)
    );
    drop(taken);
    let detached = place.run(&["start", "--port", "65000", "--shards", "600"]);
    assert_eq!(detached.status.code(), Some(2), "{}", said(&detached));
}

#[test]
fn a_detached_devnet_serves_when_the_command_returns() {
    let place = Place::new();
    let port = place.port.to_string();
    let text = place.ran(&["start", "--detach", "--port", &port]);
    assert!(
        text.contains("devnet-shard-0") && text.contains("dev0") && text.contains("put notes hello world"),
        "{text}"
    );
    let status = place.status();
    let served = std::net::TcpStream::connect(("127.0.0.1", place.port + 1));
    assert!(served.is_ok());
    assert_eq!(status["nodes"].as_array().unwrap().len(), 3);
    assert!(place.ran(&["status"]).contains("devnet-shard-1"));
    place.ran(&["stop"]);
    let nobody = place.run(&["status"]);
    assert_eq!(nobody.status.code(), Some(3), "{}", said(&nobody));
    let failed = place.run(&["start", "--detach", "--port", &port, "--shards", "5"]);
    assert_eq!(failed.status.code(), Some(2));
    assert!(said(&failed).contains("--shards"), "{}", said(&failed));
}

#[test]
fn what_is_spent_on_the_shards_is_debited_and_paid_when_time_moves() {
    let place = Place::new();
    let running = place.start(&["--accounts", "2"]);
    let file = PathBuf::from(place.ready()["network_file"].as_str().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fee = runtime.block_on(async {
        let client = Client::connect(load_network(&file).unwrap(), Options::default()).await.unwrap();
        let network = NetworkFile::load(&file).unwrap();
        let dev0 = Folder::new(network.keystore_folder(&file).unwrap()).find("dev0").unwrap().unwrap();
        let key = SecretKey::from_bytes(*open(&dev0.key_file().unwrap(), "dev").unwrap()).unwrap();
        let own = key.address().lower_hex();
        let sent = client.mutation(&own).put("notes", "hello", "world").sign(&key).send().await.unwrap();
        sent.applied().unwrap().fee
    });
    drop(runtime);
    let advanced = place.advance("60");
    let (settled, shards) = (&advanced[0]["settled"], &advanced[1..]);
    let closes: Vec<&Value> = shards.iter().flat_map(|chain| chain["closed"].as_array().unwrap()).collect();
    let sum: u128 = closes.iter().map(|close| close["total_tai"].as_str().unwrap().parse::<u128>().unwrap()).sum();
    assert_eq!(sum, fee.get(), "{closes:?}");
    assert_eq!(settled.as_array().unwrap().len(), 1, "one round: {settled}");
    assert_eq!((&settled[0]["posting_count"], &settled[0]["debited_tai"]), (&"1".into(), &fee.to_string().into()));
    assert_eq!(settled[0]["paid_tai"], settled[0]["debited_tai"]);
    let relay = place.status()["relay"].clone();
    assert_eq!(relay.as_array().unwrap().len(), 4, "both ways for each shard: {relay}");
    assert!(relay.as_array().unwrap().iter().all(|direction| direction["lag_entries"] == "0"), "{relay}");
    running.stop();
}

#[test]
fn an_account_is_funded_while_the_network_runs_and_when_it_starts_again() {
    let place = Place::new();
    let stranger = "0x70997970C51812dc3A010C7d01b50e0d17dc79C9".to_lowercase();
    let running = place.start(&["--accounts", "1"]);
    let funded = |text: String| -> Value { serde_json::from_str(text.lines().next().unwrap()).unwrap() };
    let first = funded(place.ran(&["fund", &stranger, "5db3", "--output", "json"]));
    assert_eq!((&first["balance_tai"], &first["limit_tai"]), (&"5000000000".into(), &"5000000000".into()));
    assert_eq!(first["lines"].as_array().unwrap().len(), 1, "a line where its own namespace is: {first}");
    let again = funded(place.ran(&["fund", &stranger, "--output", "json"]));
    assert_eq!(again["balance_tai"], "1005000000000", "the usual gift on top");
    let bare = place.run(&["fund", &stranger, "5"]);
    assert_eq!(bare.status.code(), Some(2), "an amount carries its unit");
    running.stop();
    let other = "0x70997970C51812dc3A010C7d01b50e0d17dc79Ca".to_lowercase();
    let running = place.start(&["--fund", &other, "--fund", &stranger]);
    assert_eq!(place.status()["funded"].as_array().unwrap().len(), 2);
    running.stop();
}

#[test]
fn time_moves_as_far_as_clients_follow_and_a_longer_step_moves_no_chain() {
    let place = Place::new();
    let running = place.start(&["--shards", "1", "--accounts", "1"]);
    let epochs =
        || place.status()["chains"].as_array().unwrap().iter().map(|chain| chain["open_epoch"].clone()).collect();
    let before: Vec<Value> = epochs();
    let largest = |step: &str| -> u64 {
        let refused = place.run(&["advance", step]);
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        let said = said(&refused);
        let (_, named) = said.rsplit_once("`db3 devnet advance ").unwrap();
        named.split('`').next().unwrap().parse().unwrap()
    };
    assert!(largest("253402300799").abs_diff(largest("2000000000")) < 60);
    let after: Vec<Value> = epochs();
    let moved = |chain: &Value| chain.as_str().unwrap().parse::<u64>().unwrap();
    assert!(before.iter().zip(&after).all(|(before, after)| moved(after) <= moved(before) + 2), "{before:?} {after:?}");
    place.ran(&["advance", &largest("2000000000").saturating_sub(60).to_string()]);
    let file = PathBuf::from(place.ready()["network_file"].as_str().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::connect(load_network(&file).unwrap(), Options::default()).await.unwrap();
        let stranger = "0x70997970c51812dc3a010c7d01b50e0d17dc79c9".parse().unwrap();
        assert!(client.account(stranger).money().await.unwrap().at.verified, "the clock is not too far behind");
        assert!(client.account(stranger).credit_line_on(0).await.unwrap().at.verified);
    });
    running.stop();
}

#[test]
fn what_a_detached_start_fails_with_is_one_error_with_its_remedy() {
    let place = Place::new();
    let _taken = TcpListener::bind(("127.0.0.1", place.port)).unwrap();
    let output = place.run(&["start", "--detach", "--port", &place.port.to_string(), "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_str(&said(&output)).unwrap();
    let (message, remedy) = (error["error"]["message"].as_str().unwrap(), error["error"]["remedy"].as_str().unwrap());
    assert!(message.contains("settlement") && !message.contains('{') && remedy.contains("--port"), "{error}");
}

#[test]
fn a_devnet_that_does_not_answer_is_one_that_nobody_answers_for() {
    let place = Place::new();
    let running = place.start(&["--shards", "1", "--accounts", "1"]);
    let pid = running.child.id().to_string();
    assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    let output = place.run(&["status"]);
    assert!(Command::new("kill").args(["-CONT", &pid]).status().unwrap().success());
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    running.stop();
}

#[test]
fn an_interrupt_stops_it_gracefully() {
    let place = Place::new();
    let mut running = place.start(&["--shards", "1"]);
    for signal in ["-INT", "-TERM"] {
        let pid = running.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        assert_eq!(running.child.wait().unwrap().code(), Some(0), "{signal}");
        running = place.start(&[]);
    }
    running.stop();
}

#[test]
fn reset_stops_a_running_devnet_first() {
    let place = Place::new();
    place.ran(&["start", "--detach", "--port", &place.port.to_string()]);
    place.ran(&["reset", "--yes"]);
    assert!(!place.home().exists());
    assert_eq!(place.run(&["reset", "--yes"]).status.code(), Some(2), "there is nothing left");
}

#[test]
fn a_folder_elsewhere_leaves_the_clients_settings_alone() {
    let place = Place::new();
    let elsewhere = place.folder.path().join("elsewhere");
    let home = elsewhere.to_str().unwrap();
    let port = place.port.to_string();
    let text = place.ran(&["start", "--detach", "--home", home, "--port", &port]);
    assert!(text.contains("--network") && text.contains("elsewhere/network.toml"), "{text}");
    assert!(!place.db3_home().exists());
    place.ran(&["stop", "--home", home]);
    let text = place.folder.path().join("letters");
    std::fs::create_dir(&text).unwrap();
    std::fs::write(text.join("letter.txt"), "dear").unwrap();
    let output = place.run(&["reset", "--yes", "--home", text.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text.join("letter.txt").exists());
}
