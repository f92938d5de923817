//! Reading records: values, absence, ranges, heights, proofs.

use bytes::Bytes;
use db3_primitives::{TableName, key};
use db3_proto::{ics23, v1};
use db3_state_tree::{LeafValue, Proof, verify_absence, verify_existence, verify_range};
use tonic::Code;

use crate::node::{TestNode, code, own, proving, put};

fn record(node_key: &str, read: Option<v1::ReadOptions>) -> v1::GetRecordRequest {
    v1::GetRecordRequest {
        namespace: own(0).to_string(),
        table: "notes".to_owned(),
        key: Bytes::copy_from_slice(node_key.as_bytes()),
        read,
    }
}

fn scan(page_size: i32) -> v1::ScanRecordsRequest {
    v1::ScanRecordsRequest {
        namespace: own(0).to_string(),
        table: "notes".to_owned(),
        page_size,
        read: Some(proving()),
        ..v1::ScanRecordsRequest::default()
    }
}

/// A node with records k00 … of account 0.
async fn filled(count: usize) -> TestNode {
    let mut node = TestNode::start().await;
    let operations = (0..count).map(|n| put("notes", &format!("k{n:02}"), &format!("value {n}"))).collect();
    let envelope = node.sign(0, &own(0), 1, operations);
    node.write(envelope).await;
    node
}

