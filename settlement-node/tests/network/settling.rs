//! From a bill on the shard to the posting that paid it, and what else can be looked up of the way.

use db3_merkle_log::verify_inclusion;
use db3_primitives::{ChainId, ShardId, Tai, key as tree_key};
use db3_proto::convert::{
    checked_epoch, checked_round, checked_settlement, checked_settlement_shard, checked_statement,
};
use db3_proto::{ics23, v1};
use db3_state_tree::{Proof, verify_existence};

use crate::net::{FUNDS, Net, account, address, code, network, proven_root, proving};

/// Checks that a leaf stands in the log whose size and root a proof's state says; `tree_key` is where it says so.
fn stands_in_log(net: &Net, leaf: &[u8], proof: &v1::LogProof, tree_key: &[u8]) {
    let hashes: Vec<[u8; 32]> = proof.hashes.iter().map(|hash| hash.as_ref().try_into().unwrap()).collect();
    let log_root = proof.root.as_ref().try_into().unwrap();
    verify_inclusion(leaf, proof.leaf_index, proof.tree_size, &hashes, &log_root).unwrap();
    let context = proof.context.as_ref().unwrap();
    let root = proven_root(net.settlement.genesis(), context);
    let version = net.settlement.version_at(db3_primitives::Height::new(context.height)).unwrap();
    let stored = version.state.tree().get(tree_key).expect("a frontier");
    match ics23::from_bytes(&proof.root_ics23_proof).unwrap() {
        Proof::Exists(existence) => verify_existence(&root, tree_key, stored, &existence).unwrap(),
        Proof::Absent(_) => panic!("the log's frontier is absent"),
    }
}

