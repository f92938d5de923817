//! Blocks as an engine proposes, judges and decides them, without the solo engine's thread.

use bytes::Bytes;
use db3_primitives::BlockTime;
use db3_proto::{decode_bundle, element_bytes, encode_bundle};
use tendermint_abci::Application as _;
use tendermint_proto::google::protobuf::Timestamp;
use tendermint_proto::v0_38::abci::response_process_proposal::ProposalStatus;
use tendermint_proto::v0_38::abci::{
    RequestCheckTx, RequestFinalizeBlock, RequestInfo, RequestPrepareProposal, RequestProcessProposal,
};

use super::support::{Account, home, home_of, home_with, put, settings, sign};
use crate::open::open;
use crate::{ShardApp, ShardMachine};

pub(super) struct Proposals {
    pub(super) app: ShardApp,
    pub(super) _folder: tempfile::TempDir,
}

impl Proposals {
    fn new() -> Self {
        let (folder, home) = home();
        Self { app: open::<ShardMachine>(settings(&home)).unwrap().app, _folder: folder }
    }

    fn next(&self) -> (i64, BlockTime) {
        let version = self.app.inner.versions.committed();
        let height = i64::try_from(version.height.get()).unwrap() + 1;
        (height, BlockTime { secs: version.time.secs + 1, nanos: 0 })
    }

    pub(super) fn time(&self) -> u64 {
        self.next().1.secs
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp { seconds: i64::try_from(self.time()).unwrap(), nanos: 0 }
    }

    pub(super) fn prepare(&self, txs: Vec<Bytes>, max_tx_bytes: i64) -> Vec<Bytes> {
        let (height, time) = (self.next().0, Some(self.timestamp()));
        let request = RequestPrepareProposal { max_tx_bytes, txs, height, time, ..RequestPrepareProposal::default() };
        self.app.prepare_proposal(request).txs
    }

    pub(super) fn accepts(&self, txs: Vec<Bytes>) -> bool {
        let (height, time) = (self.next().0, Some(self.timestamp()));
        let request = RequestProcessProposal { txs, height, time, ..RequestProcessProposal::default() };
        self.app.process_proposal(request).status == i32::from(ProposalStatus::Accept)
    }

    /// Decides a block whatever it holds, and commits it.
    pub(super) fn decide(&self, txs: Vec<Bytes>) -> Vec<u8> {
        let (height, time) = (self.next().0, Some(self.timestamp()));
        let request = RequestFinalizeBlock {
            txs,
            height,
            time,
            hash: Bytes::from(vec![1; 32]),
            proposer_address: Bytes::from(vec![2; 20]),
            ..RequestFinalizeBlock::default()
        };
        let count = request.txs.len();
        let response = self.app.finalize_block(request);
        assert_eq!(response.tx_results.len(), count);
        self.app.commit();
        assert!(self.app.fatal().is_none(), "{:?}", self.app.fatal());
        response.app_hash.to_vec()
    }
}

fn bundle(envelopes: &[Bytes]) -> Bytes {
    Bytes::from(encode_bundle(envelopes))
}

fn mutations(txs: &[Bytes]) -> Vec<Vec<u8>> {
    txs.iter().flat_map(|tx| decode_bundle(tx).unwrap()).map(<[u8]>::to_vec).collect()
}

/// What no block may hold, each with a good mutation before it.
pub(super) fn bad_blocks(chain: &Proposals) -> Vec<(&'static str, Vec<Bytes>)> {
    let time = chain.time();
    let account = Account::new(1);
    let good = account.put_with_nonce(time, "k", 1, 1);
    let forged = sign(&Account::new(2).key, &account.mutation(time, 2, vec![put("k", b"v")]));
    let expired = Account { expires_in: 0, ..Account::new(1) }.put_with_nonce(time - 5, "k", 1, 2);
    let unknown = Account::new(77).put_with_nonce(time, "k", 1, 1);
    let second = account.put_with_nonce(time, "l", 1, 2);
    let mut long = encode_bundle([&good]);
    long.resize(5_000_000, 0);
    vec![
        ("no bundle", vec![bundle(std::slice::from_ref(&good)), Bytes::from_static(b"\x01\x02\x03")]),
        ("an empty transaction", vec![bundle(std::slice::from_ref(&good)), Bytes::new()]),
        ("a bad signature", vec![bundle(&[good.clone(), forged])]),
        ("an expired mutation", vec![bundle(&[good.clone(), expired])]),
        ("no line", vec![bundle(&[good.clone(), unknown])]),
        ("the same twice", vec![bundle(&[good.clone(), good.clone()])]),
        ("the same in two bundles", vec![bundle(std::slice::from_ref(&good)), bundle(std::slice::from_ref(&good))]),
        ("disorder", vec![bundle(&[second, good.clone()])]),
        ("too many bytes", vec![Bytes::from(long)]),
        ("garbage in a bundle", vec![bundle(&[good, Bytes::from_static(b"garbage")])]),
    ]
}

