//! The books of a settlement chain on another node: by state sync, by a snapshot and by an export; also where governance
//! forgave an entry at fault or passed entries over.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use db3_governance::{Action, CatchUp, Proposal, Replacement, SignedProposal};
use db3_light_client::{Options, TrustRoot};
use db3_merkle_log::{Frontier, verify_inclusion};
use db3_primitives::{
    Epoch, Height, LogEntry, Payee, Scheme, ShardFault, Statement, Tai, TransactionOperation, sha256,
};
use rocksdb::WriteBatch;
use tendermint_proto::v0_38::abci::response_apply_snapshot_chunk::Result as Applied;

use super::given::{fresh, given, provable, renamed, sync};
use super::governance::operator;
use super::stated::{Network, SHARD, Settlement, epoch_secs, shard_id, transaction};
use super::support::{Account, settings, settlement, soon, until};
use crate::machine::Machine as _;
use crate::store::{Family, Store};
use crate::transfer::snapshot::{self, Manifest, write_for_sync};
use crate::transfer::{ImportInput, export, export_version, import};
use crate::version::VersionOf;
use crate::{ChainConfig, CloseRow, Log, ReceiptState, SettlementMachine, StatementFilter, StatementRow, audit};

fn log() -> Log {
    Log::Inbox(shard_id())
}

/// Everything that can be listed of the shard's log.
type Rows = (Vec<Vec<StatementRow>>, Vec<CloseRow>);

fn rows(store: &Store) -> Rows {
    let filter = StatementFilter::default();
    let of = |number| store.statements(&Account::new(number).address(), &filter, None, 9, 100).unwrap().0;
    ((1..=2).map(of).collect(), store.closes(SHARD, None, 9).unwrap())
}

/// The same without the blocks that took the entries in.
fn placeless((statements, closes): &Rows) -> Rows {
    let (height, time) = (Height::new(0), db3_primitives::BlockTime::default());
    let statements = statements.iter().map(|rows| rows.iter().map(|row| StatementRow { height, time, ..*row }));
    let closes = closes.iter().map(|row| CloseRow { height, time, ..row.clone() });
    (statements.map(Iterator::collect).collect(), closes.collect())
}

/// Every entry that is kept is proven under the root that the state names.
fn check_log(store: &Store, version: &VersionOf<SettlementMachine>) -> u64 {
    let named = SettlementMachine::logs(&version.state).into_iter().find(|named| named.log == log()).unwrap();
    let (size, root) = (named.frontier.size(), named.frontier.root());
    for index in named.begins..size {
        let entry = store.log_entry(&log(), index).unwrap().unwrap();
        verify_inclusion(&entry, index, size, &store.log_proof(&log(), index, size).unwrap(), &root).unwrap();
        store.log_right(&log(), index, size).unwrap();
    }
    size - named.begins
}

fn open_epoch(chain: &Settlement) -> Epoch {
    Epoch::of(chain.now().secs, epoch_secs())
}

async fn settled(chain: &Settlement, epoch: Epoch) {
    until("the round", || chain.committed().state.round().settled >= Some(epoch)).await;
}

fn owes(number: u8, sum: u128) -> LogEntry {
    let account = Account::new(number).address();
    LogEntry::Statement(Statement { account, payee: Payee::ValidatorPool, cumulative: Tai::new(sum) })
}

/// Operators let the channel begin anew at the shard's newest header.
async fn replace(network: &Network, chain: &Settlement, inbox: Option<Frontier>, catch_up: Option<CatchUp>) {
    // A decision is judged at the newest block's time, which must have come to that of the shard's newest header.
    let transfer = vec![TransactionOperation::Transfer { to: Account::new(2).address(), amount: Tai::new(1) }];
    let mut submitted = chain.submit(transaction(chain, 3, 1, transfer)).await.unwrap();
    let ReceiptState::Done(_) = submitted.receipt.provable(soon()).await else { panic!("it is done") };
    let headers = network.shard.source.headers();
    let height = headers.height();
    let validators = headers.next_validators(height).unwrap().validators();
    let root = TrustRoot::new(shard_id().as_str(), height, headers.time(height).unwrap(), &validators).unwrap();
    let peer = db3_carry::Peer { root, options: Options::never_expires() };
    let state = chain.committed().state.clone();
    let inbox = inbox.unwrap_or_else(|| state.channel(&shard_id()).unwrap().inbox().frontier().clone());
    let proposal = Proposal {
        chain_id: settlement(),
        sequence: state.governance().leaf().unwrap().sequence() + 1,
        at_height: Height::new(0),
        expire_unix_secs: chain.now().secs + 600,
        actions: vec![Action::ReplaceChannel(Box::new(Replacement { peer: peer.claim(), inbox, catch_up }))],
    };
    let mut signed = SignedProposal::unsigned(proposal);
    signed.sign(&operator(), Scheme::Raw);
    let height = chain.submit_governance(signed).await.unwrap().block(soon()).await.unwrap().unwrap();
    until("its effect", || chain.committed().height > height).await;
    assert_eq!(chain.committed().state.shard(SHARD).unwrap().leaf.fault, None);
}

