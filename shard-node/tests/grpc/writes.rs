//! Submitting: one, many, and what is refused.

use std::time::Duration;

use bytes::Bytes;
use db3_primitives::{Mutation, Nonce, Operation, RecordKey, Tai};
use db3_proto::status::CallError;
use db3_proto::v1;
use db3_proto::v1::{ReceiptState, WaitMode};
use tonic::Code;

use crate::node::{Plan, TestNode, account, address, code, key, own, put, signed, write};

fn request(envelope: v1::SignedEnvelope, wait: WaitMode) -> v1::SubmitMutationRequest {
    v1::SubmitMutationRequest { mutation: Some(envelope), wait: wait.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_has_a_receipt_and_a_bill() {
    let mut node = TestNode::start().await;
    let receipt = node.write(node.put(0, 1, "notes", "k", "v")).await;
    assert_eq!(receipt.state(), ReceiptState::Applied);
    assert_eq!((receipt.bill_seq, receipt.nonce, &receipt.account), (1, 1, &account(0)));
    assert_eq!(receipt.results, [v1::OperationResult { version: 1 }]);
    assert!(receipt.fee_tai.parse::<u64>().unwrap() > 0);
    let known = node.chains.get_receipt(v1::GetReceiptRequest { id: receipt.id.clone() }).await.unwrap().into_inner();
    assert_eq!(known.receipt.unwrap(), receipt);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_again_get_the_same_receipt() {
    let mut node = TestNode::start().await;
    let envelope = node.put(0, 1, "notes", "k", "v");
    let first = node.write(envelope.clone()).await;
    assert_eq!(node.write(envelope).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_that_fails_is_ok_and_charged() {
    let mut node = TestNode::start().await;
    let update = Operation::Update(write("notes", "missing", "v", None));
    let envelope = node.sign(0, &own(0), 1, vec![update]);
    let receipt = node.write(envelope).await;
    assert_eq!(receipt.state(), ReceiptState::Failed);
    let rejection = receipt.rejection.unwrap();
    assert!(rejection.charged && (300..400).contains(&rejection.code), "{rejection:?}");
    assert_eq!(receipt.bill_seq, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_while_waiting_is_ok_and_pending() {
    let node = TestNode::with(Plan { block_ms: 60_000, ..Plan::default() }).await;
    let mut shard = node.shard.clone();
    // The first mutation may find a block that is due; the second has to wait.
    for nonce in 1..=2 {
        let mut call = tonic::Request::new(request(node.put(0, nonce, "notes", "k", "v"), WaitMode::Committed));
        call.set_timeout(Duration::from_millis(400));
        let receipt = shard.submit_mutation(call).await.unwrap().into_inner().receipt.unwrap();
        if nonce == 2 {
            assert_eq!(receipt.state(), ReceiptState::Pending);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unspecified_waits_for_admission_alone() {
    let node = TestNode::with(Plan { block_ms: 60_000, ..Plan::default() }).await;
    let mut shard = node.shard.clone();
    for nonce in 1..=2 {
        let answer = shard.submit_mutation(request(node.put(0, nonce, "t", "k", "v"), WaitMode::Unspecified)).await;
        let state = answer.unwrap().into_inner().receipt.unwrap().state();
        assert!(matches!(state, ReceiptState::Pending | ReceiptState::Applied), "{state:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_number_and_puts_nothing_in_a_block() {
    let mut node = TestNode::start().await;
    node.write(node.put(0, 1, "notes", "k", "v")).await;
    let base = node.mutation(0, &own(0), 2, vec![put("notes", "k", "other")]);
    let change = |edit: fn(&mut Mutation)| {
        let mut mutation = base.clone();
        edit(&mut mutation);
        signed(&key(0), &mutation)
    };
    let by_other = signed(&key(1), &base);
    let stranger = node.mutation(9, &own(9), 1, vec![put("notes", "k", "v")]);
    let trespass = node.sign(1, &own(0), 1, vec![put("notes", "k", "v")]);
    let garbage = v1::SignedEnvelope { body: Bytes::from_static(b"\xff\xff"), ..change(|_| {}) };
    let cases = [
        (garbage, 103, Code::InvalidArgument),
        (change(|mutation| mutation.operations.clear()), 107, Code::InvalidArgument),
        (v1::SignedEnvelope { scheme: 7, ..change(|_| {}) }, 109, Code::InvalidArgument),
        (v1::SignedEnvelope { signature: Bytes::from_static(b"short"), ..change(|_| {}) }, 110, Code::InvalidArgument),
        (by_other, 111, Code::InvalidArgument),
        (change(|mutation| mutation.network = "other".parse().unwrap()), 112, Code::InvalidArgument),
        (change(|mutation| mutation.nonce = Nonce::new(0)), 120, Code::InvalidArgument),
        (change(|mutation| mutation.expire_unix_secs = 1), 201, Code::FailedPrecondition),
        (change(|mutation| mutation.expire_unix_secs += 100_000), 202, Code::FailedPrecondition),
        (change(|mutation| mutation.namespace = "nobodys".parse().unwrap()), 204, Code::FailedPrecondition),
        (trespass, 206, Code::PermissionDenied),
        (change(|mutation| mutation.nonce = Nonce::new(1)), 207, Code::FailedPrecondition),
        (change(|mutation| mutation.nonce = Nonce::new(1 << 40)), 208, Code::FailedPrecondition),
        (change(|mutation| mutation.max_fee = Tai::new(1)), 210, Code::FailedPrecondition),
        (signed(&key(9), &stranger), 212, Code::FailedPrecondition),
    ];
    for (envelope, expected, grpc) in cases {
        let status = node.refused(envelope).await;
        assert_eq!((code(&status), status.code()), (expected, grpc), "{status:?}");
    }
    let bills = node.shard.list_bills(v1::ListBillsRequest::default()).await.unwrap().into_inner().bills;
    assert_eq!(bills.len(), 1, "only what was applied has a bill");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_its_name_its_field_and_its_values() {
    let mut node = TestNode::start().await;
    let missing = node.shard.submit_mutation(v1::SubmitMutationRequest::default()).await.unwrap_err();
    assert_eq!((code(&missing), missing.code()), (401, Code::InvalidArgument));
    let mutation = Mutation { max_fee: Tai::new(7), ..node.mutation(0, &own(0), 1, vec![put("t", "k", "v")]) };
    let status = node.refused(signed(&key(0), &mutation)).await;
    let error = CallError::from(&status);
    let rejection = error.rejection.unwrap();
    assert_eq!((rejection.reason.as_str(), rejection.field.as_str()), ("FEE_OVER_LIMIT", "mutation.body.max_fee_tai"));
    assert_eq!(rejection.mutation_id.len(), 32, "the identifier is known before sending");
    assert!(error.retry_after.is_none(), "waiting does not help");
    match rejection.detail.unwrap() {
        v1::rejection::Detail::FeeOverLimit(detail) => assert_eq!(detail.max_fee_tai, "7"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_another_shard_is_refused_with_the_right_one() {
    let mut node = TestNode::with(Plan { shards: 64, ..Plan::default() }).await;
    let elsewhere = (1..).map(|n| format!("name{n}")).find(|name| {
        let map = node.chain.committed().state.chain().shard_map;
        map.shard_of_namespace(&name.parse().unwrap()) != node.chain.committed().state.chain().shard
    });
    let namespace = elsewhere.unwrap().parse().unwrap();
    let envelope = node.sign(0, &namespace, 1, vec![Operation::CreateNamespace]);
    let status = node.refused(envelope).await;
    assert_eq!((code(&status), status.code()), (203, Code::FailedPrecondition));
    let read = v1::GetRecordRequest {
        namespace: namespace.to_string(),
        table: "t".to_owned(),
        key: Bytes::from_static(b"k"),
        read: None,
    };
    assert_eq!(code(&node.shard.get_record(read).await.unwrap_err()), 203);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_each_in_its_place() {
    let mut node = TestNode::start().await;
    let good = node.put(0, 1, "notes", "a", "1");
    let bad = v1::SignedEnvelope { scheme: 9, ..node.put(0, 2, "notes", "b", "2") };
    let also = node.put(1, 1, "notes", "c", "3");
    let request =
        v1::BatchSubmitMutationsRequest { mutations: vec![good, bad, also], wait: WaitMode::Committed.into() };
    let outcomes = node.shard.batch_submit_mutations(request).await.unwrap().into_inner().outcomes;
    let states: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome.outcome.as_ref().unwrap() {
            v1::mutation_outcome::Outcome::Receipt(receipt) => Ok(receipt.state()),
            v1::mutation_outcome::Outcome::Error(error) => Err(error.rejection.as_ref().unwrap().code),
        })
        .collect();
    assert_eq!(states, [Ok(ReceiptState::Applied), Err(109), Ok(ReceiptState::Applied)]);
    let many = v1::BatchSubmitMutationsRequest {
        mutations: vec![v1::SignedEnvelope::default(); 1_001],
        wait: WaitMode::Checked.into(),
    };
    assert_eq!(code(&node.shard.batch_submit_mutations(many).await.unwrap_err()), 407);
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_and_tables_are_made_and_listed_with_proof() {
    let mut node = TestNode::start().await;
    let namespace = "shop".parse().unwrap();
    let operations = vec![
        Operation::CreateNamespace,
        Operation::CreateTable { table: "goods".parse().unwrap() },
        Operation::CreateTable { table: "prices".parse().unwrap() },
        put("goods", "1", "bread"),
    ];
    let envelope = node.sign(0, &namespace, 1, operations);
    assert_eq!(node.write(envelope).await.state(), ReceiptState::Applied);
    let read = Some(crate::node::proving());
    let got = node
        .shard
        .get_namespace(v1::GetNamespaceRequest { namespace: "shop".to_owned(), read })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(got.namespace.unwrap().owner, account(0));
    node.proven_root(got.context.as_ref().unwrap());
    let absent = v1::GetNamespaceRequest { namespace: "nothing".to_owned(), read };
    let absent = node.shard.get_namespace(absent).await.unwrap().into_inner();
    assert!(absent.namespace.is_none() && !absent.ics23_proof.is_empty());
    for owner in [Bytes::new(), account(0)] {
        let request = v1::ListNamespacesRequest { owner, read, ..v1::ListNamespacesRequest::default() };
        let listed = node.shard.list_namespaces(request).await.unwrap().into_inner();
        assert_eq!(listed.namespaces.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), ["shop"]);
        assert!(listed.proof.is_some());
    }
    let request =
        v1::ListTablesRequest { namespace: "shop".to_owned(), page_size: 1, read, ..v1::ListTablesRequest::default() };
    let first = node.shard.list_tables(request.clone()).await.unwrap().into_inner();
    assert_eq!(first.tables[0].name, "goods");
    let second = v1::ListTablesRequest { page_token: first.next_page_token, ..request };
    let second = node.shard.list_tables(second).await.unwrap().into_inner();
    assert_eq!((second.tables[0].name.as_str(), second.next_page_token.as_str()), ("prices", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_needs_the_record_and_the_version() {
    let mut node = TestNode::start().await;
    node.write(node.put(0, 1, "notes", "k", "v")).await;
    let delete = |if_version| {
        let record = RecordKey::new(b"k".to_vec()).unwrap();
        vec![Operation::Delete { table: "notes".parse().unwrap(), key: record, if_version }]
    };
    let wrong = node.write(node.sign(0, &own(0), 2, delete(Some(9)))).await;
    assert_eq!(wrong.rejection.unwrap().code, 303);
    let right = node.write(node.sign(0, &own(0), 3, delete(Some(1)))).await;
    assert_eq!(right.state(), ReceiptState::Applied);
    let line = v1::GetCreditLineRequest { account: account(0), read: Some(crate::node::proving()) };
    let line = node.shard.get_credit_line(line).await.unwrap().into_inner().line.unwrap();
    assert_eq!(line.bill_count, 3);
    assert_eq!(node.chain.committed().state.account(&address(0)).unwrap().bill_count, 3);
}
