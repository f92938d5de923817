//! Epochs close, their statements and bills add up, and every bill can be proven.

use db3_merkle_log::{Frontier, verify_inclusion};
use db3_primitives::{EpochClose, LogEntry, Rejection, Statement, Tai};
use db3_state_tree::{Proof, verify_existence};

use super::support::{Account, EPOCH_SECS, commit, home, now, settlement, start, until};
use crate::{BillCursor, BillFilter, BillProof, BillRow, ChainHandle, QueryError, Version};

fn check(row: &BillRow, proof: &BillProof, version: &Version) {
    let leaf = row.bill.to_bytes();
    verify_inclusion(&leaf, proof.leaf_index, proof.tree_size, &proof.hashes, &proof.root).unwrap();
    let value = version.state.tree().get(&proof.tree_key).unwrap();
    let Proof::Exists(existence) = version.state.tree().prove(&proof.tree_key) else { panic!("no leaf") };
    verify_existence(&version.root, &proof.tree_key, value, &existence).unwrap();
    match proof.close {
        Some(close) => {
            assert_eq!(close.hash(), *value);
            assert_eq!((close.bills_root, close.bill_count), (proof.root, proof.tree_size));
        }
        None => assert_eq!(version.state.open_bills().root(), proof.root),
    }
}

/// Advances past the open epoch's end and waits until its close is provable.
async fn close_epoch(chain: &ChainHandle) -> EpochClose {
    let (open, _) = chain.committed().state.open_epoch();
    chain.advance_time(EPOCH_SECS).unwrap();
    until("the close", || chain.store().epoch(open).unwrap().is_some()).await;
    let row = chain.store().epoch(open).unwrap().unwrap();
    chain.wait_height(row.height, super::support::soon()).await.unwrap();
    row.close
}