/// By every way the chain's books come to another node.
async fn check_ways(network: &Network, chain: Settlement) {
    let original = rows(chain.store());
    let version = provable(&chain).await;
    let kept = check_log(chain.store(), &version);
    let files = given(&chain, &network.home.with_file_name("given")).await;

    // State sync, and what that node would give to others, in files and in lines.
    let app = fresh::<SettlementMachine>(&network.home, "synced");
    assert_eq!(sync(&app, &files), Applied::Accept);
    let (inner, again) = (&app.inner, network.home.with_file_name("again"));
    let synced = inner.versions.committed();
    assert_eq!((check_log(&inner.store, &synced), rows(&inner.store)), (kept, placeless(&original)));
    let (made, _) = write_for_sync::<SettlementMachine>(&inner.store, &inner.genesis, &synced, &again).unwrap();
    assert_eq!(fs::read(made.join("manifest.json")).unwrap(), files.0.metadata, "the same bytes on every node");
    let mut lines = Vec::new();
    export_version::<SettlementMachine>(&inner.store, settlement().as_str(), &synced, &mut lines).unwrap();
    inner.snapshotter.stop();
    drop((synced, app));
    let placeless_import = imported(network, "imported-synced", lines).await;
    assert_eq!(placeless_import, placeless(&original));

    // A snapshot and an export of one's own keep the places.
    chain.shutdown().await;
    drop((chain, version));
    audit::check::<SettlementMachine>(&settings(&network.home), false).unwrap();
    audit::check::<SettlementMachine>(&settings(&network.home), true).unwrap();
    let (path, _) = snapshot::make::<SettlementMachine>(settings(&network.home)).unwrap();
    let restored = network.home.with_file_name("restored");
    snapshot::restore::<SettlementMachine>(&restored, &path, &settings(&restored)).unwrap();
    let key = Path::new("config/priv_validator_key.json");
    fs::copy(network.home.join(key), restored.join(key)).unwrap();
    let chain = Settlement::start(settings(&restored)).await.unwrap();
    assert_eq!(rows(chain.store()), original);
    check_log(chain.store(), &chain.provable());
    chain.shutdown().await;
    drop(chain);
    let mut lines = Vec::new();
    export::<SettlementMachine>(settings(&network.home), &mut lines).unwrap();
    assert_eq!(imported(network, "imported", lines).await, original);
}

