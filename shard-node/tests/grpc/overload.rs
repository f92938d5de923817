//! Too much of anything: refused at once with a time to try again, and nothing grows.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use db3_proto::status::CallError;
use db3_proto::v1;
use db3_proto::v1::chain_service_client::ChainServiceClient;
use db3_shard_node::{ServeConfig, ServeLimits};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::node::{Plan, TestNode, code, connect, own};

fn limited(limits: ServeLimits) -> Plan {
    Plan { serve: ServeConfig { limits, ..ServeConfig::new("127.0.0.1:0".parse().unwrap()) }, ..Plan::default() }
}

/// A read that waits for a height that does not come.
fn waiting() -> tonic::Request<v1::GetRecordRequest> {
    let mut call = tonic::Request::new(v1::GetRecordRequest {
        namespace: own(0).to_string(),
        table: "t".to_owned(),
        key: bytes::Bytes::from_static(b"k"),
        read: Some(v1::ReadOptions { min_height: 1 << 40, ..Default::default() }),
    });
    call.set_timeout(Duration::from_secs(20));
    call
}

fn is_overload(status: &tonic::Status) -> bool {
    let error = CallError::from(status);
    error.code == Code::ResourceExhausted && error.rejection_code() == Some(501) && error.retry_after.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_too_many_is_refused_and_health_still_answers() {
    let mut node = TestNode::with(limited(ServeLimits { calls_max: 2, ..ServeLimits::default() })).await;
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut shard = node.shard.clone();
            // A place may be taken for a moment by the calls that look whether all are.
            tokio::spawn(
                async move { while shard.get_record(waiting()).await.is_err_and(|status| is_overload(&status)) {} },
            )
        })
        .collect();
    let status = loop {
        // Until both calls are at work.
        match node.chains.get_status(v1::GetStatusRequest {}).await {
            Err(status) => break status,
            Ok(_) => tokio::task::yield_now().await,
        }
    };
    assert!(is_overload(&status), "{status:?}");
    let mut health = HealthClient::new(connect(&node.served).await);
    let request = tonic_health::pb::HealthCheckRequest { service: "db3.v1.ShardService".to_owned() };
    assert_eq!(health.check(request).await.unwrap().into_inner().status, 1);
    held.iter().for_each(tokio::task::JoinHandle::abort);
    // A caller that goes away gives its place back.
    while node.chains.get_status(v1::GetStatusRequest {}).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_too_many_is_refused() {
    let mut node = TestNode::with(limited(ServeLimits { streams_max: 1, ..ServeLimits::default() })).await;
    let request = v1::SubscribeRequest { blocks: true, ..Default::default() };
    let held = node.chains.subscribe(request.clone()).await.unwrap();
    assert!(is_overload(&node.chains.subscribe(request.clone()).await.unwrap_err()));
    drop(held);
    while node.chains.subscribe(request.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_closed() {
    let node = TestNode::with(limited(ServeLimits { connections_max: 1, ..ServeLimits::default() })).await;
    let endpoint = format!("http://{}", node.served.addr());
    let endpoint = tonic::transport::Endpoint::from_shared(endpoint).unwrap();
    let refused = match endpoint.connect().await {
        Ok(channel) => ChainServiceClient::new(channel).get_status(v1::GetStatusRequest {}).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
    let mut first = node.chains.clone();
    assert!(first.get_status(v1::GetStatusRequest {}).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_is_overload_and_admits_again_when_there_is_room() {
    let plan = Plan { block_ms: 60_000, chain: |config| config.mempool_mutations = 3, ..Plan::default() };
    let mut node = TestNode::with(plan).await;
    let mut refused = 0;
    for nonce in 1..=20 {
        let request = v1::SubmitMutationRequest {
            mutation: Some(node.put(0, nonce, "notes", "k", "v")),
            wait: v1::WaitMode::Checked.into(),
        };
        if let Err(status) = node.shard.submit_mutation(request).await {
            assert!(is_overload(&status), "{status:?}");
            refused += 1;
        }
    }
    assert!(refused > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_is_refused() {
    let limits = ServeLimits { message_bytes_max: 64 * 1024, ..ServeLimits::default() };
    let mut node = TestNode::with(limited(limits)).await;
    let body = bytes::Bytes::from(vec![0; 100_000]);
    let request = v1::SubmitMutationRequest {
        mutation: Some(v1::SignedEnvelope { body, scheme: 1, ..Default::default() }),
        wait: 0,
    };
    let status = node.shard.submit_mutation(request.clone()).await.unwrap_err();
    assert_eq!((status.code(), code(&status)), (Code::InvalidArgument, 102), "{status:?}");
    let long = v1::GetRecordRequest { namespace: "a".repeat(100_000), ..Default::default() };
    let status = node.shard.get_record(long).await.unwrap_err();
    assert_eq!((status.code(), code(&status)), (Code::InvalidArgument, 401), "{status:?}");
    // In a stream what came before is answered first.
    let good = v1::StreamMutationsRequest { sequence: 1, mutation: Some(node.put(0, 1, "notes", "k", "v")), wait: 0 };
    let long = v1::StreamMutationsRequest { sequence: 2, mutation: request.mutation, wait: 0 };
    let mut answers = node.shard.stream_mutations(tokio_stream::iter([good, long])).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().sequence, 1);
    let status = answers.message().await.unwrap_err();
    assert_eq!((status.code(), code(&status)), (Code::InvalidArgument, 401), "{status:?}");
    assert!(node.chains.get_status(v1::GetStatusRequest {}).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_do_not_lock_others_out() {
    let limits =
        ServeLimits { connections_max: 4, opening_time_max: Duration::from_millis(200), ..ServeLimits::default() };
    let node = TestNode::with(limited(limits)).await;
    // One place is the test node's own connection; these say nothing, or not enough.
    let starts: [&[u8]; 3] = [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n", b"GET / HTTP/1.1\r\nhost: a\r\n"];
    let silent = starts.map(|start| {
        let mut stream = TcpStream::connect(node.served.addr()).unwrap();
        stream.write_all(start).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    });
    let closed = tokio::task::spawn_blocking(move || {
        // What is left of an answer does not matter; that the end comes does.
        silent.map(|mut stream| match stream.read_to_end(&mut Vec::new()) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        })
    });
    assert_eq!(closed.await.unwrap(), [true; 3]);
    let mut newcomer = ChainServiceClient::new(connect(&node.served).await);
    assert!(newcomer.get_status(v1::GetStatusRequest {}).await.is_ok());
    // Who has begun may be silent as long as it likes.
    assert!(node.chains.clone().get_status(v1::GetStatusRequest {}).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_without_a_place_is_refused() {
    let mut node = TestNode::with(limited(ServeLimits { reads_max: 0, ..ServeLimits::default() })).await;
    assert!(is_overload(&node.chains.get_block(v1::GetBlockRequest::default()).await.unwrap_err()));
    assert!(is_overload(&node.shard.list_bills(v1::ListBillsRequest::default()).await.unwrap_err()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_keeps_its_call_place_until_it_ends() {
    let mut node = TestNode::with(limited(ServeLimits { calls_max: 1, ..ServeLimits::default() })).await;
    let held = node.chains.subscribe(v1::SubscribeRequest { blocks: true, ..Default::default() }).await.unwrap();
    assert!(is_overload(&node.chains.get_status(v1::GetStatusRequest {}).await.unwrap_err()));
    drop(held);
    while node.chains.get_status(v1::GetStatusRequest {}).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_reflection_and_health_are_few_and_their_messages_short() {
    let node = TestNode::with(limited(ServeLimits { side_streams_max: 1, ..ServeLimits::default() })).await;
    let mut health = HealthClient::new(connect(&node.served).await);
    let mut reflection = ServerReflectionClient::new(connect(&node.served).await);
    let (asking, requests) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let held = reflection.server_reflection_info(requests).await.unwrap();
    let watch = health.watch(HealthCheckRequest::default()).await;
    assert!(is_overload(&watch.unwrap_err()));
    assert!(health.check(HealthCheckRequest::default()).await.is_ok(), "a single check passes always");
    // Both directions: a stream whose caller may still ask keeps its place.
    drop((asking, held));
    while health.watch(HealthCheckRequest::default()).await.is_err() {
        tokio::task::yield_now().await;
    }
    let long = HealthCheckRequest { service: "a".repeat(100_000) };
    assert_eq!(health.check(long).await.unwrap_err().code(), Code::InvalidArgument);
    let symbol = MessageRequest::FileContainingSymbol("a".repeat(100_000));
    let long = ServerReflectionRequest { host: String::new(), message_request: Some(symbol) };
    let answer = loop {
        // Until the place of the watch above is free again.
        match reflection.server_reflection_info(tokio_stream::iter([long.clone()])).await {
            Ok(answer) => break answer,
            Err(status) => assert!(is_overload(&status), "{status:?}"),
        }
    };
    let next = answer.into_inner().message().await;
    assert!(!matches!(next, Ok(Some(_))), "{next:?}");
}
