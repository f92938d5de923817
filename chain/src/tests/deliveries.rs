//! What another chain says arrives once, in order, and nothing false, useless or misplaced costs a block.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use db3_carry::Delivery;
use db3_primitives::limits::BLOCK_DELIVERIES_MAX;
use db3_primitives::{BlockTime, ChainId, CreditEntry, Height, LineEntry, Rejection, Tai};
use db3_proto::{encode_bundle, encode_delivery_tx};
use db3_shard_state::{BlockItem, execute};
use prost::Message as _;
use tendermint_abci::Application as _;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::response_process_proposal::ProposalStatus;
use tendermint_proto::v0_38::abci::{
    RequestCheckTx, RequestFinalizeBlock, RequestPrepareProposal, RequestProcessProposal,
};
use tendermint_proto::v0_38::types::{Block, Data};

use super::support::{
    Account, CEILING, Settlement, commit, home_of, home_trusting, now, settings, settlement, soon, start, until,
};
use crate::app::EventLog;
use crate::open::open;
use crate::{App, ChainHandle, ShardMachine, SubmitError, audit};

pub(super) fn line(account: &Account, ceiling: u128) -> CreditEntry {
    CreditEntry::Line(LineEntry { account: account.address(), ceiling: Tai::new(ceiling) })
}

fn ceiling(chain: &ChainHandle, account: &Account) -> Option<Tai> {
    chain.committed().state.account(&account.address()).map(|leaf| leaf.ceiling)
}

pub(super) fn tx(delivery: &Delivery) -> Bytes {
    Bytes::from(encode_delivery_tx(delivery))
}