fn tree_key(record: &str) -> Vec<u8> {
    let table: TableName = "notes".parse().unwrap();
    key::record(&own(0), &table, &record.as_bytes().try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_and_an_absence_are_proven_under_a_header() {
    let mut node = filled(3).await;
    let answer = node.shard.get_record(record("k01", Some(proving()))).await.unwrap().into_inner();
    let root = node.proven_root(answer.context.as_ref().unwrap());
    let got = answer.record.unwrap();
    let leaf = [got.stored_header, got.value].concat();
    match ics23::from_bytes(&answer.ics23_proof).unwrap() {
        Proof::Exists(proof) => verify_existence(&root, &tree_key("k01"), &leaf, &proof).unwrap(),
        other @ Proof::Absent(_) => panic!("{other:?}"),
    }
    let answer = node.shard.get_record(record("nothing", Some(proving()))).await.unwrap().into_inner();
    assert!(answer.record.is_none());
    let root = node.proven_root(answer.context.as_ref().unwrap());
    match ics23::from_bytes(&answer.ics23_proof).unwrap() {
        Proof::Absent(proof) => verify_absence(&root, &tree_key("nothing"), &proof).unwrap(),
        other @ Proof::Exists(_) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_read_carries_no_proof_and_no_header() {
    let mut node = filled(1).await;
    let answer = node.shard.get_record(record("k00", None)).await.unwrap().into_inner();
    assert_eq!(answer.record.unwrap().value, "value 0");
    assert!(answer.ics23_proof.is_empty() && answer.context.unwrap().light_block.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_the_caller_trusts_is_left_out() {
    let mut node = filled(1).await;
    let height = node.chain.provable().height.get();
    for (trusted_height, sent) in [(height, true), (height + 1, false), (height + 9, false)] {
        let read = Some(v1::ReadOptions { height, prove: true, trusted_height, ..v1::ReadOptions::default() });
        let answer = node.shard.get_record(record("k00", read)).await.unwrap().into_inner();
        assert_eq!(answer.context.unwrap().light_block.is_some(), sent, "trusting {trusted_height} of {height}");
        assert!(!answer.ics23_proof.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_records_are_read_from_one_state() {
    let mut node = filled(4).await;
    let name = |key: &str| v1::RecordName {
        namespace: own(0).to_string(),
        table: "notes".to_owned(),
        key: Bytes::copy_from_slice(key.as_bytes()),
    };
    let names = vec![name("k03"), name("absent"), name("k00")];
    let request = v1::BatchGetRecordsRequest { names, read: Some(proving()) };
    let answer = node.shard.batch_get_records(request).await.unwrap().into_inner();
    let values: Vec<_> = answer.results.iter().map(|r| r.record.as_ref().map(|r| r.value.clone())).collect();
    assert_eq!(values, [Some("value 3".into()), None, Some("value 0".into())]);
    assert!(answer.results.iter().all(|result| !result.ics23_proof.is_empty()));
    node.proven_root(answer.context.as_ref().unwrap());
    let wrong = v1::BatchGetRecordsRequest { names: vec![name("k"), v1::RecordName::default()], read: None };
    let status = node.shard.batch_get_records(wrong).await.unwrap_err();
    let rejection = db3_proto::status::from_status(&status).unwrap();
    assert_eq!((rejection.code, rejection.field.as_str()), (115, "names[1].namespace"));
    let many = v1::BatchGetRecordsRequest { names: vec![name("k"); 1_001], read: None };
    assert_eq!(code(&node.shard.batch_get_records(many).await.unwrap_err()), 407);
}

async fn walk(node: &mut TestNode, request: v1::ScanRecordsRequest) -> Vec<String> {
    let mut keys = Vec::new();
    let mut token = String::new();
    let mut height = 0;
    loop {
        let asked = v1::ScanRecordsRequest { page_token: token, ..request.clone() };
        let page = node.shard.scan_records(asked).await.unwrap().into_inner();
        let context = page.context.as_ref().unwrap();
        assert!(height == 0 || height == context.height, "a token fixes the height");
        height = context.height;
        check_complete(node, &page, request.reverse);
        keys.extend(page.records.iter().map(|record| String::from_utf8(record.key.to_vec()).unwrap()));
        token = page.next_page_token;
        if token.is_empty() {
            return keys;
        }
        // The next page is of the same state, whatever is written meanwhile.
        let next = node.chain.committed().state.window(&crate::node::address(1), &own(1)).next().get();
        let envelope = node.put(1, next, "notes", "k", "v");
        node.write(envelope).await;
    }
}

fn check_complete(node: &TestNode, page: &v1::ScanRecordsResponse, reverse: bool) {
    let root = node.proven_root(page.context.as_ref().unwrap());
    let mut leaves: Vec<(Vec<u8>, Vec<u8>, Bytes)> = page
        .records
        .iter()
        .map(|record| {
            let name = std::str::from_utf8(&record.key).unwrap();
            (tree_key(name), [record.stored_header.clone(), record.value.clone()].concat(), record.value_hash.clone())
        })
        .collect();
    if reverse {
        leaves.reverse();
    }
    let records: Vec<(&[u8], LeafValue<'_>)> = leaves
        .iter()
        .map(|(key, leaf, hash)| {
            let value = if hash.is_empty() {
                LeafValue::Bytes(leaf)
            } else {
                LeafValue::Hash(hash.as_ref().try_into().unwrap())
            };
            (key.as_slice(), value)
        })
        .collect();
    let proof = &page.proof.as_ref().unwrap().data;
    verify_range(&root, &page.complete_from, Some(&page.complete_to), &records, proof).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_range_are_complete_and_of_one_height() {
    let mut node = filled(10).await;
    let all: Vec<String> = (0..10).map(|n| format!("k{n:02}")).collect();
    assert_eq!(walk(&mut node, scan(3)).await, all);
    let reverse = v1::ScanRecordsRequest { reverse: true, ..scan(4) };
    assert_eq!(walk(&mut node, reverse).await, all.iter().rev().cloned().collect::<Vec<_>>());
    let keys_only = v1::ScanRecordsRequest { keys_only: true, ..scan(4) };
    assert_eq!(walk(&mut node, keys_only).await, all);
    let some = v1::ScanRecordsRequest {
        start_key: Bytes::from_static(b"k02"),
        end_key: Bytes::from_static(b"k05"),
        ..scan(2)
    };
    assert_eq!(walk(&mut node, some).await, ["k02", "k03", "k04"]);
    let prefix = v1::ScanRecordsRequest { prefix: Bytes::from_static(b"k0"), ..scan(100) };
    assert_eq!(walk(&mut node, prefix).await, all);
    let nothing = v1::ScanRecordsRequest { prefix: Bytes::from_static(b"x"), ..scan(100) };
    assert!(walk(&mut node, nothing).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_alone_come_without_values() {
    let mut node = filled(2).await;
    let request = v1::ScanRecordsRequest { keys_only: true, ..scan(10) };
    let page = node.shard.scan_records(request).await.unwrap().into_inner();
    assert!(page.records.iter().all(|r| r.value.is_empty() && r.stored_header.is_empty() && r.value_hash.len() == 32));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_this_list_did_not_give_is_refused() {
    let mut node = filled(5).await;
    let page = node.shard.scan_records(scan(2)).await.unwrap().into_inner();
    let token = page.next_page_token;
    let mistyped = format!("{}A", &token[..token.len() - 1]);
    let wrong = [
        v1::ScanRecordsRequest { page_token: "garbage!".to_owned(), ..scan(2) },
        v1::ScanRecordsRequest { page_token: token.clone(), reverse: true, ..scan(2) },
        v1::ScanRecordsRequest { page_token: token.clone(), prefix: Bytes::from_static(b"k"), ..scan(2) },
        v1::ScanRecordsRequest { page_token: mistyped, ..scan(2) },
    ];
    for request in wrong.into_iter().filter(|request| request.page_token != token || request != &scan(2)) {
        let status = node.shard.scan_records(request).await.unwrap_err();
        assert_eq!((code(&status), status.code()), (403, Code::InvalidArgument));
    }
    let status = node.shard.scan_records(scan(-1)).await.unwrap_err();
    assert_eq!(code(&status), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_height_that_is_not_kept_names_those_that_are() {
    let mut node = filled(1).await;
    let read = Some(v1::ReadOptions { height: 1 << 40, ..v1::ReadOptions::default() });
    let status = node.shard.get_record(record("k00", read)).await.unwrap_err();
    assert_eq!((code(&status), status.code()), (402, Code::OutOfRange));
    match db3_proto::status::from_status(&status).unwrap().detail.unwrap() {
        v1::rejection::Detail::HeightUnavailable(detail) => {
            assert_eq!(detail.latest_provable, node.chain.provable().height.get());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_height_to_come_is_waited_for_within_the_deadline() {
    let mut node = filled(1).await;
    let min_height = node.chain.committed().height.get() + 2;
    let read = Some(v1::ReadOptions { min_height, ..v1::ReadOptions::default() });
    let mut call = tonic::Request::new(record("k00", read));
    call.set_timeout(std::time::Duration::from_millis(200));
    assert_eq!(code(&node.shard.get_record(call).await.unwrap_err()), 402);
    let mut reader = node.shard.clone();
    let waiting = tokio::spawn(async move { reader.get_record(record("k00", read)).await });
    let mut nonce = 2;
    while node.chain.provable().height.get() < min_height {
        node.write(node.put(0, nonce, "notes", "k00", "newer")).await;
        nonce += 1;
    }
    let answer = waiting.await.unwrap().unwrap().into_inner();
    assert!(answer.context.unwrap().height >= min_height);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_names_are_refused_with_the_field_of_the_request() {
    let mut node = filled(1).await;
    let cases = [
        (v1::GetRecordRequest { namespace: "Bad Name".to_owned(), ..record("k", None) }, 115, "namespace"),
        (v1::GetRecordRequest { table: String::new(), ..record("k", None) }, 116, "table"),
        (v1::GetRecordRequest { key: Bytes::new(), ..record("k", None) }, 117, "key"),
        (v1::GetRecordRequest { key: Bytes::from(vec![0; 257]), ..record("k", None) }, 117, "key"),
    ];
    for (request, number, field) in cases {
        let status = node.shard.get_record(request).await.unwrap_err();
        let rejection = db3_proto::status::from_status(&status).unwrap();
        assert_eq!((rejection.code, rejection.field.as_str()), (number, field));
    }
}
