//! Accounts and transactions.

use db3_primitives::{Address, ShardId, Tai, TransactionOperation, key as tree_key};
use db3_proto::convert::checked_settlement_account;
use db3_proto::status::from_status;
use db3_proto::{ics23, v1};
use db3_state_tree::{Proof, verify_absence, verify_existence};

use crate::net::{FUNDS, Net, account, address, code, proven_root, proving};

fn transfer(to: Address, amount: u128) -> TransactionOperation {
    TransactionOperation::Transfer { to, amount: Tai::new(amount) }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_moves_and_the_fee_is_what_was_estimated() {
    let mut net = Net::with_relays(0).await;
    let envelope = net.transaction(0, 1, vec![transfer(address(1), 500)]);
    let subject = v1::estimate_transaction_fee_request::Subject::Transaction(envelope.clone());
    let request = v1::EstimateTransactionFeeRequest { subject: Some(subject) };
    let estimate = net.money.estimate_transaction_fee(request).await.unwrap().into_inner();
    assert!(estimate.rejection.is_none() && !estimate.charges.is_empty(), "{estimate:?}");
    let receipt = net.submit(envelope.clone()).await.unwrap();
    assert_eq!((receipt.state(), &receipt.fee_tai), (v1::ReceiptState::Applied, &estimate.fee_tai));
    assert!(receipt.namespace.is_empty() && receipt.provable_height > 0);
    let fee: u128 = receipt.fee_tai.parse().unwrap();
    assert_eq!(net.account(0).await.balance_tai, (FUNDS - 500 - fee).to_string());
    assert_eq!(net.account(1).await.balance_tai, (FUNDS + 500).to_string());
    let again = net.submit(envelope).await.unwrap();
    assert_eq!(again, receipt, "the same bytes again get the same receipt");
    let known = net.of_settlement.get_receipt(v1::GetReceiptRequest { id: receipt.id.clone() }).await.unwrap();
    assert_eq!(known.into_inner().receipt.unwrap().height, receipt.height);
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_listed_for_who_signed_and_who_receives_newest_first_in_pages() {
    let mut net = Net::with_relays(0).await;
    let mut sent = Vec::new();
    for nonce in 1..=3 {
        let envelope = net.transaction(0, nonce, vec![transfer(address(1), 500), transfer(address(1), 1)]);
        let receipt = net.submit(envelope.clone()).await.unwrap();
        sent.insert(0, v1::AccountTransaction { transaction: Some(envelope), receipt: Some(receipt) });
    }
    let deposit = TransactionOperation::Deposit { to: address(2), amount: Tai::new(7) };
    let elsewhere = net.transaction(1, 1, vec![deposit]);
    net.submit(elsewhere).await.unwrap();
    for (number, count) in [(0, 3), (1, 4), (2, 1), (3, 0)] {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListTransactionsRequest { account: account(number), page_size: 2, page_token };
            let page = net.money.list_transactions(request).await.unwrap().into_inner();
            assert!(page.transactions.len() <= 2 && page.from_height == 1, "{page:?}");
            found.extend(page.transactions);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found.len(), count, "of account {number}");
        if number == 0 {
            assert_eq!(found, sent);
        }
    }
    let foreign = v1::ListTransactionsRequest { account: account(1), page_size: 1, page_token: String::new() };
    let first = net.money.list_transactions(foreign.clone()).await.unwrap().into_inner();
    let other = v1::ListTransactionsRequest { account: account(0), page_token: first.next_page_token, ..foreign };
    assert_eq!(code(&net.money.list_transactions(other).await.unwrap_err()), 403, "a token of another list");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_paid_is_refused_with_its_number() {
    let mut net = Net::with_relays(0).await;
    let poor = net.transaction(5, 1, vec![transfer(address(1), 1)]);
    assert_eq!(code(&net.submit(poor).await.unwrap_err()), 223, "no balance for the fee");
    let shard = TransactionOperation::Allocate { shard: ShardId::new(7), want: Tai::new(1) };
    let unknown = net.transaction(0, 1, vec![shard]);
    match net.submit(unknown).await {
        Err(status) => assert_eq!(code(&status), 311, "{status:?}"),
        Ok(receipt) => assert_eq!(receipt.rejection.unwrap().code, 311),
    }
    let none = net.transaction(0, 2, Vec::new());
    let said = from_status(&net.submit(none).await.unwrap_err()).unwrap();
    assert_eq!(said.field, "transaction.body.operations", "{said:?}");
    let missing = v1::SubmitTransactionRequest::default();
    assert_eq!(code(&net.money.submit_transaction(missing).await.unwrap_err()), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_proven_with_its_lines_and_an_unknown_one_is_absent() {
    let mut net = Net::with_relays(0).await;
    let params = net.settlement.provable().state.chain().clone();
    for (number, lines) in [(0, 1), (7, 0)] {
        let request = v1::GetAccountRequest { account: account(number), read: Some(proving()) };
        let answer = net.money.get_account(request).await.unwrap().into_inner();
        let root = proven_root(net.settlement.genesis(), answer.context.as_ref().unwrap());
        let message = answer.account.unwrap();
        assert_eq!(message.lines.len(), lines);
        let leaves = checked_settlement_account(&message, &address(number), &params).unwrap();
        assert_eq!(leaves.balance.is_some(), lines == 1);
        let balance_key = tree_key::balance(&address(number));
        match ics23::from_bytes(&answer.ics23_proof).unwrap() {
            Proof::Exists(proof) => {
                assert_eq!(lines, 1);
                verify_existence(&root, &balance_key, &message.stored, &proof).unwrap();
            }
            Proof::Absent(proof) => {
                assert_eq!(lines, 0);
                verify_absence(&root, &balance_key, &proof).unwrap();
            }
        }
        assert_eq!(answer.complete_from, tree_key::line_prefix_of(&address(number)));
        assert!(answer.lines_proof.is_some() && !answer.window_ics23_proof.is_empty());
    }
}
