//! Credit lines, nonces, prices and estimates.

use bytes::Bytes;
use db3_primitives::{AccountLeaf, NonceWindow, Operation, key};
use db3_proto::convert::{checked_credit_line, checked_params, checked_window};
use db3_proto::{encode_body, ics23, v1};
use db3_state_tree::{Proof, verify_absence, verify_existence};

use crate::node::{TestNode, account, address, code, own, proving, put, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_proven_and_adds_up() {
    let mut node = TestNode::start().await;
    let receipt = node.write(node.put(0, 1, "notes", "k", "v")).await;
    let request = v1::GetCreditLineRequest { account: account(0), read: Some(proving()) };
    let line = node.shard.get_credit_line(request).await.unwrap().into_inner().line.unwrap();
    let shard = node.chain.committed().state.chain().shard;
    let leaf: AccountLeaf = checked_credit_line(&line, &address(0), shard).unwrap().unwrap();
    assert_eq!(leaf.spent.to_string(), receipt.fee_tai);
    assert_eq!(leaf.ceiling, leaf.spent.checked_add(leaf.available()).unwrap());
    let root = node.proven_root(line.context.as_ref().unwrap());
    match ics23::from_bytes(&line.ics23_proof).unwrap() {
        Proof::Exists(proof) => verify_existence(&root, &key::account(&address(0)), &line.stored, &proof).unwrap(),
        other @ Proof::Absent(_) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_line_is_proven_to_have_none() {
    let mut node = TestNode::start().await;
    let request = v1::GetCreditLineRequest { account: account(9), read: Some(proving()) };
    let line = node.shard.get_credit_line(request).await.unwrap().into_inner().line.unwrap();
    assert!(line.stored.is_empty());
    assert_eq!(line.available_tai, "0");
    let root = node.proven_root(line.context.as_ref().unwrap());
    match ics23::from_bytes(&line.ics23_proof).unwrap() {
        Proof::Absent(proof) => verify_absence(&root, &key::account(&address(9)), &proof).unwrap(),
        other @ Proof::Exists(_) => panic!("{other:?}"),
    }
    let short = v1::GetCreditLineRequest { account: Bytes::from_static(b"short"), read: None };
    assert_eq!(code(&node.shard.get_credit_line(short).await.unwrap_err()), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_window_says_what_is_used_and_what_may_be() {
    let mut node = TestNode::start().await;
    for nonce in [1, 3, 2, 7] {
        node.write(node.put(0, nonce, "notes", "k", "v")).await;
    }
    let request =
        v1::GetNonceWindowRequest { account: account(0), namespace: own(0).to_string(), read: Some(proving()) };
    let answer = node.shard.get_nonce_window(request).await.unwrap().into_inner();
    let window: NonceWindow = checked_window(&answer, &address(0), &own(0)).unwrap();
    assert_eq!((window.base(), window.next().get(), window.highest().get()), (3, 4, 7));
    assert_eq!(answer.window.unwrap().highest_allowed, 3 + 4_096);
    node.proven_root(answer.context.as_ref().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_is_what_is_charged() {
    let mut node = TestNode::start().await;
    let mutation = node.mutation(0, &own(0), 1, vec![put("notes", "k", "some value")]);
    let body = v1::estimate_fee_request::Subject::Body(encode_body(&mutation).into());
    let estimate = node.shard.estimate_fee(v1::EstimateFeeRequest { subject: Some(body) }).await.unwrap().into_inner();
    let total: u64 = estimate.charges.iter().map(|charge| charge.amount_tai.parse::<u64>().unwrap()).sum();
    assert_eq!(total.to_string(), estimate.fee_tai);
    assert!(estimate.fee_tai.parse::<u64>().unwrap() <= estimate.bound_tai.parse::<u64>().unwrap());
    assert!(estimate.rejection.is_none());
    let receipt = node.write(crate::node::signed(&crate::node::key(0), &mutation)).await;
    assert_eq!(receipt.fee_tai, estimate.fee_tai);
    let insert = Operation::Insert(write("notes", "k", "again", None));
    let envelope = node.sign(0, &own(0), 2, vec![insert]);
    let subject = Some(v1::estimate_fee_request::Subject::Mutation(envelope));
    let failing = node.shard.estimate_fee(v1::EstimateFeeRequest { subject }).await.unwrap().into_inner();
    assert_eq!(failing.rejection.unwrap().reason, "RECORD_EXISTS");
    let nothing = node.shard.estimate_fee(v1::EstimateFeeRequest::default()).await.unwrap_err();
    assert_eq!(code(&nothing), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_proven_and_hold_the_prices() {
    let mut node = TestNode::start().await;
    let answer = node.chains.get_params(v1::GetParamsRequest { read: Some(proving()) }).await.unwrap().into_inner();
    let params = answer.params.unwrap();
    let leaf = checked_params(&params).unwrap();
    assert_eq!(leaf.epoch_secs.get(), crate::node::EPOCH_SECS);
    assert_eq!(params.prices.unwrap().prices.len(), 5);
    let root = node.proven_root(answer.context.as_ref().unwrap());
    match ics23::from_bytes(&answer.ics23_proof).unwrap() {
        Proof::Exists(proof) => verify_existence(&root, &key::chain(), &params.stored, &proof).unwrap(),
        other @ Proof::Absent(_) => panic!("{other:?}"),
    }
}
