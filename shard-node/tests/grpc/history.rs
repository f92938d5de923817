//! Bills, epochs and the outbox.

use bytes::Bytes;
use db3_merkle_log::verify_inclusion;
use db3_primitives::{Bill, LogEntry};
use db3_proto::convert::{checked_bill, checked_epoch, checked_outbox_entry};
use db3_proto::{ics23, v1};
use db3_state_tree::{Proof, verify_existence};
use tonic::Code;

use crate::node::{EPOCH_SECS, TestNode, account, code, own, proving, put};

/// A node on which account 0 wrote `mine` times and account 1 once.
async fn busy(mine: u64) -> TestNode {
    let mut node = TestNode::start().await;
    for nonce in 1..=mine {
        node.write(node.put(0, nonce, "notes", &format!("k{nonce}"), "v")).await;
    }
    node.write(node.put(1, 1, "notes", "k", "v")).await;
    node
}

async fn bills(node: &mut TestNode, request: v1::ListBillsRequest) -> Vec<v1::Bill> {
    let mut bills = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = v1::ListBillsRequest { page_token, ..request.clone() };
        let page = node.shard.list_bills(asked).await.unwrap().into_inner();
        bills.extend(page.bills);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return bills;
        }
    }
}

fn log_holds(bill: &v1::Bill) {
    let proof = bill.proof.as_ref().unwrap();
    let hashes: Vec<[u8; 32]> = proof.hashes.iter().map(|hash| hash.as_ref().try_into().unwrap()).collect();
    let root = proof.root.as_ref().try_into().unwrap();
    verify_inclusion(&bill.leaf, proof.leaf_index, proof.tree_size, &hashes, &root).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bills_are_listed_newest_first_and_add_up() {
    let mut node = busy(5).await;
    let mine = bills(&mut node, v1::ListBillsRequest { account: account(0), page_size: 2, ..Default::default() }).await;
    assert_eq!(mine.iter().map(|bill| bill.seq).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    let checked: Vec<Bill> = mine.iter().map(|bill| checked_bill(bill).unwrap()).collect();
    let sum: u128 = checked.iter().map(|bill| bill.fee.get()).sum();
    assert_eq!(sum, checked[0].cum_after.get());
    assert!(mine.iter().all(|bill| bill.status() == v1::BillStatus::Open && bill.namespace == own(0).to_string()));
    let all = bills(&mut node, v1::ListBillsRequest { page_size: 4, ..Default::default() }).await;
    assert_eq!(all.len(), 6);
    let closed = v1::ListBillsRequest { status: v1::BillStatus::Closed.into(), ..Default::default() };
    assert!(bills(&mut node, closed).await.is_empty());
    let paid = v1::ListBillsRequest { status: v1::BillStatus::Paid.into(), ..Default::default() };
    assert_eq!(code(&node.shard.list_bills(paid).await.unwrap_err()), 401);
    let of_namespace = v1::ListBillsRequest { namespace: own(1).to_string(), ..Default::default() };
    assert_eq!(bills(&mut node, of_namespace).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_is_proven_in_the_open_epoch_and_after_its_close() {
    let mut node = busy(3).await;
    let by = |seq| Some(v1::get_bill_request::By::Name(v1::BillName { account: account(0), seq }));
    let request = v1::GetBillRequest { by: by(2), read: Some(proving()) };
    let open = node.shard.get_bill(request.clone()).await.unwrap().into_inner().bill.unwrap();
    assert_eq!(open.status(), v1::BillStatus::Open);
    log_holds(&open);
    assert!(open.proof.as_ref().unwrap().close_leaf.is_empty());
    let epoch = node.close_epoch().await;
    let closed = node.shard.get_bill(request).await.unwrap().into_inner().bill.unwrap();
    assert_eq!((closed.status(), closed.epoch), (v1::BillStatus::Closed, epoch));
    log_holds(&closed);
    let proof = closed.proof.unwrap();
    let close = match LogEntry::from_bytes(&proof.close_leaf).unwrap() {
        LogEntry::EpochClose(close) => close,
        other @ LogEntry::Statement(_) => panic!("{other:?}"),
    };
    assert_eq!(close.bills_root.as_slice(), &proof.root[..]);
    let root = node.proven_root(proof.context.as_ref().unwrap());
    match ics23::from_bytes(&proof.root_ics23_proof).unwrap() {
        Proof::Exists(proof) => {
            verify_existence(&root, &db3_primitives::key::epoch(close.last), &close.hash(), &proof).unwrap();
        }
        other @ Proof::Absent(_) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_is_found_by_its_mutation_and_a_missing_one_is_named() {
    let mut node = busy(2).await;
    let newest = bills(&mut node, v1::ListBillsRequest { account: account(0), ..Default::default() }).await.remove(0);
    let by = Some(v1::get_bill_request::By::MutationId(newest.reference.clone()));
    let found = node.shard.get_bill(v1::GetBillRequest { by, read: None }).await.unwrap().into_inner().bill.unwrap();
    assert_eq!(found, newest);
    let by = Some(v1::get_bill_request::By::MutationId(Bytes::from(vec![7; 32])));
    let status = node.shard.get_bill(v1::GetBillRequest { by, read: None }).await.unwrap_err();
    assert_eq!((code(&status), status.code()), (404, Code::NotFound));
    assert_eq!(code(&node.shard.get_bill(v1::GetBillRequest::default()).await.unwrap_err()), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_closes_and_its_statements_are_its_bills() {
    let mut node = busy(3).await;
    let all = bills(&mut node, v1::ListBillsRequest::default()).await;
    let open = node.shard.get_epoch(v1::GetEpochRequest::default()).await.unwrap().into_inner().epoch.unwrap();
    assert_eq!((open.status(), open.bill_count), (v1::BillStatus::Open, 4));
    let number = node.close_epoch().await;
    assert_eq!(number, open.epoch);
    let request = v1::GetEpochRequest { epoch: Some(number), read: Some(proving()) };
    let answer = node.shard.get_epoch(request).await.unwrap().into_inner();
    let secs = std::num::NonZeroU64::new(EPOCH_SECS).unwrap();
    let close = checked_epoch(answer.epoch.as_ref().unwrap(), secs).unwrap().unwrap();
    assert_eq!((close.bill_count, close.statements), (4, 2));
    let sum: u128 = all.iter().map(|bill| bill.fee_tai.parse::<u128>().unwrap()).sum();
    assert_eq!(close.total.get(), sum);
    let outbox = node
        .chains
        .list_outbox(v1::ListOutboxRequest { page_size: 2, read: Some(proving()), ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    assert_eq!((outbox.entries.len(), outbox.size, outbox.right_hashes.len()), (2, 3, 1));
    let shard = node.chain.committed().state.chain().shard;
    for entry in &outbox.entries {
        assert!(matches!(checked_outbox_entry(entry, shard, secs).unwrap(), LogEntry::Statement(_)));
    }
    let rest = v1::ListOutboxRequest {
        page_size: 2,
        page_token: outbox.next_page_token,
        read: Some(proving()),
        ..Default::default()
    };
    let rest = node.chains.list_outbox(rest).await.unwrap().into_inner();
    assert_eq!((rest.entries.len(), rest.next_page_token.as_str()), (1, ""));
    assert!(matches!(checked_outbox_entry(&rest.entries[0], shard, secs).unwrap(), LogEntry::EpochClose(_)));
    let wrong = v1::ListOutboxRequest { destination: "other-settlement".to_owned(), ..Default::default() };
    assert_eq!(code(&node.chains.list_outbox(wrong).await.unwrap_err()), 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_are_listed_newest_first_in_pages() {
    let mut node = busy(1).await;
    let mut closed = Vec::new();
    for nonce in 2..=4 {
        closed.push(node.close_epoch().await);
        let envelope = node.sign(0, &own(0), nonce, vec![put("notes", "k", "v")]);
        node.write(envelope).await;
    }
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListEpochsRequest { page_size: 2, page_token, ..Default::default() };
        let page = node.shard.list_epochs(request).await.unwrap().into_inner();
        seen.extend(page.epochs.iter().map(|epoch| (epoch.epoch, epoch.status())));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen[0].1, v1::BillStatus::Open);
    let expected: Vec<_> = closed.iter().rev().map(|epoch| (*epoch, v1::BillStatus::Closed)).collect();
    assert_eq!(seen[1..], expected);
    let from = v1::ListEpochsRequest { from_epoch: Some(closed[1]), ..Default::default() };
    let page = node.shard.list_epochs(from).await.unwrap().into_inner();
    assert_eq!(page.epochs.iter().map(|epoch| epoch.epoch).collect::<Vec<_>>(), [closed[1], closed[0]]);
    let missing = v1::GetEpochRequest { epoch: Some(1), read: None };
    let status = node.shard.get_epoch(missing).await.unwrap_err();
    assert_eq!((code(&status), status.code()), (405, Code::NotFound));
}