#[test]
fn a_block_that_holds_what_cannot_be_charged_is_refused() {
    let chain = Proposals::new();
    for (what, txs) in bad_blocks(&chain) {
        assert!(!chain.accepts(txs), "{what}");
    }
    let good = Account::new(1).put_with_nonce(chain.time(), "k", 1, 1);
    assert!(chain.accepts(vec![bundle(&[good])]));
    assert!(chain.accepts(Vec::new()));
}

#[test]
fn a_proposal_leaves_out_what_cannot_be_charged() {
    let chain = Proposals::new();
    let good = Account::new(1).put_with_nonce(chain.time(), "k", 1, 1).to_vec();
    for (what, txs) in bad_blocks(&chain) {
        let proposed = chain.prepare(txs, 4_000_000);
        assert!(chain.accepts(proposed.clone()), "{what}");
        if what == "too many bytes" {
            continue;
        }
        assert!(mutations(&proposed).contains(&good), "{what}");
    }
}

#[test]
fn a_proposal_puts_nonces_in_order() {
    let chain = Proposals::new();
    let (account, other) = (Account::new(1), Account::new(2));
    let time = chain.time();
    let [a1, a2, a3] = [1, 2, 3].map(|nonce| account.put_with_nonce(time, "k", 1, nonce));
    let b = other.put_with_nonce(time, "k", 1, 1);
    let proposed = chain.prepare(vec![bundle(&[a3.clone(), b.clone()]), bundle(&[a1.clone(), a2.clone()])], 4_000_000);
    assert_eq!(mutations(&proposed), [a1, b, a2, a3].map(|bytes| bytes.to_vec()));
    assert!(chain.accepts(proposed));
}

#[test]
fn a_proposal_fits_the_bytes_that_it_is_given() {
    let chain = Proposals::new();
    let account = Account::new(1);
    let time = chain.time();
    let envelopes: Vec<_> = (1..=50).map(|nonce| account.put_with_nonce(time, "k", 4, nonce)).collect();
    let proposed = chain.prepare(vec![bundle(&envelopes)], 5_000);
    let bytes: usize = proposed.iter().map(Bytes::len).sum();
    assert!(bytes <= 5_000 && bytes > 3_000, "{bytes}");
    assert!(chain.accepts(proposed));
}

#[test]
fn a_block_is_limited_in_operations() {
    let chain = Proposals::new();
    let time = chain.time();
    let mut envelopes = Vec::new();
    for number in 1..=9 {
        let mut account = Account::new(number);
        envelopes.extend((0..8).map(|nonce| account.put(time, &format!("{nonce}"), 1_000)));
    }
    // Long bundles, because these 72 000 operations are more than any block may hold.
    let txs: Vec<_> = envelopes.chunks(8).map(bundle).collect();
    let operations = |txs: &[Bytes]| {
        let all = mutations(txs);
        all.iter().map(|bytes| db3_proto::decode_mutation(bytes).unwrap().content.operations.len()).sum::<usize>()
    };
    assert_eq!(operations(&txs), 72_000);
    assert!(!chain.accepts(txs.clone()));
    let proposed = chain.prepare(txs, 4_194_304);
    assert!(operations(&proposed) <= 60_000 && operations(&proposed) > 40_000);
    assert!(chain.accepts(proposed));
}

#[test]
fn a_decided_block_is_executed_whatever_it_holds() {
    for what in bad_blocks(&Proposals::new()).into_iter().map(|(what, _)| what) {
        let chain = Proposals::new();
        let (_, txs) = bad_blocks(&chain).into_iter().find(|(name, _)| *name == what).unwrap();
        let root = chain.decide(txs);
        assert_eq!(root, chain.app.inner.versions.committed().root, "{what}");
        let height = chain.app.inner.versions.committed().height;
        let summary = chain.app.inner.store.summary(height).unwrap().unwrap();
        if what != "too many bytes" {
            assert_eq!((summary.applied, summary.failed), (1, 0), "{what}");
        }
        // A refused copy has no bill and uses no nonce, and it does not hide the good one.
        let receipts = chain.app.inner.store.receipts(height, 0, 100).unwrap();
        for receipt in receipts {
            assert_eq!(receipt.is_charged(), receipt.rejection.is_none(), "{what}");
            if receipt.is_charged() {
                assert_eq!(chain.app.inner.store.receipt(&receipt.id).unwrap(), Some(receipt), "{what}");
            }
        }
        // The chain goes on.
        let next = Account::new(3).put_with_nonce(chain.time(), "next", 1, 1);
        assert!(chain.accepts(vec![bundle(&[next])]), "{what}");
    }
}

