//! The program itself: a folder is made, served, killed, served again, looked over and exported.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

mod credit;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use db3_carry::Delivery;
use db3_chain::ChainConfig;
use db3_primitives::{
    Address, Mutation, Namespace, Nonce, Operation, RecordKey, Scheme, SecretKey, Tai, Write, sign_mutation,
};
use db3_proto::v1::chain_service_client::ChainServiceClient;
use db3_proto::v1::shard_service_client::ShardServiceClient;
use db3_proto::{delivery_message, encode_body, envelope_message, v1};
use tempfile::TempDir;
use tonic::transport::Channel;

struct Place {
    _folder: TempDir,
    home: PathBuf,
    port: u16,
    credit: Delivery,
}

fn shard_node(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shard-node"));
    command.args(arguments).env_remove("DB3_HOME").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    shard_node(arguments).output().unwrap()
}

fn ran(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn key() -> SecretKey {
    SecretKey::from_bytes([7; 32]).unwrap()
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let home = folder.path().join("node");
        let credit = credit::make(&home, (0, 1), 600, &[key().address()], &ChainConfig::new(&home));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { _folder: folder, home, port, credit }
    }

    fn home(&self) -> &str {
        self.home.to_str().unwrap()
    }

    fn start(&self) -> Child {
        let listen = format!("127.0.0.1:{}", self.port);
        shard_node(&["start", "--home", self.home(), "--listen", &listen, "--block-ms", "10", "--log", "warn"])
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }

    /// Gives the account its credit, unless it has it from an earlier run.
    async fn give_credit(&self, channel: &Channel) {
        let request = v1::SubmitDeliveryRequest {
            delivery: Some(delivery_message(&self.credit)),
            wait: v1::WaitMode::Committed.into(),
        };
        match ChainServiceClient::new(channel.clone()).submit_delivery(request).await {
            Ok(answer) => assert_eq!(answer.into_inner().cursor, 2),
            Err(status) => assert_eq!(db3_proto::status::from_status(&status).unwrap().code, 217, "{status:?}"),
        }
    }

    async fn connect(&self) -> Channel {
        let began = Instant::now();
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{}", self.port)).unwrap();
        loop {
            match endpoint.connect().await {
                Ok(channel) => {
                    self.give_credit(&channel).await;
                    return channel;
                }
                Err(error) => assert!(began.elapsed() < Duration::from_secs(30), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn envelope(nonce: u64, time_secs: u64) -> v1::SignedEnvelope {
    let account: Address = key().address();
    let mutation = Mutation {
        network: "test".parse().unwrap(),
        account,
        namespace: Namespace::own(&account),
        nonce: Nonce::new(nonce),
        expire_unix_secs: time_secs + 600,
        max_fee: Tai::new(1_000_000_000),
        operations: vec![Operation::Put(Write {
            table: "notes".parse().unwrap(),
            key: RecordKey::new(format!("k{nonce}").into_bytes()).unwrap(),
            value: b"value".to_vec(),
            if_version: None,
        })],
    };
    envelope_message(&sign_mutation(&key(), &mutation, encode_body(&mutation), Scheme::Raw))
}

async fn status(channel: &Channel) -> v1::GetStatusResponse {
    ChainServiceClient::new(channel.clone()).get_status(v1::GetStatusRequest {}).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    let place = Place::new();
    let mut acknowledged: Vec<v1::Receipt> = Vec::new();
    let mut nonce = 0;
    for round in 0..3_u64 {
        let mut child = place.start();
        let channel = place.connect().await;
        let mut shard = ShardServiceClient::new(channel.clone());
        let now = u64::try_from(status(&channel).await.block_time.unwrap().seconds).unwrap();
        for receipt in &acknowledged {
            let request = v1::GetReceiptRequest { id: receipt.id.clone() };
            let known = ChainServiceClient::new(channel.clone()).get_receipt(request).await.unwrap().into_inner();
            assert_eq!(known.receipt.unwrap().height, receipt.height, "acknowledged, then lost");
        }
        for _ in 0..20 + round * 7 {
            nonce += 1;
            let request = v1::SubmitMutationRequest {
                mutation: Some(envelope(nonce, now)),
                wait: v1::WaitMode::Committed.into(),
            };
            let receipt = shard.submit_mutation(request).await.unwrap().into_inner().receipt.unwrap();
            assert_eq!(receipt.state(), v1::ReceiptState::Applied);
            acknowledged.push(receipt);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let checked = ran(&["check", "--home", place.home(), "--from-genesis", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&checked).unwrap();
    assert_eq!(report["mutations"], acknowledged.len().to_string(), "{checked}");
}

fn stop(child: &mut Child) -> Option<i32> {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    child.wait().unwrap().code()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_says_so_and_a_signal_stops_the_first() {
    let place = Place::new();
    let mut child = place.start();
    let channel = place.connect().await;
    let height = status(&channel).await.height;
    let second = run(&["start", "--home", place.home(), "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("in use") && said.contains(&child.id().to_string()), "{said}");
    let endpoint = format!("http://127.0.0.1:{}", place.port);
    let asked = ran(&["status", "--endpoint", &endpoint, "--output", "json"]);
    let asked: serde_json::Value = serde_json::from_str(&asked).unwrap();
    assert!(asked["height"].as_str().unwrap().parse::<u64>().unwrap() >= height);
    // A node that was started elsewhere than its settings say is found by its folder.
    let shown = ran(&["status", "--home", place.home()]);
    let signs_with = shown.lines().find_map(|line| line.strip_prefix("signs with  0x"));
    assert!(shown.contains("test-shard-0") && signs_with.is_some_and(|key| key.len() == 64), "{shown}");
    assert_eq!(stop(&mut child), Some(0));
    let nobody = run(&["status", "--endpoint", &endpoint]);
    assert_eq!(nobody.status.code(), Some(3), "{}", String::from_utf8_lossy(&nobody.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_moves_by_export_and_by_snapshot() {
    let place = Place::new();
    let mut child = place.start();
    let channel = place.connect().await;
    let now = u64::try_from(status(&channel).await.block_time.unwrap().seconds).unwrap();
    let mut shard = ShardServiceClient::new(channel);
    for nonce in 1..=5 {
        let request =
            v1::SubmitMutationRequest { mutation: Some(envelope(nonce, now)), wait: v1::WaitMode::Provable.into() };
        shard.submit_mutation(request).await.unwrap();
    }
    assert_eq!(stop(&mut child), Some(0));
    let folder = place.home.parent().unwrap();
    let file = folder.join("state.ndjson");
    ran(&["export", "--home", place.home(), "--out", file.to_str().unwrap()]);
    let kept = std::fs::read(&file).unwrap();
    let again = run(&["export", "--home", place.home(), "--out", file.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(2), "a file is not overwritten unasked");
    assert!(String::from_utf8_lossy(&again.stderr).contains("--yes"), "{again:?}");
    ran(&["export", "--home", place.home(), "--out", file.to_str().unwrap(), "--yes"]);
    assert_eq!(std::fs::read(&file).unwrap(), kept);
    let copy = folder.join("copy");
    ran(&["init", "--home", copy.to_str().unwrap(), "--import", file.to_str().unwrap()]);
    let root = |home: &Path| {
        let report = ran(&["check", "--home", home.to_str().unwrap(), "--output", "json"]);
        serde_json::from_str::<serde_json::Value>(&report).unwrap()["root"].clone()
    };
    assert_eq!(root(&place.home), root(&copy), "an imported state has the exported root");
    let made = ran(&["snapshot", "make", "--home", place.home(), "--output", "json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let restored = folder.join("restored");
    ran(&["snapshot", "restore", made["path"].as_str().unwrap(), "--home", restored.to_str().unwrap()]);
    assert_eq!(root(&place.home), root(&restored));
    assert!(ran(&["snapshot", "list", "--home", place.home()]).contains("height"));
    let text = std::fs::read_to_string(&file).unwrap().replacen("\"value\":\"0", "\"value\":\"1", 1);
    std::fs::write(&file, text).unwrap();
    let wrong = folder.join("wrong");
    let refused = run(&["init", "--home", wrong.to_str().unwrap(), "--import", file.to_str().unwrap()]);
    assert!(!refused.status.success(), "a changed export is refused");
}

#[test]
fn wrong_input_ends_with_2_and_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let home = folder.path().join("nothing");
    let output = run(&["start", "--home", home.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("shard-node init"), "{output:?}");
    let account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let amount = run(&["init", "--home", home.to_str().unwrap(), "--fund", &format!("{account}=5")]);
    assert_eq!(amount.status.code(), Some(2), "an amount without a unit");
    let treasury = run(&["init", "--home", home.to_str().unwrap()]);
    assert_eq!(treasury.status.code(), Some(2), "nobody receives what validators earn");
    let fund = format!("{account}=5db3");
    let init = ["init", "--home", home.to_str().unwrap(), "--fund", &fund, "--shards", "2"];
    assert!(ran(&init).contains("settlement-node start --home"));
    let again = run(&init);
    assert_eq!(again.status.code(), Some(2), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(home.join("solo.toml").exists(), "the network's file");
    let shard = home.join("solo-shard-1");
    let settings = std::fs::read_to_string(shard.join("config/node.toml")).unwrap();
    for part in ["[chain]", "[serve]", "[relay]", "[log]", "127.0.0.1:7302", "solo.toml", "# in_flight_per_stream_max"]
    {
        assert!(settings.contains(part), "{part} in {settings}");
    }
    let other = run(&["start", "--home", home.join("solo-settlement").to_str().unwrap()]);
    assert_eq!(other.status.code(), Some(2), "another program's chain");
    std::fs::write(shard.join("config/node.toml"), "[chain]\nblock_millis = 5\n").unwrap();
    let unknown = run(&["start", "--home", shard.to_str().unwrap()]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("block_millis"));
    assert!(ran(&["version"]).contains("db3.v1"));
}
