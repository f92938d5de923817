//! A state that comes from other nodes, chunk by chunk, through the calls that `CometBFT` makes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use db3_primitives::{BlockTime, Height, sha256};
use tempfile::TempDir;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::response_apply_snapshot_chunk::Result as Applied;
use tendermint_proto::v0_38::abci::response_offer_snapshot::Result as Offered;
use tendermint_proto::v0_38::abci::{
    RequestApplySnapshotChunk, RequestInfo, RequestLoadSnapshotChunk, RequestOfferSnapshot, ResponseApplySnapshotChunk,
    Snapshot,
};

use super::support::{Account, EPOCH_SECS, commit, copy_folder, home, now, settings, until};
use crate::comet::served::Served;
use crate::config::EngineKind;
use crate::open::{open, request_of};
use crate::transfer::TransferError;
use crate::transfer::snapshot::{self, Chunk, Manifest, write_for_sync};
use crate::{App, ChainConfig, ChainHandle, ShardMachine};

fn giving(home: &Path) -> ChainConfig {
    ChainConfig { sync_snapshot_blocks: 4, ..settings(home) }
}

/// A chain that has a snapshot for others and blocks after it.
async fn grown() -> (TempDir, PathBuf, ChainHandle) {
    let (folder, home) = home();
    let chain = ChainHandle::start(giving(&home)).await.unwrap();
    let mut account = Account::new(1);
    commit(&chain, account.put(now(&chain), "first", 5)).await;
    let (epoch, _) = chain.committed().state.open_epoch();
    chain.advance_time(EPOCH_SECS).unwrap();
    until("the close", || chain.provable().state.epoch_hash(epoch).is_some()).await;
    // A chunk of leaves and one of the log that the close has written to.
    let mut number = 0;
    while chain.app().list_snapshots().snapshots.first().is_none_or(|newest| newest.chunks < 2) {
        commit(&chain, account.put(now(&chain), &format!("k{number}"), 20)).await;
        number += 1;
        assert!(number < 200, "no snapshot is made");
    }
    for more in 0..3 {
        commit(&chain, account.put(now(&chain), &format!("more{more}"), 5)).await;
    }
    (folder, home, chain)
}

/// Another node of that chain that has nothing but its genesis.
fn fresh(folder: &TempDir, home: &Path, name: &str) -> App<ShardMachine> {
    fresh_above(folder, home, name, 0)
}

/// The same of one that had blocks up to a height, and could not go on from there.
fn fresh_above(folder: &TempDir, home: &Path, name: &str, sync_above: u64) -> App<ShardMachine> {
    let other = folder.path().join(name);
    if !other.exists() {
        copy_folder(&home.join("config"), &other.join("config"));
    }
    let config = ChainConfig { engine: EngineKind::CometBft, sync_above, ..settings(&other) };
    let opened = open::<ShardMachine>(config).unwrap();
    let inner = Arc::clone(&opened.app.inner);
    let metrics = Arc::clone(&inner.metrics);
    let failed = |error| panic!("{error}");
    // The other chain's time was moved.
    inner.clock.set_offset_secs(EPOCH_SECS);
    inner.snapshotter.run(Arc::clone(&inner.store), opened.durable, 0, metrics, failed).unwrap();
    opened.app
}

fn offer(to: &App<ShardMachine>, snapshot: &Snapshot, root: [u8; 32]) -> Offered {
    let request = RequestOfferSnapshot { snapshot: Some(snapshot.clone()), app_hash: Bytes::copy_from_slice(&root) };
    to.offer_snapshot(request).result()
}

fn apply(to: &App<ShardMachine>, index: u32, chunk: Bytes) -> ResponseApplySnapshotChunk {
    to.apply_snapshot_chunk(RequestApplySnapshotChunk { index, chunk, sender: "someone".to_owned() })
}

/// What one node gives: the newest snapshot, its chunks, the root that a header proves.
fn given(chain: &ChainHandle) -> (Snapshot, Vec<Bytes>, [u8; 32]) {
    let snapshot = chain.app().list_snapshots().snapshots.first().unwrap().clone();
    let load = |chunk| {
        let request = RequestLoadSnapshotChunk { height: snapshot.height, format: snapshot.format, chunk };
        chain.app().load_snapshot_chunk(request).chunk
    };
    let chunks: Vec<_> = (0..snapshot.chunks).map(load).collect();
    assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= 10 * 1024 * 1024));
    let next = chain.store().summary(Height::new(snapshot.height + 1)).unwrap().unwrap();
    (snapshot, chunks, next.app_hash)
}