pub(super) async fn refused(chain: &ChainHandle, delivery: Delivery) -> Rejection {
    match chain.submit_delivery(delivery).await.unwrap_err() {
        SubmitError::Rejected { rejection, .. } => rejection,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_settlement_chain_says_is_in_a_block_at_once_and_stays() {
    let (_folder, home, mut source) = home_of(settings);
    let chain = start(&home).await;
    let mut account = Account::new(1);
    assert!(chain.submit(account.put_with_nonce(now(&chain), "k", 1, 1)).await.is_err());
    source.says(line(&account, CEILING));
    let delivery = source.delivery(0, 0);
    let height = chain.submit_delivery(delivery.clone()).await.unwrap().block(soon()).await.unwrap().unwrap();
    assert_eq!(ceiling(&chain, &account), Some(Tai::new(CEILING)));
    assert_eq!(chain.store().summary(height).unwrap().unwrap().deliveries, 1);
    commit(&chain, account.put(now(&chain), "k", 1)).await;
    // The same again brings nothing.
    assert!(matches!(refused(&chain, delivery).await, Rejection::DeliveryStale { cursor: 2 }));
    // More arrives after a restart, from where it stopped.
    chain.shutdown().await;
    drop(chain);
    let chain = start(&home).await;
    source.says(line(&account, 2 * CEILING));
    let channel = chain.committed().state.channel(&settlement()).unwrap();
    let delivery = source.delivery(channel.cursor(), channel.trusted_height());
    chain.submit_delivery(delivery).await.unwrap().block(soon()).await.unwrap().unwrap();
    assert_eq!(ceiling(&chain, &account), Some(Tai::new(2 * CEILING)));
    // An idle chain that has heard something makes its header and then no further block.
    until("the header", || chain.provable().root == chain.committed().root).await;
    let metrics = chain.metrics_text();
    assert!(metrics.contains("db3_inbox_cursor{") && metrics.contains("source=\"test-settlement\""), "{metrics}");
    chain.shutdown().await;
    drop(chain);
    audit::check::<ShardMachine>(&settings(&home), true).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_false_is_refused_by_its_code_and_takes_no_place() {
    let (_folder, home, mut source) = home_of(settings);
    let chain = start(&home).await;
    let account = Account::new(1);
    source.says(line(&account, CEILING));
    let good = source.delivery(0, 0);
    let mut raised = good.clone();
    raised.log.entries[1] = line(&account, CEILING + 1).to_bytes();
    assert_eq!(refused(&chain, raised).await.name(), "DELIVERY_FALSE");
    let mut stranger = good.clone();
    stranger.source = ChainId::parse("test-shard-3").unwrap();
    assert_eq!(refused(&chain, stranger).await.name(), "DELIVERY_SOURCE_UNKNOWN");
    let mut ahead = good.clone();
    ahead.log.start = 7;
    assert_eq!(refused(&chain, ahead).await.name(), "DELIVERY_GAP");
    let mut other = Settlement::new();
    other.says(line(&account, CEILING));
    other.says(line(&account, 9 * CEILING));
    let forged = other.delivery_of([7; 32]);
    assert_eq!(refused(&chain, forged).await.name(), "HEADER_REFUSED");
    assert_eq!(chain.committed().state.channel(&settlement()).unwrap().cursor(), 0);
    chain.submit_delivery(good).await.unwrap().block(soon()).await.unwrap().unwrap();
    assert_eq!(ceiling(&chain, &account), Some(Tai::new(CEILING)));
}

#[tokio::test(flavor = "multi_thread")]
async fn relayers_that_bring_the_same_do_not_make_each_other_fail() {
    let (_folder, home, mut source) = home_of(settings);
    let chain = start(&home).await;
    let account = Account::new(1);
    source.says(line(&account, CEILING));
    let (first, second) = (source.delivery(0, 0), source.delivery(0, 0));
    assert_ne!(first, second);
    let bring = |delivery: Delivery| {
        let chain = chain.clone();
        tokio::spawn(async move {
            match chain.submit_delivery(delivery).await {
                Ok(submitted) => submitted.block(soon()).await.map(|height| assert!(height.is_some())),
                Err(error) => Err(error.rejection()),
            }
        })
    };
    let ends = [bring(first.clone()), bring(first), bring(second)];
    let mut done = 0;
    for end in ends {
        match end.await.unwrap() {
            Ok(()) => done += 1,
            Err(Rejection::DeliveryStale { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(done >= 1);
    assert_eq!(chain.committed().state.channel(&settlement()).unwrap().cursor(), 2);
    assert_eq!(ceiling(&chain, &account), Some(Tai::new(CEILING)));
}

/// The application without an engine.
pub(super) struct Bare {
    pub(super) app: App<ShardMachine>,
    _folder: tempfile::TempDir,
}

impl Bare {
    pub(super) fn new() -> (Self, Settlement) {
        Self::of(home_of(settings))
    }

    /// One that trusts headers for so many seconds.
    pub(super) fn trusting(secs: u64) -> (Self, Settlement) {
        Self::of(home_trusting(settings, Some(secs)))
    }

    fn of((folder, home, source): (tempfile::TempDir, PathBuf, Settlement)) -> (Self, Settlement) {
        (Self { app: open::<ShardMachine>(settings(&home)).unwrap().app, _folder: folder }, source)
    }

    fn place(&self) -> (i64, Option<Timestamp>) {
        let version = self.app.inner.versions.committed();
        let seconds = i64::try_from(version.time.secs).unwrap() + 1;
        (i64::try_from(version.height.get()).unwrap() + 1, Some(Timestamp { seconds, nanos: 0 }))
    }

    pub(super) fn prepare(&self, txs: Vec<Bytes>) -> Vec<Bytes> {
        let (height, time) = self.place();
        let request = RequestPrepareProposal { max_tx_bytes: i64::MAX, txs, height, time, ..Default::default() };
        self.app.prepare_proposal(request).txs
    }

    pub(super) fn accepts(&self, txs: Vec<Bytes>) -> bool {
        let (height, time) = self.place();
        let request = RequestProcessProposal { txs, height, time, ..RequestProcessProposal::default() };
        self.app.process_proposal(request).status == i32::from(ProposalStatus::Accept)
    }

    pub(super) fn decide(&self, txs: Vec<Bytes>) {
        let (height, time) = self.place();
        let (hash, proposer_address) = (Bytes::from(vec![1; 32]), Bytes::from(vec![2; 20]));
        let request = RequestFinalizeBlock { txs, height, time, hash, proposer_address, ..Default::default() };
        self.app.finalize_block(request);
        self.app.commit();
        assert!(self.app.fatal().is_none(), "{:?}", self.app.fatal());
    }

    fn cursor(&self) -> u64 {
        self.app.inner.versions.committed().state.channel(&settlement()).unwrap().cursor()
    }
}

#[test]
fn deliveries_come_first_in_a_block_and_give_the_credit_for_what_follows() {
    let (chain, mut source) = Bare::new();
    let account = Account::new(1);
    source.says(line(&account, CEILING));
    let delivery = tx(&source.delivery(0, 0));
    let secs = u64::try_from(chain.place().1.unwrap().seconds).unwrap();
    let bundle = Bytes::from(encode_bundle([account.put_with_nonce(secs, "k", 1, 1)]));
    let (right, wrong) = (vec![delivery.clone(), bundle.clone()], vec![bundle.clone(), delivery.clone()]);
    assert!(!chain.accepts(vec![bundle]));
    assert!(!chain.accepts(wrong.clone()));
    assert_eq!(chain.prepare(wrong), right, "the proposer puts them in order");
    assert_eq!(chain.prepare(right.clone()), right);
    assert!(chain.accepts(right.clone()));
    assert!(!chain.accepts(vec![delivery.clone(), delivery.clone()]), "the second one brings nothing");
    assert_eq!(chain.prepare(vec![delivery.clone(), delivery.clone()]), vec![delivery.clone()]);
    chain.decide(right);
    assert_eq!(chain.cursor(), 2);
    assert!(!chain.accepts(vec![delivery.clone()]));
    assert!(chain.prepare(vec![delivery]).is_empty());
}

#[test]
fn a_final_block_is_executed_whatever_stands_in_it() {
    let (chain, mut source) = Bare::new();
    let account = Account::new(1);
    source.says(line(&account, CEILING));
    let good = source.delivery(0, 0);
    let mut bad = good.clone();
    bad.log.entries[1][3] ^= 1;
    let garbage = Bytes::from_static(&[0x12, 3, 1, 2, 3]);
    let many = std::iter::repeat_n(tx(&bad), BLOCK_DELIVERIES_MAX + 1);
    chain.decide(many.chain([garbage.clone()]).collect());
    assert_eq!(chain.cursor(), 0);
    // After a bundle it has no effect.
    let bundle = Bytes::from(encode_bundle([Bytes::from_static(b"nothing")]));
    chain.decide(vec![bundle, tx(&good)]);
    assert_eq!(chain.cursor(), 0);
    chain.decide(vec![tx(&good), garbage]);
    assert_eq!(chain.cursor(), 2);
}

#[test]
fn a_delivery_without_effect_takes_its_place_in_a_block_as_the_state_says() {
    let (chain, mut source) = Bare::new();
    let account = Account::new(1);
    source.says(line(&account, CEILING));
    let good = source.delivery(0, 0);
    let mut bad = good.clone();
    bad.log.entries[1][3] ^= 1;
    let secs = u64::try_from(chain.place().1.unwrap().seconds).unwrap();
    let envelope = account.put_with_nonce(secs, "k", 1, 1);
    let before = chain.app.inner.versions.committed();
    let (height, time) = chain.place();
    let txs = vec![tx(&bad), tx(&good), Bytes::from(encode_bundle([envelope.clone()]))];
    // The block stands in the files as an engine would have put it there.
    let (data, height) =
        (Some(Data { txs: txs.iter().map(|tx| tx.to_vec()).collect() }), Height::new(u64::try_from(height).unwrap()));
    chain.app.inner.store.put_block(height, &Block { data, ..Block::default() }.encode_to_vec(), &[]).unwrap();
    chain.decide(txs);
    let verified = db3_proto::decode_mutation(&envelope).unwrap().verify().unwrap();
    let items = [BlockItem::Verified(Arc::new(verified))];
    let secs = u64::try_from(time.unwrap().seconds).unwrap();
    let deliveries = [bad, good];
    let (state, effects) = execute(&before.state, height, BlockTime::from_secs(secs), &deliveries, &items);
    let after = chain.app.inner.versions.committed();
    assert_eq!(state.root(), after.root, "the chain's rule is the state's");
    assert_eq!((effects.refused[0].index, effects.receipts[0].index), (0, 1));
    let store = &chain.app.inner.store;
    assert_eq!(store.bill(&account.address(), 1).unwrap().unwrap().bill.index, 1);
    let summary = store.summary(height).unwrap().unwrap();
    assert_eq!((summary.deliveries, summary.mutations, summary.applied), (1, 1, 1));
    // Who follows the chain sees the mutation, from memory and from the files.
    let events = [Arc::clone(&chain.app.inner.events), {
        let inner = &chain.app.inner;
        let (store, versions) = (Arc::clone(&inner.store), Arc::clone(&inner.versions));
        Arc::new(EventLog::new(store, Arc::clone(&inner.blocks), versions))
    }];
    for log in events {
        let event = log.at(height).unwrap();
        assert_eq!(event.mutations.len(), 1);
        assert_eq!(event.mutations[0].receipt.index, 1);
        assert_eq!(event.mutations[0].body.content().nonce.get(), 1);
    }
}

#[test]
fn cometbft_keeps_a_delivery_as_long_as_it_brings_something() {
    let (chain, mut source) = Bare::new();
    source.says(line(&Account::new(1), CEILING));
    let (good, again) = (source.delivery(0, 0), source.delivery(0, 0));
    let mut bad = good.clone();
    bad.log.entries[1][3] ^= 1;
    let check = |delivery: &Delivery, r#type| chain.app.check_tx(RequestCheckTx { tx: tx(delivery), r#type }).code;
    assert_eq!(check(&bad, 0), 218);
    assert_eq!((check(&good, 0), check(&good, 1)), (0, 0));
    assert_eq!(check(&again, 0), 0);
    // Two of one source wait; a third has no room.
    assert_ne!(check(&source.delivery(0, 0), 0), 0);
    chain.decide(vec![tx(&good)]);
    assert_eq!((check(&good, 1), check(&again, 1)), (217, 217));
    assert!(chain.app.inner.deliveries.is_empty());
}