async fn imported(network: &Network, name: &str, lines: Vec<u8>) -> Rows {
    let home: PathBuf = network.home.with_file_name(name);
    let input = ImportInput { settings: settings(&home), operator: None, time: None };
    import::<SettlementMachine>(&home, &mut Cursor::new(lines), &input).unwrap();
    let chain = Settlement::start(settings(&home)).await.unwrap();
    check_log(chain.store(), &*provable(&chain).await);
    let rows = rows(chain.store());
    chain.shutdown().await;
    drop(chain);
    audit::check::<SettlementMachine>(&settings(&home), false).unwrap();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_come_from_others_without_the_blocks_that_no_root_covers() {
    let (mut network, two) = (Network::governed(), Account::new(2).address());
    let chain = network.start().await;
    let (first, one) = (open_epoch(&chain), Account::new(1).address());
    network.shard.close(&chain, first, &[(one, 0, 500), (two, 0, 40)]).await;
    settled(&chain, first).await;
    network.shard.close(&chain, first.next().unwrap(), &[(one, 500, 700)]).await;
    settled(&chain, first.next().unwrap()).await;
    check_ways(&network, chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_says_more_of_the_entries_than_is_proven_is_refused_and_stops_nobody() {
    let mut network = Network::governed();
    let chain = network.start().await;
    let first = open_epoch(&chain);
    network.shard.close(&chain, first, &[(Account::new(1).address(), 0, 500)]).await;
    let (snapshot, chunks, root) = given(&chain, &network.home.with_file_name("given")).await;
    let manifest: Manifest = serde_json::from_slice(&snapshot.metadata).unwrap();
    let inbox = manifest.logs.iter().find(|files| files.log.starts_with("inbox")).unwrap().chunks[0].file.clone();
    let app = fresh::<SettlementMachine>(&network.home, "other");
    let before = app.inner.versions.committed().root;
    for place in [[0; 20], [1; 20]] {
        // As layout 3 had them, behind every entry.
        let (mut forged, mut manifest) = (chunks.clone(), manifest.clone());
        let at = manifest.chunks().position(|chunk| chunk.file == inbox).unwrap();
        let (mut bytes, mut rest) = (Vec::new(), &chunks[at][..]);
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (entry, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            bytes.extend([length.as_slice(), entry, &place].concat());
            rest = after;
        }
        let chunk = manifest.logs.iter_mut().flat_map(|files| &mut files.chunks).find(|chunk| chunk.file == inbox);
        let chunk = chunk.unwrap();
        (chunk.bytes, chunk.sha256) = (bytes.len() as u64, hex::encode(sha256(&[&bytes])));
        forged[at] = bytes.into();
        assert_eq!(sync(&app, &renamed(&snapshot, forged, &manifest, root)), Applied::RejectSnapshot);
    }
    // Nor does a log begin where a peer wants it to.
    let mut later = manifest.clone();
    let files = later.logs.iter_mut().find(|files| files.log.starts_with("inbox")).unwrap();
    let whole = chain.committed().state.channel(&shard_id()).unwrap().inbox().frontier().clone();
    files.begins = Some(hex::encode(whole.to_bytes()));
    files.entries = "0".to_owned();
    files.chunks.clear();
    let names: Vec<_> = later.chunks().map(|chunk| chunk.file.clone()).collect();
    let left = manifest.chunks().zip(&chunks).filter(|(chunk, _)| names.contains(&chunk.file));
    let left = left.map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(sync(&app, &renamed(&snapshot, left, &later, root)), Applied::RejectSnapshot);
    assert!(app.fatal().is_none());
    assert_eq!(app.inner.versions.committed().root, before);
    assert_eq!(sync(&app, &(snapshot, chunks, root)), Applied::Accept);
    chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_at_fault_says_nothing_anywhere_after_it_was_forgiven() {
    let mut network = Network::governed();
    let chain = network.start().await;
    let (first, one) = (open_epoch(&chain), Account::new(1).address());
    let second = first.next().unwrap();
    network.shard.close(&chain, first, &[(one, 0, 500)]).await;
    // A false sum, which decodes.
    network.shard.says(&owes(1, 400));
    network.shard.bring(&chain, second).await;
    let fault = chain.committed().state.shard(SHARD).unwrap().leaf.fault.unwrap();
    assert_eq!((fault.code, fault.index), (ShardFault::StatementBelowLast, 2));
    replace(&network, &chain, None, None).await;
    network.shard.close(&chain, second.next().unwrap(), &[(one, 500, 700)]).await;
    settled(&chain, second.next().unwrap()).await;
    let (statements, closes) = rows(chain.store());
    assert_eq!(statements[0].iter().map(|row| row.cumulative.get()).collect::<Vec<_>>(), [700, 500]);
    assert_eq!(closes.len(), 2);
    check_ways(&network, chain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_which_entries_were_passed_over_goes_on_from_its_frontier_on_every_node() {
    let mut network = Network::governed();
    let chain = network.start().await;
    let (first, one) = (open_epoch(&chain), Account::new(1).address());
    let second = first.next().unwrap();
    network.shard.close(&chain, first, &[(one, 0, 500)]).await;
    network.shard.source.append(&settlement(), b"nonsense").unwrap();
    network.shard.bring(&chain, second).await;
    assert!(chain.committed().state.shard(SHARD).unwrap().leaf.fault.is_some());
    // What it states and closes meanwhile is never read.
    network.shard.write_close(second, &[(one, 500, 650)]);
    let close = network.shard.write_close(second.next().unwrap(), &[(one, 650, 660)]);
    network.shard.block();
    network.shard.wait_for_the_end(&chain);
    let frontier = network.shard.source.log(&settlement()).unwrap().frontier().clone();
    assert_eq!(frontier.size(), 7, "a single leaf is among what it goes on from");
    let statements = vec![(one, Tai::new(660))];
    let catch_up = CatchUp { last: close.last, hash: close.hash(), statements };
    replace(&network, &chain, Some(frontier.clone()), Some(catch_up)).await;
    let version = provable(&chain).await;
    assert_eq!(check_log(chain.store(), &version), 0);
    // Right away nothing is kept, and a snapshot can be made all the same.
    let files = given(&chain, &network.home.with_file_name("empty")).await;
    assert_eq!(sync(&fresh::<SettlementMachine>(&network.home, "empty-synced"), &files), Applied::Accept);
    let third = close.last.next().unwrap();
    network.shard.close(&chain, third, &[(one, 660, 900)]).await;
    settled(&chain, third).await;
    let version = provable(&chain).await;
    assert_eq!(check_log(chain.store(), &version), 2);
    let newest = chain.store().statement(SHARD, &one, None).unwrap().unwrap();
    assert_eq!((newest.index, newest.cumulative), (frontier.size(), Tai::new(900)));
    let files = given(&chain, &network.home.with_file_name("given")).await;
    let app = fresh::<SettlementMachine>(&network.home, "synced");
    assert_eq!(sync(&app, &files), Applied::Accept);
    let (inner, again) = (&app.inner, network.home.with_file_name("again"));
    let synced = inner.versions.committed();
    assert_eq!(check_log(&inner.store, &synced), 2);
    let closes = inner.store.closes(SHARD, None, 9).unwrap();
    assert_eq!(closes.iter().map(|row| row.close.last).collect::<Vec<_>>(), [third]);
    let (made, _) = write_for_sync::<SettlementMachine>(&inner.store, &inner.genesis, &synced, &again).unwrap();
    assert_eq!(fs::read(made.join("manifest.json")).unwrap(), files.0.metadata);
    chain.shutdown().await;
    drop((chain, version));
    let mut lines = Vec::new();
    export::<SettlementMachine>(settings(&network.home), &mut lines).unwrap();
    let (statements, closes) = imported(&network, "imported", lines).await;
    assert_eq!((statements[0].len(), closes.len()), (1, 1));
    snapshot::make::<SettlementMachine>(settings(&network.home)).unwrap();
    audit::check::<SettlementMachine>(&settings(&network.home), true).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_missing_from_a_log_is_noticed() {
    let mut network = Network::governed();
    let config = ChainConfig { sync_snapshot_blocks: 1, ..settings(&network.home) };
    let chain = Settlement::start(config).await.unwrap();
    let first = open_epoch(&chain);
    network.shard.close(&chain, first, &[(Account::new(1).address(), 0, 500)]).await;
    settled(&chain, first).await;
    provable(&chain).await;
    let measured = |name: &str| {
        let text = chain.metrics_text();
        let line = text.lines().find(|line| line.starts_with(&format!("db3_{name}{{"))).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    until("a snapshot", || measured("sync_snapshot_height") > 0 && measured("sync_snapshots_missed") == 0).await;
    let mut batch = WriteBatch::default();
    let key = [&[2, 12], shard_id().as_str().as_bytes(), &0_u64.to_be_bytes()].concat();
    batch.delete_cf(chain.store().family(Family::Logs).unwrap(), key);
    chain.store().write(batch, true).unwrap();
    assert_eq!(chain.store().log_entry(&log(), 0).unwrap(), None);
    network.shard.close(&chain, first.next().unwrap(), &[(Account::new(1).address(), 500, 600)]).await;
    until("one that fails is told", || measured("sync_snapshots_missed") > 0).await;
    chain.shutdown().await;
    drop(chain);
    let error = audit::check::<SettlementMachine>(&settings(&network.home), true).unwrap_err();
    assert!(error.to_string().contains("entry 0 of the log inbox test-shard-0"), "{error}");
}
