//! Bundles in a mempool, as two nodes see them: each an application without an engine, given the same calls.

mod handed;
mod held;
mod hostile;
mod lost;
mod told;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use db3_comet::Broadcast;
use db3_primitives::{Height, MutationId};
use db3_proto::{decode_bundle, decode_mutation, encode_bundle};
use proptest::prelude::*;
use tendermint_abci::Application as _;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::{RequestCheckTx, RequestFinalizeBlock, RequestInfo, RequestPrepareProposal};

use tokio::runtime::Handle;

use super::support::{Account, copy_folder, home, settings};
use crate::app::{BUNDLE_BYTES, Submitted, bundles};
use crate::comet::bundler::{Bundler, IN_FLIGHT_MAX};
use crate::open::open;
use crate::{ReceiptState, ShardApp, ShardMachine};

/// Nodes of one chain at one height.
fn nodes(count: usize) -> (Vec<ShardApp>, Vec<tempfile::TempDir>) {
    nodes_of(home(), count)
}

/// So many copies of a node.
fn nodes_of((folder, first): (tempfile::TempDir, PathBuf), count: usize) -> (Vec<ShardApp>, Vec<tempfile::TempDir>) {
    let mut folders = vec![folder];
    let mut apps = Vec::new();
    for _ in 0..count {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("node");
        copy_folder(&first, &home);
        apps.push(open::<ShardMachine>(settings(&home)).unwrap().app);
        folders.push(folder);
    }
    (apps, folders)
}

pub(super) fn time(app: &ShardApp) -> u64 {
    app.inner.clock.now().secs
}

fn bundle(envelopes: &[Bytes]) -> Bytes {
    Bytes::from(encode_bundle(envelopes))
}

fn id(envelope: &Bytes) -> MutationId {
    decode_mutation(envelope).unwrap().id
}

pub(super) fn admit(app: &ShardApp, envelope: Bytes) -> Submitted {
    app.inner.admit(vec![envelope]).remove(0).unwrap()
}

