//! The settlement chain: what a shard states is in its books, can be found by account, epoch and sum, and can be proven.

use std::io::Cursor;
use std::path::Path;

use db3_merkle_log::verify_inclusion;
use db3_primitives::{Epoch, LogEntry, Payee, PostingKind, ShardId, Statement, Tai, TransactionOperation};

use super::stated::{BALANCE, Network, SHARD, Settlement, epoch_secs, shard_id, transaction};
use super::support::{Account, settings, settlement, soon, until};
use crate::machine::Machine as _;
use crate::transfer::{ImportInput, export, import, snapshot};
use crate::{
    Log, PostingFilter, ReceiptState, SettlementMachine, StartError, StatementFilter, StatementRow, SubmitError, audit,
};

fn open_epoch(chain: &Settlement) -> Epoch {
    Epoch::of(chain.now().secs, epoch_secs())
}

/// What the shard stated of the first account at its first close.
fn older(chain: &Settlement, first: Epoch) -> StatementRow {
    chain.store().statement(SHARD, &Account::new(1).address(), Some(first)).unwrap().unwrap()
}

/// Every statement, close and posting can be found and stands in its log under the state's root.
fn check_history(chain: &Settlement, first: Epoch) {
    let (account, other) = (Account::new(1).address(), Account::new(2).address());
    let (store, version) = (chain.store(), chain.provable());
    let state = &version.state;
    let newest = store.statement(SHARD, &account, None).unwrap().unwrap();
    assert_eq!((newest.cumulative, newest.previous), (Tai::new(700), Some(Tai::new(500))));
    assert_eq!(newest.epochs, Some((first.next().unwrap(), first.next().unwrap())));
    assert!(newest.height > older(chain, first).height && newest.time > older(chain, first).time);
    let taken = chain.store().summary(newest.height).unwrap();
    assert!(taken.is_none_or(|block| block.time == newest.time && block.deliveries == 1));
    let older = older(chain, first);
    assert_eq!((older.cumulative, older.previous, older.epochs), (Tai::new(500), None, Some((first, first))));
    assert_eq!(store.statement(SHARD, &other, first.next()).unwrap(), None);
    assert_eq!(store.statement(ShardId::new(7), &account, None).unwrap(), None);
    let (page, next) = store.statements(&account, &StatementFilter::default(), None, 1, 100).unwrap();
    assert_eq!(page, [newest]);
    let (rest, end) = store.statements(&account, &StatementFilter::default(), next, 9, 100).unwrap();
    assert_eq!((rest.as_slice(), end), ([older].as_slice(), None));
    let filter = StatementFilter { epochs: Some((first, first)), ..StatementFilter::default() };
    assert_eq!(store.statements(&account, &filter, None, 9, 100).unwrap().0, [older]);

    let closes = store.closes(SHARD, None, 10).unwrap();
    assert_eq!(closes.iter().map(|row| row.close.last).collect::<Vec<_>>(), [first.next().unwrap(), first]);
    assert_eq!(store.close(SHARD, first).unwrap().as_ref(), closes.get(1));

    let inbox = state.channel(&shard_id()).unwrap().inbox().frontier().clone();
    assert_eq!(inbox.size(), 5);
    let log = Log::Inbox(shard_id());
    for index in 0..inbox.size() {
        let entry = store.log_entry(&log, index).unwrap().unwrap();
        let proof = store.log_proof(&log, index, inbox.size()).unwrap();
        verify_inclusion(&entry, index, inbox.size(), &proof, &inbox.root()).unwrap();
    }
    let postings = state.postings();
    assert!(postings.size() > 0);
    for index in 0..postings.size() {
        let posting = store.posting(index).unwrap().unwrap();
        let proof = store.log_proof(&Log::Postings, index, postings.size()).unwrap();
        verify_inclusion(&posting.to_bytes(), index, postings.size(), &proof, &postings.root()).unwrap();
    }
    // A bill that brought the account's sum to 300 was debited and paid by the round of the first epoch; one at 501 by
    // the next one.
    for (sum, epoch) in [(1, first), (300, first), (500, first), (501, first.next().unwrap())] {
        for covered in [false, true] {
            let (index, posting) = store.posting_of(&account, SHARD, Tai::new(sum), covered).unwrap().unwrap();
            assert_eq!((posting.epoch, posting.kind), (epoch, PostingKind::Round), "{sum}");
            assert_eq!(store.posting(index).unwrap(), Some(posting));
        }
    }
    assert_eq!(store.posting_of(&account, SHARD, Tai::new(701), false).unwrap(), None);
    let mine = PostingFilter { account: Some(account), ..PostingFilter::default() };
    let (page, next) = store.postings(&mine, None, 1, 100).unwrap();
    let (rest, end) = store.postings(&mine, next, 9, 100).unwrap();
    assert_eq!(end, None);
    assert_eq!(
        page.iter().chain(&rest).map(|(_, posting)| posting.debit).collect::<Vec<_>>(),
        [Tai::new(200), Tai::new(500)]
    );
    let payouts = PostingFilter { kind: Some(PostingKind::Payout), ..PostingFilter::default() };
    assert_eq!(store.postings(&payouts, None, 9, 100).unwrap().0.len(), 2);
}