fn height(app: &App<ShardMachine>) -> i64 {
    app.info(RequestInfo::default()).last_block_height
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_comes_in_chunks_and_goes_on_with_the_blocks_after_it() {
    let (folder, home, chain) = grown().await;
    let (snapshot, chunks, root) = given(&chain);
    let app = fresh(&folder, &home, "other");
    assert_eq!(offer(&app, &snapshot, root), Offered::Accept);
    for (index, chunk) in (0..).zip(chunks) {
        assert_eq!(height(&app), 0, "not before the last chunk");
        assert_eq!(apply(&app, index, chunk).result(), Applied::Accept);
    }
    let info = app.info(RequestInfo::default());
    assert_eq!(u64::try_from(info.last_block_height).unwrap(), snapshot.height);
    assert_eq!(info.last_block_app_hash, root.as_slice());

    // It would give the same bytes to others.
    let inner = &app.inner;
    let version = inner.versions.committed();
    let (made, _) = write_for_sync(&inner.store, &inner.genesis, &version, &folder.path().join("again")).unwrap();
    assert_eq!(std::fs::read(made.join("manifest.json")).unwrap(), snapshot.metadata);

    // The blocks after it give the roots that their headers carry.
    let newest = chain.committed();
    for next in snapshot.height + 1..=newest.height.get() {
        let next = Height::new(next);
        let (request, header) = request_of(next, chain.store().block(next).unwrap().unwrap()).unwrap();
        assert_eq!(header.app_hash.as_bytes(), inner.versions.committed().root);
        app.finalize_block(request);
        app.commit();
        assert!(app.fatal().is_none());
        inner.prove(next, chain.store().light_block(next).unwrap().unwrap().into());
    }
    assert_eq!(inner.versions.committed().root, newest.root);
    assert_eq!(inner.versions.provable().height, chain.provable().height);

    // A kill now leaves the state that came, or a newer one.
    inner.snapshotter.stop();
    drop((app, version));
    let again = fresh(&folder, &home, "other");
    assert!(u64::try_from(height(&again)).unwrap() >= snapshot.height);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_chunk_is_fetched_again_from_somebody_else() {
    let (folder, home, chain) = grown().await;
    let (snapshot, chunks, root) = given(&chain);
    let app = fresh(&folder, &home, "other");
    assert_eq!(apply(&app, 0, chunks[0].clone()).result(), Applied::RejectSnapshot, "nothing was offered");
    assert_eq!(offer(&app, &snapshot, root), Offered::Accept);
    let mut false_chunk = chunks[0].to_vec();
    false_chunk[9] ^= 1;
    for wrong in [Bytes::from(false_chunk), Bytes::new(), chunks[0].slice(1..)] {
        let answer = apply(&app, 0, wrong);
        assert_eq!(answer.result(), Applied::Retry);
        assert_eq!((answer.refetch_chunks.as_slice(), answer.reject_senders.len()), ([0].as_slice(), 1));
    }
    assert_eq!(apply(&app, 1, chunks[1].clone()).result(), Applied::RetrySnapshot, "another one is due");
    // An offer forgets what came before it, also half a state.
    assert_eq!(apply(&app, 0, chunks[0].clone()).result(), Applied::Accept);
    assert_eq!(offer(&app, &snapshot, root), Offered::Accept);
    for (index, chunk) in (0..).zip(chunks) {
        assert_eq!(apply(&app, index, chunk).result(), Applied::Accept);
    }
    assert_eq!(app.inner.versions.committed().root, root);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_snapshot_is_refused_and_leaves_the_state_as_it_was() {
    let (folder, home, chain) = grown().await;
    let (snapshot, chunks, root) = given(&chain);
    let app = fresh(&folder, &home, "other");
    let before = app.inner.versions.committed().root;
    let offered = |change: fn(&mut Snapshot)| {
        let mut changed = snapshot.clone();
        change(&mut changed);
        offer(&app, &changed, root)
    };
    assert_eq!(offered(|snapshot| snapshot.format += 1), Offered::RejectFormat);
    assert_eq!(offered(|snapshot| snapshot.height += 1), Offered::Reject);
    assert_eq!(offered(|snapshot| snapshot.chunks += 1), Offered::Reject);
    assert_eq!(offered(|snapshot| snapshot.hash = Bytes::from(vec![0; 32])), Offered::Reject);
    assert_eq!(offered(|snapshot| snapshot.metadata = Bytes::from_static(b"{}")), Offered::Reject);
    assert_eq!(offer(&app, &snapshot, [7; 32]), Offered::Reject, "a header proves another root");

    // Chunks that are what a false manifest names, which names the proven root.
    let mut forged = chunks.clone();
    let mut first = forged[0].to_vec();
    *first.last_mut().unwrap() ^= 1;
    forged[0] = Bytes::from(first);
    let hex = |chunk: &Bytes| hex::encode(sha256(&[chunk]));
    let text = String::from_utf8(snapshot.metadata.to_vec()).unwrap().replace(&hex(&chunks[0]), &hex(&forged[0]));
    let false_one = Snapshot {
        hash: Bytes::copy_from_slice(&sha256(&[text.as_bytes()])),
        metadata: Bytes::from(text),
        ..snapshot.clone()
    };
    assert_eq!(offer(&app, &false_one, root), Offered::Accept, "nothing tells yet");
    let last = forged.len() - 1;
    for (index, chunk) in forged.into_iter().enumerate() {
        let expected = if index == last { Applied::RejectSnapshot } else { Applied::Accept };
        assert_eq!(apply(&app, u32::try_from(index).unwrap(), chunk).result(), expected);
    }
    assert!(app.fatal().is_none());
    assert_eq!((height(&app), app.inner.versions.committed().root), (0, before));

    // Neither that nor a kill in the middle of a true one hinders the next.
    assert_eq!(offer(&app, &snapshot, root), Offered::Accept);
    assert_eq!(apply(&app, 0, chunks[0].clone()).result(), Applied::Accept);
    app.inner.snapshotter.stop();
    drop(app);
    let app = fresh(&folder, &home, "other");
    assert_eq!((height(&app), app.inner.versions.committed().root), (0, before));
    assert_eq!(offer(&app, &snapshot, root), Offered::Accept);
    for (index, chunk) in (0..).zip(chunks) {
        assert_eq!(apply(&app, index, chunk).result(), Applied::Accept);
    }
    assert_eq!(app.inner.versions.committed().root, root);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_anew_takes_no_snapshot_that_it_was_past() {
    let (folder, home, chain) = grown().await;
    let (snapshot, _, root) = given(&chain);
    let app = fresh_above(&folder, &home, "past", snapshot.height);
    assert_eq!(offer(&app, &snapshot, root), Offered::Reject, "it leads to the block that stopped it");
    let app = fresh_above(&folder, &home, "before", snapshot.height - 1);
    assert_eq!(offer(&app, &snapshot, root), Offered::Accept);
}

/// A snapshot with another manifest, under the hash of that.
fn with_manifest(snapshot: &Snapshot, change: impl FnOnce(&mut Manifest)) -> Snapshot {
    let mut manifest: Manifest = serde_json::from_slice(&snapshot.metadata).unwrap();
    change(&mut manifest);
    let text = serde_json::to_vec(&manifest).unwrap();
    Snapshot {
        hash: Bytes::copy_from_slice(&sha256(&[&text])),
        chunks: u32::try_from(manifest.chunks().count()).unwrap(),
        metadata: Bytes::from(text),
        ..snapshot.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_bound_in_size_and_time_whatever_its_manifest_says() {
    let (folder, home, chain) = grown().await;
    let (snapshot, chunks, root) = given(&chain);
    let app = fresh(&folder, &home, "other");
    let many = |manifest: &mut Manifest| {
        let chunk = Chunk { bytes: 10 * 1024 * 1024, ..manifest.state[0].clone() };
        manifest.state = vec![chunk; 820];
    };
    assert_eq!(offer(&app, &with_manifest(&snapshot, many), root), Offered::Reject, "over 8 GiB in chunks");
    let million = |manifest: &mut Manifest| "22000000".clone_into(&mut manifest.leaves);
    assert_eq!(offer(&app, &with_manifest(&snapshot, million), root), Offered::Reject, "over 8 GiB in leaves");
    let entries = |manifest: &mut Manifest| u64::MAX.to_string().clone_into(&mut manifest.logs[0].entries);
    assert_eq!(offer(&app, &with_manifest(&snapshot, entries), root), Offered::Reject);
    for time in [app.inner.clock.now().secs + 3_600, app.inner.genesis.time().secs - 1] {
        let other = |manifest: &mut Manifest| manifest.time = BlockTime::from_secs(time).rfc3339();
        assert_eq!(offer(&app, &with_manifest(&snapshot, other), root), Offered::Reject, "{time}");
    }

    // More leaves than it names are not read, and fewer are not enough.
    let fewer = |manifest: &mut Manifest| {
        "1".clone_into(&mut manifest.leaves);
        for log in &mut manifest.logs {
            "0".clone_into(&mut log.entries);
        }
    };
    assert_eq!(offer(&app, &with_manifest(&snapshot, fewer), root), Offered::Accept);
    assert_eq!(apply(&app, 0, chunks[0].clone()).result(), Applied::RejectSnapshot, "at the first chunk");
    let more = |manifest: &mut Manifest| manifest.leaves = (manifest.leaves.parse::<u64>().unwrap() + 1).to_string();
    assert_eq!(offer(&app, &with_manifest(&snapshot, more), root), Offered::Accept);
    let answers: Vec<_> = (0..).zip(chunks).map(|(index, chunk)| apply(&app, index, chunk).result()).collect();
    assert_eq!(answers.last(), Some(&Applied::RejectSnapshot));
    assert_eq!(height(&app), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_snapshots_are_kept_and_found_again_after_a_start() {
    let (_folder, home, chain) = grown().await;
    let mut account = Account::new(2);
    let first = chain.app().list_snapshots().snapshots[0].height;
    let mut number = 0;
    let gone = || {
        let snapshots = chain.app().list_snapshots().snapshots;
        snapshots.len() == 2 && snapshots.iter().all(|snapshot| snapshot.height != first)
    };
    while !gone() {
        commit(&chain, account.put(now(&chain), &format!("k{number}"), 1)).await;
        number += 1;
        assert!(number < 500, "old snapshots stay");
    }
    let kept = || snapshot::list(&snapshot::snapshots_folder(&home)).unwrap().whole.len();
    until("two are left", || kept() == 2).await;
    chain.shutdown().await;
    let left: Vec<_> = snapshot::list(&snapshot::snapshots_folder(&home)).unwrap().whole;
    drop(chain);
    let chain = ChainHandle::start(giving(&home)).await.unwrap();
    let found: Vec<_> = chain.app().list_snapshots().snapshots.iter().map(|found| found.height.to_string()).collect();
    assert_eq!(found, left.iter().map(|(_, manifest)| manifest.height.clone()).collect::<Vec<_>>());

    // Restored by hand it would have no blocks to go on from.
    let copy = home.with_file_name("copy");
    let error = snapshot::restore::<ShardMachine>(&copy, &left[0].0, &settings(&copy)).unwrap_err();
    assert!(matches!(error, TransferError::NoBlocks { .. }), "{error}");
    assert!(error.to_string().contains("state_sync"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_cannot_be_read_or_was_never_finished_keeps_no_other_back() {
    let (_folder, home, chain) = grown().await;
    let folder = snapshot::snapshots_folder(&home);
    // No snapshots of their own are made at these heights.
    // The thread that makes snapshots may look at any moment, and takes a folder away that is not whole yet.
    for (name, file, text) in
        [("7", "manifest.json", "{\"format\": 2}"), ("9", "state-000.bin", "half"), ("mine", "a", "")]
    {
        let aside = home.with_file_name(name);
        std::fs::create_dir(&aside).unwrap();
        std::fs::write(aside.join(file), text).unwrap();
        std::fs::rename(aside, folder.join(name)).unwrap();
    }
    let newest = chain.app().list_snapshots().snapshots[0].height;
    let mut account = Account::new(2);
    let mut number = 0;
    while chain.app().list_snapshots().snapshots[0].height == newest {
        commit(&chain, account.put(now(&chain), &format!("k{number}"), 1)).await;
        number += 1;
        assert!(number < 500, "no newer snapshot is handed out");
    }
    until("the unfinished one to go", || !folder.join("9").exists()).await;
    let listed = snapshot::list(&folder).unwrap();
    assert!(listed.unreadable.iter().any(|(path, _)| path.ends_with("7")) && folder.join("mine").exists());
    chain.shutdown().await;
    drop(chain);
    // Those that are there are handed out also by a node that makes none.
    let config = ChainConfig { sync_snapshot_blocks: 0, ..giving(&home) };
    let chain = ChainHandle::start(config).await.unwrap();
    assert!(!chain.app().list_snapshots().snapshots.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_executed_blocks_takes_no_state_of_others_in_their_place() {
    let (folder, home, chain) = grown().await;
    let (snapshot, _, root) = given(&chain);
    let request = || RequestOfferSnapshot { snapshot: Some(snapshot.clone()), app_hash: Bytes::copy_from_slice(&root) };
    let old = chain.app().clone();
    assert_eq!(Served::new(old, true, None).offer_snapshot(request()).result(), Offered::Abort);
    // Killed on the way, `CometBFT` may have votes for a block; this one never executed any.
    let new = fresh(&folder, &home, "other");
    assert_eq!(Served::new(new, true, None).offer_snapshot(request()).result(), Offered::Accept);
}