#[tokio::test(flavor = "multi_thread")]
async fn bills_add_up_to_the_statements_of_the_closed_epoch() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let mut accounts: Vec<_> = (1..=5).map(Account::new).collect();
    for round in 0..4 {
        for account in &mut accounts {
            commit(&chain, account.put(now(&chain), &format!("r{round}"), 3)).await;
        }
    }
    let filter = |account: &Account| BillFilter { account: Some(account.address()), ..BillFilter::default() };
    // Bills of the open epoch are proven against its frontier.
    let version = chain.provable();
    for account in &accounts {
        let (rows, next) = chain.store().bills(&filter(account), None, 100, 1_000).unwrap();
        assert_eq!((rows.len(), next), (4, None));
        for row in &rows {
            if let Some(proof) = chain.bill_proof(row, &version).unwrap() {
                check(row, &proof, &version);
            }
        }
    }
    let close = close_epoch(&chain).await;
    // The boundary may have passed by itself in between, so sum over all closes.
    let version = chain.provable();
    let mut billed = Tai::ZERO;
    let mut cursor = None;
    let mut rows = Vec::new();
    loop {
        let (page, next) = chain.store().bills(&BillFilter::default(), cursor, 7, 1_000).unwrap();
        rows.extend(page);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(rows.len(), 20);
    for row in &rows {
        billed = billed.checked_add(row.bill.fee).unwrap();
        let proof = chain.bill_proof(row, &version).unwrap().unwrap();
        assert_eq!(proof.close.map(|close| close.hash()), Some(version.state.epoch_hash(row.epoch).unwrap().1));
        check(row, &proof, &version);
    }
    let page = chain.outbox(&version, &settlement(), 0, 1_000, usize::MAX).unwrap();
    let entries: Vec<_> = page.entries.iter().map(|entry| LogEntry::from_bytes(entry).unwrap()).collect();
    let stated: Vec<Statement> = entries
        .iter()
        .filter_map(|entry| match entry {
            LogEntry::Statement(statement) => Some(*statement),
            LogEntry::EpochClose(_) => None,
        })
        .collect();
    let owed = accounts.iter().map(|account| {
        stated.iter().filter(|statement| statement.account == account.address()).map(|s| s.cumulative).max().unwrap()
    });
    assert_eq!(owed.fold(Tai::ZERO, |sum, owed| sum.checked_add(owed).unwrap()), billed);
    assert!(matches!(entries.last(), Some(LogEntry::EpochClose(last)) if last.hash() == close.hash()));
    // What travels folds to the proven frontier.
    let (after, root) = db3_merkle_log::fold(&Frontier::new(), &page.entries, &page.right, page.size).unwrap();
    assert_eq!((after.size(), root), (page.size, version.state.outbox_to(&settlement()).root()));
    let half = chain.outbox(&version, &settlement(), 0, 3, usize::MAX).unwrap();
    let (_, root) = db3_merkle_log::fold(&Frontier::new(), &half.entries, &half.right, half.size).unwrap();
    assert_eq!(root, version.state.outbox_to(&settlement()).root());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_epochs_without_a_bill_close_as_one() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    commit(&chain, Account::new(1).put(now(&chain), "k", 1)).await;
    let (open, _) = chain.committed().state.open_epoch();
    chain.advance_time(EPOCH_SECS * 5).unwrap();
    until("the close", || chain.store().epoch(open).unwrap().is_some()).await;
    let row = chain.epoch(open).unwrap().unwrap();
    assert!(row.close.last.get() >= open.get() + 4);
    // An inner epoch is covered by the same close.
    assert_eq!(chain.epoch((open.get() + 2).into()).unwrap().unwrap(), row);
    assert_eq!(chain.store().epochs(None, 10).unwrap()[0], row);
    assert_eq!(chain.store().epochs(Some((open.get() + 1).into()), 10).unwrap()[0], row);
    match chain.epoch((row.close.last.get() + 100).into()) {
        Err(QueryError::Rejected(Rejection::EpochNotFound { .. })) => {}
        other => panic!("{other:?}"),
    }
    // An epoch ends without a mutation, too, and the root's header follows.
    until("provable", || chain.provable().state.epoch_hash(open).is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bills_are_found_by_account_epoch_time_and_namespace() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let mut account = Account::new(1);
    let mut other = Account::new(2);
    let mut epochs = Vec::new();
    for round in 0..3 {
        for number in 0..3 {
            let receipt = commit(&chain, account.put(now(&chain), &format!("{round}-{number}"), 1)).await;
            epochs.push(receipt.epoch);
        }
        commit(&chain, other.put(now(&chain), "x", 1)).await;
        close_epoch(&chain).await;
    }
    let find = |filter: BillFilter| {
        let (rows, next) = chain.store().bills(&filter, None, 100, 1_000).unwrap();
        assert_eq!(next, None);
        rows.into_iter().map(|row| (row.bill.account == account.address(), row.bill.seq)).collect::<Vec<_>>()
    };
    let mine = BillFilter { account: Some(account.address()), ..BillFilter::default() };
    assert_eq!(find(mine.clone()), (1..=9).rev().map(|seq| (true, seq)).collect::<Vec<_>>());
    let middle = epochs[4];
    let expected: Vec<_> =
        (1..=9).rev().filter(|seq| epochs[*seq - 1] == middle).map(|seq| (true, seq as u64)).collect();
    assert_eq!(find(BillFilter { epochs: Some((middle, middle)), ..mine.clone() }), expected);
    let fifth = chain.store().bill(&account.address(), 5).unwrap().unwrap();
    let since = BillFilter { since: Some(fifth.time), ..mine.clone() };
    assert_eq!(find(since), (5..=9).rev().map(|seq| (true, seq)).collect::<Vec<_>>());
    let before = BillFilter { until: Some(fifth.time), ..mine.clone() };
    assert_eq!(find(before), (1..=4).rev().map(|seq| (true, seq)).collect::<Vec<_>>());
    let at = BillFilter { height_max: Some(fifth.bill.height), ..mine.clone() };
    assert_eq!(find(at), (1..=5).rev().map(|seq| (true, seq)).collect::<Vec<_>>());
    let there = BillFilter { namespace: Some(other.namespace()), ..BillFilter::default() };
    assert_eq!(find(there), vec![(false, 3), (false, 2), (false, 1)]);
    let (page, next) = chain.store().bills(&mine, None, 4, 1_000).unwrap();
    assert_eq!((page.len(), next), (4, Some(BillCursor::Seq(5))));
    let (page, next) = chain.store().bills(&mine, next, 4, 1_000).unwrap();
    assert_eq!((page[0].bill.seq, next), (5, Some(BillCursor::Seq(1))));
    // A filter that accepts little does not hold a call up.
    let none = BillFilter { namespace: Some("nobody".parse().unwrap()), ..BillFilter::default() };
    let (page, next) = chain.store().bills(&none, None, 4, 5).unwrap();
    assert!(page.is_empty() && next.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn block_time_never_goes_back_over_a_restart() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    chain.advance_time(86_400).unwrap();
    commit(&chain, Account::new(1).put(now(&chain), "k", 1)).await;
    let time = chain.committed().time;
    chain.shutdown().await;
    drop(chain);
    let chain = start(&home).await;
    assert!(chain.now() >= time);
    let receipt = commit(&chain, Account::new(2).put(now(&chain), "k", 1)).await;
    assert!(receipt.time > time);
}
