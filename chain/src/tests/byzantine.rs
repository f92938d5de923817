//! What a false proposer may send: every node refuses it, whatever waits in its pools and stands in its caches, and
//! none of them is any other for having seen it.

use std::path::PathBuf;

use bytes::Bytes;
use db3_genesis::{AppState, GenesisOperator, ShardGenesis};
use db3_primitives::{Scheme, Tai};
use db3_proto::{encode_bundle, encode_delivery_tx, encode_governance_tx};
use tempfile::TempDir;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::RequestCheckTx;

use super::governance::{expiry, operator, signed};
use super::proposals::{Proposals, bad_blocks};
use super::support::{Account, Settlement, copy_folder, lines_of, settings, settlement, soon};
use crate::open::open;
use crate::{ChainConfig, ChainHandle, InitInput, ShardMachine, init, make_key};

/// What a block holds, with what is to be said of it.
type Blocks = Vec<(&'static str, Vec<Bytes>)>;

/// A folder with a shard that somebody governs, in which accounts 1 to 9 have lines, and account 10 almost none.
fn home() -> (TempDir, PathBuf, Settlement) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("first");
    let mut source = Settlement::new();
    let key = make_key(&home).unwrap();
    let account = operator().address();
    let operators = vec![GenesisOperator::new(&key.pubkey, &account, &account)];
    let InitInput { app_state: AppState::Shard(state), time } = source.shard(None) else { panic!() };
    let input = InitInput { app_state: ShardGenesis { operators, ..state }.into(), time };
    init(&home, &input, &settings(&home)).unwrap();
    source.says_lines(&[lines_of(1..10), vec![(Account::new(10).address(), Tai::new(1))]].concat());
    let (delivery, config) = (source.delivery(0, 0), settings(&home));
    tokio::runtime::Runtime::new().unwrap().block_on(async move {
        let chain = ChainHandle::start(config).await.unwrap();
        let height = chain.submit_delivery(delivery).await.unwrap().block(soon()).await.unwrap().unwrap();
        chain.wait_height(height, soon()).await.unwrap();
        chain.shutdown().await;
    });
    (folder, home, source)
}

/// What no block may hold, system transactions among it, and at the end a block that is good.
fn proposals(node: &Proposals, source: &mut Settlement) -> (Blocks, Vec<Bytes>) {
    let version = node.app.inner.versions.committed();
    let channel = version.state.channel(&settlement()).unwrap();
    let (cursor, trusted) = (channel.cursor(), channel.trusted_height());
    source.says_lines(&lines_of(11..12));
    let delivery = |delivery| Bytes::from(encode_delivery_tx(&delivery));
    let good = delivery(source.delivery(cursor, trusted));
    let mut altered = source.delivery(cursor, trusted);
    altered.log.entries[0][3] ^= 1;
    let leaf = version.state.governance().leaf().unwrap().clone();
    let decision = signed(&leaf, node.time(), 0, expiry(1_800));
    let decided = |signed| Bytes::from(encode_governance_tx(&signed));
    let mut unsigned = decision.clone();
    unsigned.signatures.clear();
    let mut strange = unsigned.clone();
    strange.sign(&Account::new(1).key, Scheme::Raw);
    let mut ahead = unsigned.clone();
    ahead.proposal.sequence += 1;
    ahead.sign(&operator(), Scheme::Raw);
    let decision = decided(decision);
    let bundle = Bytes::from(encode_bundle([Account::new(1).put_with_nonce(node.time(), "k", 1, 1)]));
    let beyond = Bytes::from(encode_bundle([Account::new(10).put_with_nonce(node.time(), "k", 1, 1)]));
    let mut blocks = bad_blocks(node);
    blocks.extend([
        ("a mutation beyond its line", vec![bundle.clone(), beyond]),
        ("a delivery under headers of another key", vec![delivery(source.delivery_of([66; 32]))]),
        ("an entry that was altered", vec![delivery(altered)]),
        ("a delivery of what was taken before", vec![delivery(source.delivery(0, trusted))]),
        ("a delivery twice", vec![good.clone(), good.clone()]),
        ("a delivery after a bundle", vec![bundle.clone(), good.clone()]),
        ("a decision that nobody signed", vec![decided(unsigned), bundle.clone()]),
        ("a decision that somebody else signed", vec![decided(strange), bundle.clone()]),
        ("a decision with another number", vec![decided(ahead), bundle.clone()]),
        ("a decision twice", vec![decision.clone(), decision.clone()]),
        ("a decision after a bundle", vec![bundle.clone(), decision.clone()]),
        ("a system transaction that is none", vec![Bytes::from_static(&[0x12, 3, 1, 2, 3]), bundle.clone()]),
    ]);
    (blocks, vec![good, decision, bundle])
}

#[test]
fn a_false_proposal_is_refused_alike_whatever_a_node_has_in_its_pools_and_caches() {
    let (folder, first, mut source) = home();
    let node = |name: &str, change: fn(ChainConfig) -> ChainConfig| {
        let home = folder.path().join(name);
        copy_folder(&first, &home);
        Proposals {
            app: open::<ShardMachine>(change(settings(&home))).unwrap().app,
            _folder: tempfile::tempdir().unwrap(),
        }
    };
    let nodes = [
        node("new", |config| config),
        node("one thread", |config| ChainConfig { verify_threads: 1, ..config }),
        node("was sent everything", |config| config),
        node("judged a good one", |config| config),
        node("proposed it all", |config| config),
        node("has other mutations with these nonces", |config| config),
    ];
    let (bad, good) = proposals(&nodes[0], &mut source);
    let everything: Vec<Bytes> = bad.iter().flat_map(|(_, txs)| txs).chain(&good).cloned().collect();
    for tx in &everything {
        let _ = nodes[2].app.check_tx(RequestCheckTx { tx: tx.clone(), r#type: 0 });
    }
    assert!(nodes[3].accepts(good.clone()));
    assert!(!nodes[4].prepare(everything, 4_000_000).is_empty());
    let others = (1..4).map(|number| Account::new(number).put_with_nonce(nodes[5].time(), "other", 1, 1));
    let others = RequestCheckTx { tx: Bytes::from(encode_bundle(others)), r#type: 0 };
    assert_eq!(nodes[5].app.check_tx(others).code, 0);
    let waiting = |node: &Proposals| node.app.inner.mempool.size().0;
    assert_eq!(nodes.each_ref().map(waiting).map(|count| count > 0), [false, false, true, false, false, true]);

    // Twice: the second time everything was judged before.
    for (what, txs) in bad.iter().chain(&bad) {
        let accepted = nodes.each_ref().map(|node| node.accepts(txs.clone()));
        assert_eq!(accepted, [false; 6], "{what}");
    }
    assert_eq!(nodes.each_ref().map(|node| node.accepts(good.clone())), [true; 6]);
    let roots = nodes.each_ref().map(|node| node.decide(good.clone()));
    assert!(roots.iter().all(|root| *root == roots[0]), "{roots:?}");
}
