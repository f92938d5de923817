//! Streams: mutations both ways, receipts, blocks and changed records, and going on after a break.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use db3_primitives::{Operation, RecordKey};
use db3_proto::v1;
use db3_proto::v1::{ReceiptState, WaitMode, subscribe_response, watch_receipts_response};
use db3_shard_node::{ServeConfig, ServeLimits};
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::node::{Plan, TestNode, account, code, own, put};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_every_mutation_by_its_sequence() {
    let mut node = TestNode::start().await;
    let count = 500_u64;
    let mut requests: Vec<v1::StreamMutationsRequest> = (1..=count)
        .map(|nonce| v1::StreamMutationsRequest {
            sequence: nonce * 10,
            mutation: Some(node.put(0, nonce, "notes", &format!("k{nonce}"), "v")),
            wait: WaitMode::Committed.into(),
        })
        .collect();
    requests.push(v1::StreamMutationsRequest { sequence: 1, mutation: None, wait: 0 });
    requests.push(v1::StreamMutationsRequest {
        sequence: 2,
        mutation: Some(v1::SignedEnvelope { scheme: 9, ..node.put(0, count + 1, "t", "k", "v") }),
        wait: WaitMode::Committed.into(),
    });
    let outbound = tokio_stream::iter(requests);
    let mut answers = node.shard.stream_mutations(outbound).await.unwrap().into_inner();
    let mut seen = BTreeMap::new();
    while let Some(answer) = answers.next().await {
        let answer = answer.unwrap();
        seen.insert(answer.sequence, answer.outcome.unwrap().outcome.unwrap());
    }
    assert_eq!(seen.len() as u64, count + 2, "the stream ends when everything is answered");
    for (sequence, expected) in [(1, 401), (2, 109)] {
        match seen.remove(&sequence).unwrap() {
            v1::mutation_outcome::Outcome::Error(error) => assert_eq!(error.rejection.unwrap().code, expected),
            other => panic!("{other:?}"),
        }
    }
    assert!(seen.into_values().all(|outcome| matches!(
        outcome,
        v1::mutation_outcome::Outcome::Receipt(receipt) if receipt.state() == ReceiptState::Applied
    )));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_with_little_room_holds_the_sender_back_and_loses_nothing() {
    let limits = ServeLimits { in_flight_per_stream_max: 8, ..ServeLimits::default() };
    let serve = ServeConfig { limits, ..ServeConfig::new("127.0.0.1:0".parse().unwrap()) };
    let mut node = TestNode::with(Plan { serve, ..Plan::default() }).await;
    let requests: Vec<_> = (1..=100)
        .map(|nonce| v1::StreamMutationsRequest {
            sequence: nonce,
            mutation: Some(node.put(0, nonce, "notes", "k", "v")),
            wait: WaitMode::Provable.into(),
        })
        .collect();
    let answers = node.shard.stream_mutations(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let sequences: Vec<_> = answers.map(|answer| answer.unwrap().sequence).collect().await;
    assert_eq!(sequences.len(), 100);
}

async fn change(stream: &mut tonic::Streaming<v1::SubscribeResponse>) -> v1::SubscribeResponse {
    loop {
        let message = stream.next().await.unwrap().unwrap();
        if !matches!(message.event, Some(subscribe_response::Event::Heartbeat(_))) {
            return message;
        }
    }
}

fn key_of(message: &v1::SubscribeResponse) -> String {
    match message.event.as_ref().unwrap() {
        subscribe_response::Event::Change(change) => {
            String::from_utf8(change.record.as_ref().unwrap().key.to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_as_they_happen_and_go_on_after_a_break() {
    let mut node = TestNode::start().await;
    let filter =
        v1::RecordFilter { namespace: own(0).to_string(), table: "notes".to_owned(), key_prefix: Bytes::new() };
    let request = v1::SubscribeRequest { records: vec![filter], ..Default::default() };
    let mut stream = node.chains.subscribe(request.clone()).await.unwrap().into_inner();
    let operations = vec![put("notes", "a", "1"), put("other", "x", "0"), put("notes", "b", "2")];
    let envelope = node.sign(0, &own(0), 1, operations);
    node.write(envelope).await;
    let first = change(&mut stream).await;
    assert_eq!(key_of(&first), "a");
    // The break comes in the middle of a block: its second change must not be lost, nor the first come twice.
    drop(stream);
    let delete = Operation::Delete {
        table: "notes".parse().unwrap(),
        key: RecordKey::new(b"a".to_vec()).unwrap(),
        if_version: None,
    };
    let envelope = node.sign(0, &own(0), 2, vec![delete]);
    node.write(envelope).await;
    let resumed = v1::SubscribeRequest { resume_after: first.cursor, ..request.clone() };
    let mut stream = node.chains.subscribe(resumed).await.unwrap().into_inner();
    let second = change(&mut stream).await;
    assert_eq!(key_of(&second), "b");
    let third = change(&mut stream).await;
    match third.event.unwrap() {
        subscribe_response::Event::Change(change) => assert!(change.deleted && change.record.unwrap().value.is_empty()),
        other => panic!("{other:?}"),
    }
    let wrong = v1::SubscribeRequest { resume_after: "no cursor".to_owned(), ..request };
    assert_eq!(code(&node.chains.subscribe(wrong).await.unwrap_err()), 403);
    let nothing = node.chains.subscribe(v1::SubscribeRequest::default()).await.unwrap_err();
    assert_eq!(code(&nothing), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_come_in_order_and_a_silent_stream_shows_signs_of_life() {
    let limits = ServeLimits { heartbeat: Duration::from_millis(50), ..ServeLimits::default() };
    let serve = ServeConfig { limits, ..ServeConfig::new("127.0.0.1:0".parse().unwrap()) };
    let mut node = TestNode::with(Plan { serve, ..Plan::default() }).await;
    let request = v1::SubscribeRequest { blocks: true, ..Default::default() };
    let mut stream = node.chains.subscribe(request).await.unwrap().into_inner();
    let beat = stream.next().await.unwrap().unwrap();
    assert!(matches!(beat.event, Some(subscribe_response::Event::Heartbeat(_))));
    for nonce in 1..=3 {
        node.write(node.put(0, nonce, "notes", "k", "v")).await;
    }
    let mut heights = Vec::new();
    while heights.len() < 4 {
        match change(&mut stream).await.event.unwrap() {
            subscribe_response::Event::Block(block) => heights.push(block.height),
            other => panic!("{other:?}"),
        }
    }
    assert!(heights.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{heights:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_watched_until_they_are_final() {
    let mut node = TestNode::start().await;
    let envelope = node.put(0, 1, "notes", "k", "v");
    let id = Bytes::copy_from_slice(db3_primitives::mutation_id(&envelope.body).as_bytes());
    let request = v1::WatchReceiptsRequest { ids: vec![id.clone()], ..Default::default() };
    let mut stream = node.chains.watch_receipts(request).await.unwrap().into_inner();
    let first = stream.next().await.unwrap().unwrap();
    match first.event.unwrap() {
        watch_receipts_response::Event::Receipt(receipt) => assert_eq!(receipt.state(), ReceiptState::Unknown),
        other => panic!("{other:?}"),
    }
    node.write(envelope).await;
    let mut last = None;
    while let Some(message) = stream.next().await {
        if let Some(watch_receipts_response::Event::Receipt(receipt)) = message.unwrap().event {
            last = Some(receipt);
        }
    }
    let last = last.expect("the stream ended with a final receipt");
    assert_eq!((last.state(), last.id), (ReceiptState::Applied, id));
    assert!(last.provable_height > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_receipts_go_on_after_a_break() {
    let mut node = TestNode::start().await;
    let request =
        v1::WatchReceiptsRequest { account: account(0), wait: WaitMode::Committed.into(), ..Default::default() };
    let mut stream = node.chains.watch_receipts(request.clone()).await.unwrap().into_inner();
    node.write(node.put(0, 1, "notes", "k", "v")).await;
    node.write(node.put(1, 1, "notes", "k", "v")).await;
    let first = stream.next().await.unwrap().unwrap();
    drop(stream);
    for nonce in 2..=3 {
        node.write(node.put(0, nonce, "notes", "k", "v")).await;
    }
    let resumed = v1::WatchReceiptsRequest { resume_after: first.cursor, ..request };
    let mut stream = node.chains.watch_receipts(resumed).await.unwrap().into_inner();
    let mut nonces = Vec::new();
    while nonces.len() < 2 {
        if let Some(watch_receipts_response::Event::Receipt(receipt)) = stream.next().await.unwrap().unwrap().event {
            nonces.push(receipt.nonce);
        }
    }
    assert_eq!(nonces, [2, 3]);
    let empty = node.chains.watch_receipts(v1::WatchReceiptsRequest::default()).await.unwrap_err();
    assert_eq!(code(&empty), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_ends_its_streams() {
    let node = TestNode::start().await;
    let mut chains = node.chains.clone();
    let request = v1::SubscribeRequest { blocks: true, ..Default::default() };
    let mut stream = chains.subscribe(request).await.unwrap().into_inner();
    node.served.stop().await;
    let end = stream.next().await;
    assert!(matches!(&end, None | Some(Err(_))), "{end:?}");
    if let Some(Err(status)) = end {
        assert_eq!(status.code(), Code::Unavailable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_mutations_that_sends_nothing_is_ended() {
    let limits = ServeLimits { idle_stream_time_max: Duration::from_millis(200), ..ServeLimits::default() };
    let serve = ServeConfig { limits, ..ServeConfig::new("127.0.0.1:0".parse().unwrap()) };
    // A block takes longer than a stream may be idle: what is in flight keeps it open.
    let mut node = TestNode::with(Plan { serve, block_ms: 600, ..Plan::default() }).await;
    let requests: Vec<_> = (1..=2)
        .map(|nonce| v1::StreamMutationsRequest {
            sequence: nonce,
            mutation: Some(node.put(0, nonce, "notes", "k", "v")),
            wait: WaitMode::Provable.into(),
        })
        .collect();
    let outbound = tokio_stream::iter(requests).chain(tokio_stream::pending());
    let mut answers = node.shard.stream_mutations(outbound).await.unwrap().into_inner();
    for _ in 0..2 {
        assert!(answers.next().await.unwrap().is_ok());
    }
    let end = answers.next().await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::DeadlineExceeded, "{end:?}");
    assert!(end.message().contains("200 ms"), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_were_away_long_take_turns_and_miss_nothing() {
    let limits = ServeLimits { history_reads_max: 1, ..ServeLimits::default() };
    let serve = ServeConfig { limits, ..ServeConfig::new("127.0.0.1:0".parse().unwrap()) };
    let mut node = TestNode::with(Plan { serve, ..Plan::default() }).await;
    let request = v1::SubscribeRequest { blocks: true, ..Default::default() };
    let mut stream = node.chains.subscribe(request.clone()).await.unwrap().into_inner();
    node.write(node.put(0, 1, "notes", "k", "v")).await;
    let first = change(&mut stream).await;
    let subscribe_response::Event::Block(block) = first.event.unwrap() else { panic!("no block") };
    drop(stream);
    let mut nonce = 1;
    while node.chain.committed().height.get() < block.height + 80 {
        nonce += 1;
        node.write(node.put(0, nonce, "notes", "k", "v")).await;
    }
    let mut streams = Vec::new();
    for _ in 0..4 {
        let resumed = v1::SubscribeRequest { resume_after: first.cursor.clone(), ..request.clone() };
        streams.push(node.chains.subscribe(resumed).await.unwrap().into_inner());
    }
    for stream in &mut streams {
        for height in block.height + 1..=block.height + 80 {
            match change(stream).await.event.unwrap() {
                subscribe_response::Event::Block(block) => assert_eq!(block.height, height),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_mutation_that_is_in_no_block_is_looked_up_with_the_signs_of_life() {
    let limits = ServeLimits { heartbeat: Duration::from_millis(50), ..ServeLimits::default() };
    let serve = ServeConfig { limits, ..ServeConfig::new("127.0.0.1:0".parse().unwrap()) };
    let mut node = TestNode::with(Plan { serve, block_ms: 60_000, ..Plan::default() }).await;
    // The first block is made at once; what comes after it waits.
    let mutation = Some(node.put(1, 1, "notes", "k", "v"));
    let first = v1::SubmitMutationRequest { mutation, wait: WaitMode::Committed.into() };
    node.shard.submit_mutation(first).await.unwrap();
    let envelope = node.put(0, 1, "notes", "k", "v");
    let id = Bytes::copy_from_slice(db3_primitives::mutation_id(&envelope.body).as_bytes());
    let request = v1::WatchReceiptsRequest { ids: vec![id], ..Default::default() };
    let mut stream = node.chains.watch_receipts(request).await.unwrap().into_inner();
    let submit = v1::SubmitMutationRequest { mutation: Some(envelope), wait: WaitMode::Checked.into() };
    let mut states = Vec::new();
    let mut submit = Some(submit);
    while states.len() < 2 {
        match stream.next().await.unwrap().unwrap().event.unwrap() {
            watch_receipts_response::Event::Receipt(receipt) => states.push(receipt.state()),
            watch_receipts_response::Event::Heartbeat(_) => continue,
        }
        if let Some(submit) = submit.take() {
            node.shard.submit_mutation(submit).await.unwrap();
        }
    }
    assert_eq!(states, [ReceiptState::Unknown, ReceiptState::Pending]);
}