fn by_sum(cumulative: Tai, covered: bool) -> v1::GetSettlementRequest {
    let sum = v1::SettlementSum { account: account(0), shard: 0, cumulative_tai: cumulative.to_string(), covered };
    v1::GetSettlementRequest { by: Some(v1::get_settlement_request::By::Sum(sum)), read: Some(proving()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_is_stated_debited_and_paid_and_every_step_is_proven() {
    let mut net = Net::start().await;
    net.credit(0).await;
    let spent = net.write(0, 1).await.checked_add(net.write(0, 2).await).unwrap();
    assert_eq!(code(&net.money.get_settlement(by_sum(spent, false)).await.unwrap_err()), 409, "not yet");
    let epoch = net.settle().await;
    let before = net.account(0).await;
    assert_eq!(before.balance_tai, (FUNDS - spent.get()).to_string());
    let line = &before.lines[0];
    assert_eq!([&line.reported_tai, &line.debited_tai, &line.paid_tai], [&spent.to_string(); 3]);

    let request = v1::GetStatementRequest { account: account(0), shard: 0, epoch: Some(epoch), read: Some(proving()) };
    let statement = net.money.get_statement(request).await.unwrap().into_inner().statement.unwrap();
    assert_eq!(statement.status(), v1::BillStatus::Paid, "{statement:?}");
    assert_eq!([&statement.amount_tai, &statement.paid_tai], [&spent.to_string(); 2]);
    let source = ChainId::shard(&network(), ShardId::new(0));
    stands_in_log(&net, &statement.leaf, statement.proof.as_ref().unwrap(), &tree_key::inbox(&source));
    let stated = checked_statement(&statement).unwrap();
    assert_eq!((stated.account, stated.cumulative), (address(0), spent));

    for covered in [false, true] {
        let posting = net.money.get_settlement(by_sum(spent, covered)).await.unwrap().into_inner().settlement.unwrap();
        let checked = checked_settlement(&posting).unwrap();
        assert!(if covered { checked.lines[0].covers(spent) } else { checked.lines[0].debits(spent) });
        assert_eq!((checked.debit, checked.paid), (spent, spent));
        stands_in_log(&net, &posting.leaf, posting.proof.as_ref().unwrap(), &tree_key::postings());
        assert_eq!(statement.settlement_height, posting.height);
        assert_eq!([statement.debit_settlement, statement.cover_settlement], [Some(posting.index); 2]);
    }

    let request = v1::ListClosesRequest { shard: 0, read: Some(proving()), ..Default::default() };
    let closes = net.money.list_closes(request).await.unwrap().into_inner().closes;
    let close = closes.iter().find(|close| close.epoch.as_ref().unwrap().last_epoch == epoch).expect("the close");
    let message = close.epoch.as_ref().unwrap();
    let epoch_secs = net.settlement.provable().state.chain().epoch_secs;
    assert_eq!(checked_epoch(message, epoch_secs).unwrap().unwrap().total, spent);
    stands_in_log(&net, &message.leaf, close.proof.as_ref().unwrap(), &tree_key::inbox(&source));
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_and_postings_are_listed_newest_first_in_pages() {
    let mut net = Net::start().await;
    net.credit(0).await;
    let mut sums = Vec::new();
    let mut spent = Tai::ZERO;
    for nonce in 1..=3 {
        spent = spent.checked_add(net.write(0, nonce).await).unwrap();
        sums.push(spent.to_string());
        net.settle().await;
    }
    sums.reverse();
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListStatementsRequest { account: account(0), page_size: 2, page_token, ..Default::default() };
        let page = net.money.list_statements(request).await.unwrap().into_inner();
        assert!(page.statements.iter().all(|statement| statement.status() == v1::BillStatus::Paid));
        found.extend(page.statements.into_iter().map(|statement| statement.cumulative_tai));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, sums);
    let open = v1::ListStatementsRequest {
        account: account(0),
        status: v1::BillStatus::Outstanding.into(),
        ..Default::default()
    };
    assert!(net.money.list_statements(open).await.unwrap().into_inner().statements.is_empty());
    let request = v1::ListSettlementsRequest {
        account: account(0),
        kind: v1::SettlementKind::Round.into(),
        ..Default::default()
    };
    let postings = net.money.list_settlements(request).await.unwrap().into_inner().settlements;
    let debits: Vec<_> = postings.iter().filter(|posting| posting.debit_tai != "0").collect();
    assert_eq!(debits.len(), 3, "{postings:?}");
    assert!(postings.windows(2).all(|pair| pair[0].index > pair[1].index));
    let all = v1::ListSettlementsRequest { page_size: 1, ..Default::default() };
    let first = net.money.list_settlements(all.clone()).await.unwrap().into_inner();
    assert_eq!(first.settlements.len(), 1);
    let foreign = v1::ListSettlementsRequest { page_token: first.next_page_token, account: account(0), ..all };
    assert_eq!(code(&net.money.list_settlements(foreign).await.unwrap_err()), 403, "a token of another list");
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_and_rounds_are_told_with_their_leaves() {
    let mut net = Net::start().await;
    net.credit(0).await;
    net.write(0, 1).await;
    let epoch = net.settle().await;
    let request = v1::ListShardsRequest { read: Some(proving()) };
    let answer = net.money.list_shards(request).await.unwrap().into_inner();
    assert_eq!(answer.shards.len(), 1);
    let (shard, leaf) = checked_settlement_shard(&answer.shards[0], &network()).unwrap();
    assert_eq!((shard, leaf.last_close.map(|close| close.get() >= epoch)), (ShardId::new(0), Some(true)));
    assert!(answer.proof.is_some() && answer.complete_from == tree_key::shard_prefix());
    let round = net.money.get_round(v1::GetRoundRequest { read: Some(proving()) }).await.unwrap().into_inner();
    let leaf = checked_round(round.round.as_ref().unwrap()).unwrap();
    assert!(leaf.settled.is_some_and(|settled| settled.get() >= epoch));
    let root = proven_root(net.settlement.genesis(), round.context.as_ref().unwrap());
    match ics23::from_bytes(&round.ics23_proof).unwrap() {
        Proof::Exists(proof) => {
            verify_existence(&root, &tree_key::round(), &round.round.unwrap().stored, &proof).unwrap();
        }
        Proof::Absent(_) => panic!("there is no round"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let mut net = Net::with_relays(0).await;
    let statement = v1::GetStatementRequest { account: account(0), shard: 0, ..Default::default() };
    assert_eq!(code(&net.money.get_statement(statement.clone()).await.unwrap_err()), 408);
    let shard = v1::GetStatementRequest { shard: 9, ..statement };
    assert_eq!(code(&net.money.get_statement(shard).await.unwrap_err()), 401);
    let index = Some(v1::get_settlement_request::By::Index(1 << 40));
    let posting = v1::GetSettlementRequest { by: index, read: None };
    assert_eq!(code(&net.money.get_settlement(posting).await.unwrap_err()), 409);
    assert_eq!(code(&net.money.get_settlement(by_sum(Tai::ZERO, false)).await.unwrap_err()), 401);
    assert_eq!(code(&net.money.get_settlement(v1::GetSettlementRequest::default()).await.unwrap_err()), 401);
}