/// A settlement chain whose shard closed two epochs, each settled.
async fn settled() -> (Network, Settlement, Epoch) {
    let mut network = Network::new();
    let chain = network.start().await;
    // The first block tells the shard what genesis wants.
    assert!(chain.committed().state.outbox_to(&shard_id()).size() >= 4);
    let (one, two) = (Account::new(1).address(), Account::new(2).address());
    let first = open_epoch(&chain);
    network.shard.close(&chain, first, &[(one, 0, 500), (two, 0, 40)]).await;
    until("the first round", || chain.committed().state.round().settled == Some(first)).await;
    let second = first.next().unwrap();
    network.shard.close(&chain, second, &[(one, 500, 700)]).await;
    until("the second round", || chain.committed().state.round().settled == Some(second)).await;
    until("its header", || chain.provable().root == chain.committed().root).await;
    (network, chain, first)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shard_states_is_settled_and_can_be_found_and_proven() {
    let (network, chain, first) = settled().await;
    check_history(&chain, first);
    let left = chain.committed().state.balance(&Account::new(1).address()).unwrap();
    assert_eq!(left.balance, Tai::new(BALANCE - 700));
    let metrics = chain.metrics_text();
    assert!(
        metrics.contains(&format!("settled_epoch{{chain_id=\"test-settlement\"}} {}", first.get() + 1)),
        "{metrics}"
    );
    chain.shutdown().await;
    drop(chain);
    audit::check::<SettlementMachine>(&settings(&network.home), true).unwrap();
    // After a restart everything is there still.
    let chain = network.start().await;
    check_history(&chain, first);
    chain.committed().state.audit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_travels_with_the_state() {
    let (network, chain, first) = settled().await;
    chain.shutdown().await;
    drop(chain);
    let rows = |chain: &Settlement| {
        let filter = StatementFilter::default();
        let of = |number| chain.store().statements(&Account::new(number).address(), &filter, None, 9, 100).unwrap().0;
        (of(1), of(2), chain.store().closes(SHARD, None, 9).unwrap())
    };
    let chain = network.start().await;
    let original = rows(&chain);
    chain.shutdown().await;
    drop(chain);
    let copy = network.home.with_file_name("restored");
    let (path, manifest) = snapshot::make::<SettlementMachine>(settings(&network.home)).unwrap();
    assert_eq!(manifest.logs.len(), 3);
    snapshot::restore::<SettlementMachine>(&copy, &path, &settings(&copy)).unwrap();
    let key = Path::new("config/priv_validator_key.json");
    std::fs::copy(network.home.join(key), copy.join(key)).unwrap();
    let chain = Settlement::start(settings(&copy)).await.unwrap();
    check_history(&chain, first);
    assert_eq!(rows(&chain), original);
    chain.shutdown().await;
    drop(chain);
    // A copy of the copy knows as much.
    let second = network.home.with_file_name("second");
    let (path, _) = snapshot::make::<SettlementMachine>(settings(&copy)).unwrap();
    snapshot::restore::<SettlementMachine>(&second, &path, &settings(&second)).unwrap();
    std::fs::copy(network.home.join(key), second.join(key)).unwrap();
    let chain = Settlement::start(settings(&second)).await.unwrap();
    assert_eq!(rows(&chain), original);
    chain.shutdown().await;
    drop(chain);

    let mut lines = Vec::new();
    export::<SettlementMachine>(settings(&network.home), &mut lines).unwrap();
    let imported = network.home.with_file_name("imported");
    let input = ImportInput { settings: settings(&imported), operator: None, time: None };
    let genesis = import::<SettlementMachine>(&imported, &mut Cursor::new(lines), &input).unwrap();
    assert_eq!(genesis.chain_id(), &settlement());
    let chain = Settlement::start(settings(&imported)).await.unwrap();
    check_history(&chain, first);
    assert_eq!(rows(&chain), original);
    chain.committed().state.audit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_whose_blocks_of_entries_cannot_be_is_refused() {
    type Change = fn(&mut serde_json::Value);
    let (network, chain, _) = settled().await;
    chain.shutdown().await;
    drop(chain);
    let mut lines = Vec::new();
    export::<SettlementMachine>(settings(&network.home), &mut lines).unwrap();
    let lines: Vec<String> = String::from_utf8(lines).unwrap().lines().map(str::to_owned).collect();
    let of_inbox: Vec<usize> = (0..lines.len()).filter(|line| lines[*line].contains("\"log\":\"inbox ")).collect();
    let heights: Vec<u64> = of_inbox
        .iter()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(&lines[*line]).unwrap()["height"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert!(heights.is_sorted() && heights.first() < heights.last());
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut lines = lines.clone();
        let line = &mut lines[of_inbox[1]];
        let mut value = serde_json::from_str(line).unwrap();
        change(&mut value);
        *line = value.to_string();
        lines.join("\n") + "\n"
    };
    let changes: [(Change, &str); 4] = [
        (|line| line["height"] = "0".into(), "cannot have been taken in by block 0"),
        (|line| line["height"] = "99999999".into(), "cannot have been taken in"),
        (|line| line["time"] = "2001-01-01T00:00:00Z".into(), "cannot have been taken in"),
        (|line| drop(line.as_object_mut().unwrap().remove("time")), "stand together"),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        let home = network.home.with_file_name(format!("imported-{number}"));
        let input = ImportInput { settings: settings(&home), operator: None, time: None };
        let error = import::<SettlementMachine>(&home, &mut Cursor::new(with(&change)), &input).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_move_money_once() {
    let network = Network::new();
    let chain = network.start().await;
    let (from, to) = (Account::new(1).address(), Account::new(2).address());
    let transfer = |amount| vec![TransactionOperation::Transfer { to, amount: Tai::new(amount) }];
    let envelope = transaction(&chain, 1, 1, transfer(1_000));
    let mut submitted = chain.submit(envelope.clone()).await.unwrap();
    let ReceiptState::Done(receipt) = submitted.receipt.provable(soon()).await else { panic!("it is done") };
    assert!(receipt.is_charged() && receipt.rejection.is_none() && receipt.namespace.is_none());
    let state = &chain.provable().state;
    assert_eq!(state.balance(&to).unwrap().balance, Tai::new(BALANCE + 1_000));
    let paid = receipt.fee.checked_add(Tai::new(1_000)).unwrap();
    assert_eq!(state.balance(&from).unwrap().balance, Tai::new(BALANCE).saturating_sub(paid));
    // The same bytes are the same transaction.
    let again = chain.submit(envelope).await.unwrap();
    assert_eq!(again.receipt.now(), ReceiptState::Done(std::sync::Arc::clone(&receipt)));
    assert_eq!(chain.store().receipt(&receipt.id).unwrap().as_ref(), Some(&*receipt));
    let event = chain.block_event(receipt.height).unwrap();
    assert_eq!(event.mutations[0].body.content().operations, transfer(1_000));
    // What cannot be is told before it is in a block.
    let error = chain.submit(transaction(&chain, 1, 1, transfer(5))).await.unwrap_err();
    assert_eq!(error.rejection().name(), "NONCE_USED");
    let error = chain.submit(transaction(&chain, 1, 2, transfer(2 * BALANCE))).await.unwrap_err();
    assert_eq!(error.rejection().name(), "BALANCE_TOO_LOW");
    let error = chain.submit(transaction(&chain, 8, 1, transfer(5))).await.unwrap_err();
    assert!(matches!(error, SubmitError::Rejected { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_lies_freezes_alone_and_is_told_of() {
    let mut network = Network::new();
    let chain = network.start().await;
    let first = open_epoch(&chain);
    let stranger = Account::new(77).address();
    network.shard.close(&chain, first, &[(stranger, 0, 5)]).await;
    let version = chain.committed();
    let fault = SettlementMachine::fault(&version.state, &shard_id()).unwrap();
    assert_eq!(fault.index, 0);
    assert_eq!(chain.store().statement(SHARD, &stranger, None).unwrap(), None);
    // The entry at fault stands in the shard's log.
    let log = Log::Inbox(shard_id());
    let inbox = version.state.channel(&shard_id()).unwrap().inbox().frontier().clone();
    let entry = chain.store().log_entry(&log, 0).unwrap().unwrap();
    let proof = chain.store().log_proof(&log, 0, inbox.size()).unwrap();
    verify_inclusion(&entry, 0, inbox.size(), &proof, &inbox.root()).unwrap();
    // Nothing more is accepted from it.
    network.shard.says(&LogEntry::Statement(Statement {
        account: stranger,
        payee: Payee::ValidatorPool,
        cumulative: Tai::new(9),
    }));
    let delivery = network.shard.next(&chain);
    assert_eq!(chain.submit_delivery(delivery).await.unwrap_err().rejection().name(), "CHANNEL_FROZEN");
    let frozen = "db3_inbox_frozen{chain_id=\"test-settlement\",source=\"test-shard-0\"} 1";
    assert!(chain.metrics_text().contains(frozen), "{}", chain.metrics_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_entry_at_fault_is_kept_as_all_are() {
    let mut network = Network::new();
    let chain = network.start().await;
    network.shard.source.append(&settlement(), &[]).unwrap();
    network.shard.bring(&chain, open_epoch(&chain)).await;
    assert!(SettlementMachine::fault(&chain.committed().state, &shard_id()).is_some());
    chain.shutdown().await;
    drop(chain);
    let mut lines = Vec::new();
    export::<SettlementMachine>(settings(&network.home), &mut lines).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_folder_is_no_shard() {
    let network = Network::new();
    let error = crate::ChainHandle::start(settings(&network.home)).await.err().unwrap();
    assert!(matches!(error, StartError::OtherKind { .. }), "{error}");
}