fn checks(app: &ShardApp, tx: &Bytes, again: bool) -> bool {
    app.check_tx(RequestCheckTx { tx: tx.clone(), r#type: i32::from(again) }).code == 0
}

fn next(app: &ShardApp) -> (i64, Option<Timestamp>) {
    next_after(app, 1)
}

/// Height and time of the next block, so many seconds after the newest one.
fn next_after(app: &ShardApp, secs: i64) -> (i64, Option<Timestamp>) {
    let version = app.inner.versions.committed();
    let time = Timestamp { seconds: i64::try_from(version.time.secs).unwrap() + secs, nanos: 0 };
    (i64::try_from(version.height.get()).unwrap() + 1, Some(time))
}

fn prepare(app: &ShardApp, txs: &[Bytes]) -> Vec<Bytes> {
    prepare_after(app, 1, txs)
}

fn prepare_after(app: &ShardApp, secs: i64, txs: &[Bytes]) -> Vec<Bytes> {
    let (height, time) = next_after(app, secs);
    let request = RequestPrepareProposal {
        max_tx_bytes: 4_000_000,
        txs: txs.to_vec(),
        height,
        time,
        ..RequestPrepareProposal::default()
    };
    app.prepare_proposal(request).txs
}

pub(super) fn decide(app: &ShardApp, txs: &[Bytes]) -> Vec<u8> {
    decide_after(app, 1, txs)
}

fn decide_after(app: &ShardApp, secs: i64, txs: &[Bytes]) -> Vec<u8> {
    let (height, time) = next_after(app, secs);
    let request = RequestFinalizeBlock {
        txs: txs.to_vec(),
        height,
        time,
        hash: Bytes::from(vec![1; 32]),
        proposer_address: Bytes::from(vec![2; 20]),
        ..RequestFinalizeBlock::default()
    };
    let root = app.finalize_block(request).app_hash.to_vec();
    app.commit();
    assert!(app.fatal().is_none(), "{:?}", app.fatal());
    root
}

fn waiting(app: &ShardApp) -> usize {
    app.inner.mempool.size().0
}

fn free(app: &ShardApp) -> usize {
    app.inner.mempool.free(usize::MAX, usize::MAX).0.len()
}

/// A bundler that nobody answers, as if calls had no answer yet.
fn bundler(app: &ShardApp, folder: &tempfile::TempDir) -> Bundler<ShardMachine> {
    let broadcast = Broadcast::new(&folder.path().join("no.sock"));
    Bundler::new(Arc::clone(&app.inner), broadcast, Handle::current(), Arc::default(), Arc::default())
}

#[test]
fn the_same_mutation_in_the_bundles_of_two_nodes_is_applied_and_billed_once() {
    let (apps, _folders) = nodes(2);
    let account = Account::new(1);
    let [a, b, c] = [1, 2, 3].map(|nonce| account.put_with_nonce(time(&apps[0]), "k", 1, nonce));
    let (ab, bc) = (bundle(&[a, b.clone()]), bundle(&[b, c]));
    // Each node has its own bundle first; half of the other one is new to it.
    assert!(checks(&apps[0], &ab, false) && checks(&apps[0], &bc, false));
    assert!(checks(&apps[1], &bc, false) && checks(&apps[1], &ab, false));
    let proposed = prepare(&apps[0], &[ab.clone(), bc.clone()]);
    let held: usize = proposed.iter().map(|tx| decode_bundle(tx).unwrap().len()).sum();
    assert_eq!(held, 3, "the bundle with used parts is made again without them");
    let roots: Vec<_> = apps.iter().map(|app| decide(app, &proposed)).collect();
    assert_eq!(roots[0], roots[1]);
    for app in &apps {
        assert_eq!(app.inner.versions.committed().state.account(&account.address()).unwrap().bill_count, 3);
        assert_eq!(waiting(app), 0);
        // Nothing in them waits, and they are never taken again.
        for tx in [&ab, &bc] {
            assert!(!checks(app, tx, true) && !checks(app, tx, false) && !checks(app, tx, true));
        }
    }
}

#[tokio::test]
async fn a_bundle_gives_its_place_back_when_a_block_holds_its_mutations_in_another() {
    let (apps, folders) = nodes(1);
    let (app, account) = (&apps[0], Account::new(1));
    let [mine, later] = [1, 2].map(|nonce| account.put_with_nonce(time(app), "k", 1, nonce));
    admit(app, later.clone());
    let mut bundler = bundler(app, &folders[0]);
    bundler.bundle(0);
    assert_eq!((bundler.places(), free(app)), (IN_FLIGHT_MAX - 1, 0));
    decide(app, &[bundle(&[mine, later])]);
    assert_eq!((bundler.places(), waiting(app)), (IN_FLIGHT_MAX, 0));
}

#[tokio::test]
async fn a_mutation_of_the_largest_size_has_a_bundle_and_what_came_after_it_too() {
    let (apps, folders) = nodes(1);
    let (app, now) = (&apps[0], time(&apps[0]));
    let longest = Account::new(1).longest(now, 1);
    admit(app, longest.clone());
    for nonce in 1..=50 {
        admit(app, Account::new(2).put_with_nonce(now, "k", 1, nonce));
    }
    let mut bundler = bundler(app, &folders[0]);
    bundler.bundle(0);
    assert_eq!((bundler.places(), free(app)), (IN_FLIGHT_MAX - 2, 0));
    // And a peer takes it.
    assert!(checks(app, &bundle(&[Account::new(1).longest(now, 2)]), false));
}

#[test]
fn a_bundle_that_is_refused_leaves_nothing_of_a_strangers_behind() {
    let (apps, _folders) = nodes(1);
    let (app, account) = (&apps[0], Account::new(1));
    let mine = account.put_with_nonce(time(app), "mine", 1, 1);
    let theirs = account.put_with_nonce(time(app), "theirs", 1, 2);
    admit(app, mine.clone());
    // They cannot pay.
    let [one, two, three] = [1, 2, 3].map(|nonce| Account::new(200).put_with_nonce(time(app), "theirs", 1, nonce));
    assert!(!checks(app, &bundle(&[mine.clone(), theirs.clone(), one.clone(), two.clone(), three]), false));
    assert_eq!((waiting(app), free(app)), (1, 1), "what was asked for here still waits, in no bundle");
    // Half of it is good, so it is taken; when CometBFT loses it, what nobody asked for here is forgotten.
    assert!(checks(app, &bundle(&[mine, theirs, one]), false));
    assert_eq!((waiting(app), free(app)), (2, 0));
    app.inner.mempool.forget_bundles();
    assert_eq!((waiting(app), free(app)), (1, 1));
    assert_eq!(app.info(RequestInfo::default()).last_block_height, next(app).0 - 1);
}

#[test]
fn a_mutation_that_came_with_a_peers_bundle_stays_when_somebody_asks_for_it() {
    let (apps, _folders) = nodes(1);
    let app = &apps[0];
    let envelope = Account::new(1).put_with_nonce(time(app), "k", 1, 1);
    assert!(checks(app, &bundle(std::slice::from_ref(&envelope)), false));
    let submitted = admit(app, envelope);
    app.inner.mempool.forget_bundles();
    assert_eq!((waiting(app), free(app)), (1, 1));
    assert_eq!(submitted.receipt.now(), ReceiptState::Pending);
}

#[test]
fn what_waits_with_a_nonce_that_another_one_used_ends_with_its_reason() {
    let (apps, _folders) = nodes(2);
    let account = Account::new(1);
    let time = time(&apps[0]);
    let (one, other) = (account.put_with_nonce(time, "one", 1, 1), account.put_with_nonce(time, "other", 1, 1));
    let waits = admit(&apps[1], other.clone());
    decide(&apps[1], &[bundle(&[one])]);
    assert_eq!(waiting(&apps[1]), 0);
    let ReceiptState::Rejected(rejection) = waits.receipt.now() else { panic!("{:?}", waits.receipt.now()) };
    assert_eq!(rejection.name(), "NONCE_USED");
    assert!(apps[1].inner.mempool.ended(&id(&other)).is_some());
}

#[test]
fn credit_is_reserved_over_bundles_and_mutations_alike() {
    let (apps, _folders) = nodes(1);
    let app = &apps[0];
    let state = &app.inner.versions.committed().state;
    let signed = decode_mutation(&Account::new(1).put_with_nonce(time(app), "k", 1, 1)).unwrap();
    let bound = state.estimate(&signed.content, signed.bytes).unwrap().bound;
    // Most of what the account has left, so that only a few fit.
    let line = state.account(&Account::new(1).address()).unwrap();
    let fits = (line.ceiling.get() - line.spent.get()) / bound.get();
    assert!(fits > 1_000, "the line of a test is long; a short one is tested in the admission");
    let account = Account::new(1);
    let envelopes: Vec<_> = (1..=40).map(|nonce| account.put_with_nonce(time(app), "k", 1, nonce)).collect();
    assert!(checks(app, &bundle(&envelopes[..20]), false));
    assert!(!checks(app, &bundle(&envelopes[10..20]), false), "all of it is in a bundle");
    assert!(checks(app, &bundle(&envelopes[10..30]), false), "half of it is new");
    assert!(!checks(app, &bundle(&envelopes[15..34]), false), "less than half is");
    assert_eq!(waiting(app), 30, "what was refused reserves nothing");
}

#[test]
fn an_execution_of_a_proposal_that_loses_leaves_no_trace() {
    let (apps, _folders) = nodes(2);
    let account = Account::new(1);
    let time = time(&apps[0]);
    let mine = bundle(&[account.put_with_nonce(time, "mine", 1, 1)]);
    let theirs = bundle(&[account.put_with_nonce(time, "theirs", 1, 1), account.put_with_nonce(time, "more", 1, 2)]);
    // One node executed its own proposal; the other one's is decided.
    assert_eq!(prepare(&apps[0], std::slice::from_ref(&mine)), [mine]);
    let roots: Vec<_> = apps.iter().map(|app| decide(app, std::slice::from_ref(&theirs))).collect();
    assert_eq!(roots[0], roots[1]);
    let summaries: Vec<_> = apps
        .iter()
        .map(|app| {
            let height = app.inner.versions.committed().height;
            app.inner.store.summary(height).unwrap().unwrap()
        })
        .collect();
    assert_eq!(summaries[0], summaries[1]);
    assert_eq!(summaries[0].applied, 2);
}

#[test]
fn bundles_are_filled_to_their_size_and_their_order_is_that_of_the_nonces() {
    let (apps, _folders) = nodes(1);
    let app = &apps[0];
    let account = Account::new(1);
    for nonce in (1..=30).rev() {
        admit(app, account.put_with_nonce(time(app), "k", 100, nonce));
    }
    let (pending, all) = app.inner.mempool.free(20_000, 1_000);
    assert!(!all && !pending.is_empty());
    let txs = bundles(pending.iter().map(|pending| pending.envelope.clone()));
    assert_eq!(txs.len(), 1);
    assert!(txs[0].len() <= 20_000 && txs[0].len() <= BUNDLE_BYTES);
    let hash = db3_primitives::sha256(&[&txs[0]]);
    let ids: Vec<_> = pending.iter().map(|pending| pending.verified.id()).collect();
    assert!(app.inner.mempool.bundle(hash, ids));
    assert!(checks(app, &txs[0], false), "it is known before CometBFT asks");
    assert_eq!(free(app), 30 - pending.len());
    app.inner.mempool.forget_bundle(&hash);
    assert_eq!(free(app), 30);
    assert_eq!(app.inner.versions.committed().height, Height::new(u64::try_from(next(app).0).unwrap() - 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever order bundles, blocks and second looks come in: once the answer about a bundle is no, it stays no.
    #[test]
    fn the_answer_about_a_bundle_turns_once(steps in prop::collection::vec((0_usize..6, 0_u8..3), 1..40)) {
        let (apps, _folders) = nodes(1);
        let app = &apps[0];
        let account = Account::new(1);
        let envelopes: Vec<_> = (1..=7).map(|nonce| account.put_with_nonce(time(app), "k", 1, nonce)).collect();
        let txs: Vec<_> = (0..6).map(|at| bundle(&envelopes[at..at + 2])).collect();
        // What CometBFT's mempool holds, and what it was told to drop after it had held it.
        let (mut held, mut dropped) = ([false; 6], [false; 6]);
        for (at, step) in steps {
            match step {
                0 => {
                    let taken = checks(app, &txs[at], false);
                    prop_assert!(!(taken && dropped[at]), "bundle {at} came back");
                    held[at] |= taken;
                }
                1 => {
                    let proposed = prepare(app, std::slice::from_ref(&txs[at]));
                    decide(app, &proposed);
                    for at in (0..6).filter(|at| held[*at]).collect::<Vec<_>>() {
                        let kept = checks(app, &txs[at], true);
                        (held[at], dropped[at]) = (kept, !kept);
                    }
                }
                _ => {
                    for at in (0..6).filter(|at| held[*at]) {
                        prop_assert!(checks(app, &txs[at], true), "bundle {at} was good a moment ago");
                    }
                }
            }
        }
    }
}
