//! The server behind a certificate.

use std::time::Duration;

use db3_node::TlsFiles;
use db3_proto::v1;
use db3_proto::v1::chain_service_client::ChainServiceClient;
use db3_shard_node::ServeConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::node::{Plan, TestNode};

struct Authority {
    pem: String,
    files: TlsFiles,
    _folder: tempfile::TempDir,
}

fn authority() -> Authority {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    Authority { pem: made.cert.pem(), files, _folder: folder }
}

async fn node(files: TlsFiles, change: impl FnOnce(&mut ServeConfig)) -> TestNode {
    let mut serve = ServeConfig::new("127.0.0.1:0".parse().unwrap());
    serve.tls = Some(files);
    change(&mut serve);
    TestNode::with(Plan { serve, ..Plan::default() }).await
}

async fn encrypted(port: u16, authority: &str) -> Result<Channel, tonic::transport::Error> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
    Endpoint::from_shared(format!("https://localhost:{port}")).unwrap().tls_config(tls).unwrap().connect().await
}

#[tokio::test]
async fn calls_pass_under_the_certificate_and_under_no_other() {
    let authority_of_node = authority();
    let node = node(authority_of_node.files.clone(), |_| {}).await;
    let port = node.served.addr().port();
    let channel = encrypted(port, &authority_of_node.pem).await.unwrap();
    let status = ChainServiceClient::new(channel).get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.chain_id, node.chain.chain_id());
    assert!(encrypted(port, &authority().pem).await.is_err(), "a stranger's certificate");
}

/// What `status` says of a node behind a certificate, to a machine that trusts this authority's file.
async fn status(port: u16, trusted: std::path::PathBuf) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_shard-node"));
    command.args(["status", "--output", "json", "--endpoint", &format!("https://localhost:{port}")]);
    command.env("SSL_CERT_FILE", trusted).env_remove("SSL_CERT_DIR").env_remove("RUST_LOG");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn status_over_https_answers_whoever_trusts_the_authority_and_nobody_else() {
    let (own, strange) = (authority(), authority());
    let node = node(own.files.clone(), |_| {}).await;
    let port = node.served.addr().port();
    let shown = status(port, own.files.cert.clone()).await;
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["chain_id"], node.chain.chain_id());
    let refused = status(port, strange.files.cert.clone()).await;
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && why.contains("certificate"), "{why}");
}

/// What a relay of `other` does, and `status`: nothing is said of a certificate.
async fn reached_plainly(other: &TestNode) {
    let url = format!("http://{}", other.served.addr());
    let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    let status = ChainServiceClient::new(channel).get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.chain_id, other.chain.chain_id());
}

#[tokio::test]
async fn nodes_of_one_machine_reach_each_other_without_a_certificate_where_join_says_they_are() {
    let (one, other) = (node(authority().files, |_| {}).await, node(authority().files, |_| {}).await);
    reached_plainly(&one).await;
    reached_plainly(&other).await;
}

#[tokio::test]
async fn who_never_ends_the_handshake_keeps_nobody_out() {
    let authority = authority();
    let node = node(authority.files.clone(), |serve| {
        serve.limits.connections_max = 3;
        serve.limits.opening_time_max = Duration::from_millis(300);
    })
    .await;
    let address = node.served.addr();
    // The test's own connection holds the third place.
    let mut silent = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    silent[0].write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    for stream in &mut silent {
        let mut rest = Vec::new();
        // Closed by the node: an end or a reset, both are.
        let _ = stream.read_to_end(&mut rest).await;
    }
    encrypted(address.port(), &authority.pem).await.unwrap();
}