#[test]
fn a_result_is_the_same_whether_it_was_prepared_judged_or_only_decided() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let (_folder, first) = home();
    let txs = |time: u64| {
        let mut account = Account::new(1);
        vec![bundle(&(0..20).map(|number| account.put(time, &format!("k{number}"), 2)).collect::<Vec<_>>())]
    };
    let roots: Vec<_> = folders
        .iter()
        .enumerate()
        .map(|(way, folder)| {
            let home = folder.path().join("node");
            super::support::copy_folder(&first, &home);
            let chain = Proposals {
                app: open::<ShardMachine>(settings(&home)).unwrap().app,
                _folder: tempfile::tempdir().unwrap(),
            };
            let txs = txs(chain.time());
            if way == 0 {
                assert_eq!(chain.prepare(txs.clone(), 4_000_000), txs);
            }
            if way <= 1 {
                assert!(chain.accepts(txs.clone()));
            }
            chain.decide(txs)
        })
        .collect();
    assert!(roots.iter().all(|root| *root == roots[0]));
}

#[test]
fn a_bundle_is_kept_while_one_of_its_mutations_waits() {
    let chain = Proposals::new();
    let time = chain.app.inner.clock.now().secs;
    let account = Account::new(1);
    let [a, b, c, d] = [1, 2, 3, 4].map(|nonce| account.put_with_nonce(time, "k", 1, nonce));
    let check = |envelopes: &[Bytes], r#type: i32| {
        chain.app.check_tx(RequestCheckTx { tx: bundle(envelopes), r#type }).code == 0
    };
    assert!(check(&[a.clone(), b.clone()], 0));
    // The same bundle; another one of what waits already; half of it is new; a third is.
    assert!(check(&[a.clone(), b.clone()], 0));
    assert!(!check(&[b.clone(), a.clone()], 0));
    assert!(check(&[a.clone(), c.clone()], 0));
    assert!(!check(&[a.clone(), b.clone(), d.clone()], 0));
    assert!(check(&[a.clone(), b.clone()], 1));
    chain.decide(vec![bundle(std::slice::from_ref(&a))]);
    assert!(check(&[a.clone(), b.clone()], 1));
    chain.decide(vec![bundle(std::slice::from_ref(&b))]);
    assert!(!check(&[a, b], 1));
    assert_ne!(chain.app.check_tx(RequestCheckTx { tx: Bytes::from_static(b"nothing"), r#type: 0 }).code, 0);
}

#[test]
fn a_proposal_that_is_made_anew_fits_with_what_stands_around_its_bundles() {
    let chain = Proposals::new();
    // Out of order, so that it is made anew: in two bundles.
    let nonces = (1..=30_u64).rev();
    let envelopes: Vec<_> = nonces.map(|nonce| Account::new(1).put_with_nonce(chain.time(), "k", 400, nonce)).collect();
    let tx = bundle(&envelopes);
    let max = element_bytes(tx.len());
    let proposed = chain.prepare(vec![tx], i64::try_from(max).unwrap());
    assert!(proposed.len() > 1, "{}", proposed.len());
    let bytes: usize = proposed.iter().map(|tx| element_bytes(tx.len())).sum();
    assert!(bytes <= max, "{bytes} of {max}");
    assert!(mutations(&proposed).len() >= envelopes.len() - 1);
}

#[test]
fn info_names_the_newest_block_and_its_root() {
    let (_folder, home, _) = home_of(settings);
    let new = open::<ShardMachine>(settings(&home)).unwrap().app;
    assert_eq!(new.info(RequestInfo::default()).last_block_height, 0);
    let chain = Proposals::new();
    let height = chain.next().0;
    let root = chain.decide(vec![bundle(&[Account::new(1).put_with_nonce(chain.time(), "k", 1, 1)])]);
    let info = chain.app.info(RequestInfo::default());
    assert_eq!((info.last_block_height, info.last_block_app_hash.to_vec()), (height, root));
    assert_eq!(info.app_version, crate::app::APP_VERSION);
}

#[test]
fn an_engine_that_jumps_stops_the_application() {
    let (_folder, home) = home_with(&[]);
    let app = open::<ShardMachine>(settings(&home)).unwrap().app;
    let (height, time) = (app.inner.versions.committed().height, app.inner.versions.committed().time);
    let request = RequestFinalizeBlock {
        height: i64::try_from(height.get()).unwrap() + 5,
        time: Some(Timestamp { seconds: i64::try_from(time.secs).unwrap() + 1, nanos: 0 }),
        hash: Bytes::from(vec![1; 32]),
        proposer_address: Bytes::from(vec![2; 20]),
        ..RequestFinalizeBlock::default()
    };
    app.finalize_block(request);
    assert!(app.fatal().unwrap().to_string().contains(&format!("after block {height}")));
    assert_eq!(app.inner.versions.committed().height, height);
}
