//! What is around the services: gRPC-Web over HTTP/1, CORS, reflection, health, metrics.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use db3_proto::v1;
use db3_shard_node::{Cors, ServeConfig};
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::node::{Plan, TestNode, connect, own};

fn plan(cors: Cors) -> Plan {
    Plan { serve: ServeConfig { cors, ..ServeConfig::new("127.0.0.1:0".parse().unwrap()) }, ..Plan::default() }
}

/// Sends a request by hand; the answer's head in lower case, and its body.
fn http(addr: SocketAddr, head: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).unwrap();
    let head = format!("{head}\r\nhost: {addr}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..at].to_vec()).unwrap().to_ascii_lowercase();
    let mut body = answer[at + 4..].to_vec();
    if head.contains("transfer-encoding: chunked") {
        body = unchunked(&body);
    }
    (head, body)
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 4 + length..];
    }
}

fn frame(message: &impl prost::Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    [&[0][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes].concat()
}

fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = body.split_at_checked(5) {
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        frames.push((head[0], rest[..length].to_vec()));
        body = &rest[length..];
    }
    frames
}

async fn post(node: &TestNode, path: &str, origin: &str, message: &impl prost::Message) -> (String, Vec<u8>) {
    send(node, path, &format!("origin: {origin}"), frame(message)).await
}

async fn send(node: &TestNode, path: &str, header: &str, body: Vec<u8>) -> (String, Vec<u8>) {
    let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\n{header}");
    let addr = node.served.addr();
    tokio::task::spawn_blocking(move || http(addr, &head, &body)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_calls_over_http_1() {
    let node = TestNode::with(plan(Cors::Localhost)).await;
    let (head, body) =
        post(&node, "/db3.v1.ChainService/GetStatus", "http://localhost:3000", &v1::GetStatusRequest {}).await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/grpc-web+proto"), "{head}");
    assert!(head.contains("access-control-allow-origin: http://localhost:3000"), "{head}");
    let frames = frames(&body);
    let status = v1::GetStatusResponse::decode(frames[0].1.as_slice()).unwrap();
    assert_eq!(status.chain_id, "test-shard-0");
    let trailers = frames.last().unwrap();
    assert_eq!(trailers.0, 0x80, "the last frame holds the trailers");
    assert!(String::from_utf8_lossy(&trailers.1).contains("grpc-status:0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_sees_why_it_was_refused() {
    let node = TestNode::with(plan(Cors::Localhost)).await;
    let request = v1::GetRecordRequest { namespace: own(0).to_string(), ..Default::default() };
    let (head, body) = post(&node, "/db3.v1.ShardService/GetRecord", "http://127.0.0.1:8080", &request).await;
    let trailers = frames(&body).pop().map(|(_, text)| String::from_utf8(text).unwrap()).unwrap_or_default();
    assert!(head.contains("grpc-status: 3") || trailers.contains("grpc-status:3"), "{head} {trailers}");
    assert!(head.contains("access-control-expose-headers"), "{head}");
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        assert!(head.contains(name), "{name} in {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pages_that_are_allowed_may_call() {
    for (cors, origin, allowed) in [
        (Cors::Localhost, "http://evil.example", false),
        (Cors::None, "http://localhost:3000", false),
        (Cors::Origins(vec!["https://app.example".to_owned()]), "https://app.example", true),
    ] {
        let node = TestNode::with(plan(cors.clone())).await;
        let addr = node.served.addr();
        let head = format!(
            "OPTIONS /db3.v1.ChainService/GetStatus HTTP/1.1\r\norigin: {origin}\r\n\
             access-control-request-method: POST\r\naccess-control-request-headers: content-type,x-grpc-web,grpc-timeout"
        );
        let (head, _) = tokio::task::spawn_blocking(move || http(addr, &head, b"")).await.unwrap();
        let says = head.contains(&format!("access-control-allow-origin: {origin}"));
        assert_eq!(says, allowed, "{cors:?} and {origin}: {head}");
        if allowed {
            assert!(head.contains("x-grpc-web") && head.contains("grpc-timeout"), "{head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_the_services_and_their_files() {
    let node = TestNode::start().await;
    let mut client = ServerReflectionClient::new(connect(&node.served).await);
    let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let requests = vec![
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("db3.v1.ShardService".to_owned())),
    ];
    let mut answers = client.server_reflection_info(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let services = match answers.next().await.unwrap().unwrap().message_response.unwrap() {
        MessageResponse::ListServicesResponse(list) => list.service.into_iter().map(|s| s.name).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    for name in ["db3.v1.ShardService", "db3.v1.ChainService", "grpc.health.v1.Health"] {
        assert!(services.iter().any(|service| service == name), "{name} in {services:?}");
    }
    assert!(!services.iter().any(|service| service.contains("Settlement")), "it is not served here: {services:?}");
    match answers.next().await.unwrap().unwrap().message_response.unwrap() {
        MessageResponse::FileDescriptorResponse(files) => assert!(!files.file_descriptor_proto.is_empty()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_that_the_services_serve() {
    let node = TestNode::start().await;
    let mut health = HealthClient::new(connect(&node.served).await);
    for service in ["", "db3.v1.ShardService", "db3.v1.ChainService"] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status, 1, "{service}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_text_on_a_port_of_their_own() {
    let metrics = Some("127.0.0.1:0".parse().unwrap());
    let serve = ServeConfig { metrics, ..ServeConfig::new("127.0.0.1:0".parse().unwrap()) };
    let mut node = TestNode::with(Plan { serve, ..Plan::default() }).await;
    node.write(node.put(0, 1, "notes", "k", "v")).await;
    let addr = node.served.metrics_addr().unwrap();
    let (head, body) = tokio::task::spawn_blocking(move || http(addr, "GET /metrics HTTP/1.1", b"")).await.unwrap();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("height"), "{text}");
    let (head, _) = tokio::task::spawn_blocking(move || http(addr, "GET /other HTTP/1.1", b"")).await.unwrap();
    assert!(head.starts_with("http/1.1 404"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_with_a_number() {
    let node = TestNode::with(plan(Cors::Localhost)).await;
    let path = "/db3.v1.ShardService/GetRecord";
    // A length-delimited field that is longer than the message.
    let (head, body) = send(&node, path, "te: trailers", vec![0, 0, 0, 0, 2, 0x0a, 0x7f]).await;
    assert_refused(&head, &body);
    let (head, body) = send(&node, path, "grpc-encoding: br", frame(&v1::GetRecordRequest::default())).await;
    assert_refused(&head, &body);
}

fn assert_refused(head: &str, body: &[u8]) {
    let trailers = frames(body).pop().map(|(_, text)| String::from_utf8(text).unwrap()).unwrap_or_default();
    assert!(head.contains("grpc-status: 3") || trailers.contains("grpc-status:3"), "{head} {trailers}");
    assert!(head.contains("grpc-status-details-bin: ") || trailers.contains("grpc-status-details-bin:"), "{head}");
}
