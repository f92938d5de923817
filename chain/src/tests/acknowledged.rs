//! Outboxes on nodes that came from a snapshot: they begin at what the other chain has acknowledged, and what it still waits
//! for is there.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use db3_merkle_log::{Delivery, Frontier, Inbox, verify_inclusion};
use db3_primitives::{ChainId, CreditEntry, Epoch, Heartbeat, Height, Rejection};
use rocksdb::WriteBatch;
use tempfile::TempDir;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::response_apply_snapshot_chunk::Result as Applied;

use super::given::{Files, fresh, given, provable, sync};
use super::stated::{self, Network, SHARD};
use super::support::{
    Account, EPOCH_SECS, Settlement, commit, home_of, lines_of, now, settings, settlement, shard_id, soon, start, until,
};
use crate::machine::Machine;
use crate::open::request_of;
use crate::store::logs::OutboxPart;
use crate::store::{Family, Store};
use crate::transfer::snapshot::{self, Manifest, write_for_sync};
use crate::transfer::{ImportInput, export, import};
use crate::version::VersionOf;
use crate::{Chain, ChainHandle, Log, QueryError, SettlementMachine, ShardMachine, audit};

/// A shard that has closed some epochs, and the settlement chain that it hears.
pub(super) struct Grown {
    folder: TempDir,
    pub(super) home: PathBuf,
    settlement: Settlement,
    pub(super) chain: ChainHandle,
}

pub(super) fn to_settlement() -> Log {
    Log::Outbox(settlement())
}

fn to_shard() -> Log {
    Log::Outbox(shard_id())
}

pub(super) fn size<M: Machine>(version: &VersionOf<M>, to: &ChainId) -> u64 {
    M::outbox(&version.state, to).unwrap().size()
}

/// Entry by entry, as whoever was there from the beginning has them.
pub(super) fn entries(store: &Store, log: &Log, size: u64) -> Vec<Vec<u8>> {
    (0..size).map(|index| store.log_entry(log, index).unwrap().unwrap()).collect()
}

pub(super) fn frontier(entries: &[Vec<u8>]) -> Frontier {
    let mut frontier = Frontier::new();
    for entry in entries {
        frontier.append_with(entry, |_| ());
    }
    frontier
}

impl Grown {
    pub(super) async fn new() -> Self {
        let (folder, home, mut settlement) = home_of(settings);
        settlement.says_lines(&lines_of(1..4));
        let chain = start(&home).await;
        let mut grown = Self { folder, home, settlement, chain };
        grown.hear().await;
        grown.close(1).await;
        grown.close(2).await;
        grown
    }

    /// Brings all that the settlement chain has said.
    async fn hear(&mut self) {
        let channel = self.chain.committed().state.channel(&settlement()).unwrap();
        let delivery = self.settlement.delivery(channel.cursor(), channel.trusted_height());
        let height = self.chain.submit_delivery(delivery).await.unwrap().block(soon()).await.unwrap().unwrap();
        self.chain.wait_height(height, soon()).await.unwrap();
    }

    /// Three accounts have bills, and their epoch closes.
    async fn close(&self, nonce: u64) {
        for number in 1..4 {
            let account = Account::new(number);
            commit(&self.chain, account.put_with_nonce(now(&self.chain), &format!("k{nonce}"), 1, nonce)).await;
        }
        let (open, _) = self.chain.committed().state.open_epoch();
        self.chain.advance_time(EPOCH_SECS).unwrap();
        until("the close", || self.chain.provable().state.epoch_hash(open).is_some()).await;
    }

    /// The settlement chain says that it has applied so many entries.
    pub(super) async fn acknowledge(&mut self, inbox_cursor: u64) {
        let heartbeat = Heartbeat { epoch: Epoch::new(0), lease: Epoch::new(u64::MAX), inbox_cursor };
        self.settlement.says(CreditEntry::Heartbeat(heartbeat));
        self.hear().await;
    }

    /// The same chain on a folder that came from a snapshot.
    async fn restored(self) -> Self {
        let Self { folder, home, settlement, chain } = self;
        let (home, chain) = restored(chain, &home).await;
        Self { folder, home, settlement, chain }
    }
}

/// Goes on in a folder that came from a snapshot, at the time to which the chain's was moved.
async fn restored<M: Machine>(chain: Chain<M>, home: &Path) -> (PathBuf, Chain<M>) {
    let ahead = chain.store().offset_secs().unwrap();
    chain.shutdown().await;
    drop(chain);
    audit::check::<M>(&settings(home), false).unwrap();
    let (path, _) = snapshot::make::<M>(settings(home)).unwrap();
    let copy = home.with_file_name("restored");
    snapshot::restore::<M>(&copy, &path, &settings(&copy)).unwrap();
    let key = Path::new("config/priv_validator_key.json");
    fs::copy(home.join(key), copy.join(key)).unwrap();
    let chain = Chain::<M>::start(settings(&copy)).await.unwrap();
    chain.advance_time(ahead).unwrap();
    (copy, chain)
}

/// What a relay carries from a chain to a reader that stands there, a few entries at a time; how many there were.
fn carry<M: Machine>(chain: &Chain<M>, to: &ChainId, reader: &mut Inbox) -> u64 {
    let version = chain.committed();
    let outbox = M::outbox(&version.state, to).unwrap();
    let before = reader.cursor();
    while reader.cursor() < outbox.size() {
        let page = chain.outbox(&version, to, reader.cursor(), 2, usize::MAX).unwrap();
        let delivery = Delivery { start: page.first, entries: page.entries, size: page.size, right: page.right };
        *reader = reader.receive(&delivery, outbox.size(), &outbox.root()).unwrap().inbox;
    }
    assert_eq!(*reader.frontier(), outbox);
    reader.cursor() - before
}

fn refused<T: std::fmt::Debug>(answer: Result<T, QueryError>) -> Rejection {
    match answer {
        Err(QueryError::Rejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

/// The only log that begins later, as a manifest names it.
pub(super) fn beginning(manifest: &Manifest) -> (Frontier, u64) {
    let [files] = manifest.logs.iter().filter(|files| files.begins.is_some()).collect::<Vec<_>>()[..] else {
        panic!("{:?}", manifest.logs)
    };
    assert!(files.log.starts_with("outbox"));
    let begins = Frontier::from_bytes(&hex::decode(files.begins.as_ref().unwrap()).unwrap()).unwrap();
    (begins, files.entries.parse().unwrap())
}

pub(super) fn manifest_of((snapshot, ..): &Files) -> Manifest {
    serde_json::from_slice(&snapshot.metadata).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_gives_others_the_entries_that_settlement_has_not_acknowledged_and_they_go_on_as_it_does() {
    let mut grown = Grown::new().await;
    let written = size(&grown.chain.committed(), &settlement());
    assert!(written >= 8, "{written}");
    grown.acknowledge(5).await;
    let files = given(&grown.chain, &grown.home.with_file_name("given")).await;
    let all = entries(grown.chain.store(), &to_settlement(), written);
    assert_eq!(beginning(&manifest_of(&files)), (frontier(&all[..5]), written - 5));

    let app = fresh::<ShardMachine>(&grown.home, "synced");
    assert_eq!(sync(&app, &files), Applied::Accept);
    let inner = &app.inner;
    let synced = inner.versions.committed();
    let home = grown.home.clone();
    let again = |name: &str, version: &VersionOf<ShardMachine>| {
        let folder = home.with_file_name(name);
        let (made, manifest) = write_for_sync::<ShardMachine>(&inner.store, &inner.genesis, version, &folder).unwrap();
        (fs::read(made.join("manifest.json")).unwrap(), manifest)
    };
    assert_eq!(again("again", &synced).0, files.0.metadata, "the same bytes on every node");
    let part = |from| inner.store.outbox_part(&to_settlement(), from, written, 100, usize::MAX).unwrap();
    let OutboxPart { entries, right } = part(5).unwrap();
    assert_eq!((entries.as_slice(), right), (&all[5..], Vec::new()));
    assert_eq!((part(4), part(0)), (None, None));

    // The blocks after it, with more entries and another word on them, leave the same on both.
    grown.close(3).await;
    grown.acknowledge(7).await;
    let newest = provable(&grown.chain).await;
    for next in synced.height.get() + 1..=newest.height.get() {
        let next = Height::new(next);
        let store = grown.chain.store();
        let (request, header) = request_of(next, store.block(next).unwrap().unwrap()).unwrap();
        assert_eq!(header.app_hash.as_bytes(), inner.versions.committed().root);
        app.finalize_block(request);
        app.commit();
        assert!(app.fatal().is_none());
        inner.prove(next, store.light_block(next).unwrap().unwrap().into());
    }
    let later = given(&grown.chain, &grown.home.with_file_name("later")).await;
    let (bytes, manifest) = again("again-later", &inner.versions.committed());
    assert_eq!(bytes, later.0.metadata);
    assert_eq!(beginning(&manifest).0.size(), 7);
    inner.snapshotter.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_shard_delivers_on_and_says_of_what_is_older_that_it_does_not_have_it() {
    let mut grown = Grown::new().await;
    let first = grown.chain.store().epochs(None, 100).unwrap().pop().unwrap();
    grown.acknowledge(5).await;
    let all = entries(grown.chain.store(), &to_settlement(), size(&grown.chain.committed(), &settlement()));
    let mut reader = Inbox::at(frontier(&all[..5]));
    let mut grown = grown.restored().await;
    assert!(carry(&grown.chain, &settlement(), &mut reader) >= 3);
    let version = grown.chain.committed();
    let from = grown.chain.history_begins().unwrap().unwrap();
    for index in [0, 4] {
        let rejection = refused(grown.chain.outbox(&version, &settlement(), index, 100, usize::MAX));
        let what = format!("entry {index} of the outbox to test-settlement");
        assert_eq!((rejection.code(), &rejection), (504, &Rejection::HistoryMissing { what, from }));
    }
    assert_eq!(refused(grown.chain.epoch(first.close.last)).code(), 504, "its close is known by its hash alone");
    let far = Epoch::new(version.state.open_epoch().0.get() + 100);
    assert_eq!(refused(grown.chain.epoch(far)).code(), 405);
    // Entries are proven under roots of later as well as of this size.
    let (size, root) = (size(&version, &settlement()), version.state.outbox_to(&settlement()).root());
    for index in 5..size {
        let proof = grown.chain.store().log_proof(&to_settlement(), index, size).unwrap();
        verify_inclusion(&all[usize::try_from(index).unwrap()], index, size, &proof, &root).unwrap();
    }

    grown.close(3).await;
    assert!(carry(&grown.chain, &settlement(), &mut reader) >= 4);
    grown.acknowledge(reader.cursor()).await;
    grown.close(4).await;
    assert!(carry(&grown.chain, &settlement(), &mut reader) >= 4);
    let Grown { folder, home, chain, .. } = grown;
    let cursor = chain.committed().state.acknowledged_by(&settlement());
    chain.shutdown().await;
    drop(chain);
    audit::check::<ShardMachine>(&settings(&home), false).unwrap();

    // And from there on as lines.
    let mut lines = Vec::new();
    export::<ShardMachine>(settings(&home), &mut lines).unwrap();
    let imported = home.with_file_name("imported");
    let input = ImportInput { settings: settings(&imported), operator: None, time: None };
    import::<ShardMachine>(&imported, &mut Cursor::new(lines), &input).unwrap();
    let chain = start(&imported).await;
    assert_eq!(chain.committed().state.acknowledged_by(&settlement()), cursor);
    assert!(chain.outbox(&chain.committed(), &settlement(), cursor, 100, usize::MAX).is_ok());
    assert_eq!(refused(chain.outbox(&chain.committed(), &settlement(), cursor - 1, 100, usize::MAX)).code(), 504);
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_there_from_the_beginning_keeps_all_and_notices_one_that_is_lost() {
    let mut grown = Grown::new().await;
    grown.acknowledge(5).await;
    let version = grown.chain.committed();
    assert!(carry(&grown.chain, &settlement(), &mut Inbox::new()) >= 8, "all of it is there still");
    let store = grown.chain.store();
    let mut batch = WriteBatch::default();
    let key = [&[1, 15], settlement().as_str().as_bytes(), &2_u64.to_be_bytes()].concat();
    batch.delete_cf(store.family(Family::Logs).unwrap(), key);
    store.write(batch, true).unwrap();
    assert_eq!(store.log_entry(&to_settlement(), 2).unwrap(), None);
    let lost = grown.chain.outbox(&version, &settlement(), 2, 100, usize::MAX);
    assert!(matches!(lost, Err(QueryError::Store(_))), "that is damage: {lost:?}");
    grown.chain.shutdown().await;
    drop(version);
    let home = grown.home.clone();
    drop(grown.chain);
    let error = audit::check::<ShardMachine>(&settings(&home), false).unwrap_err();
    assert!(error.to_string().contains("entry 2 of the log outbox test-settlement"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settlement_chain_begins_its_outbox_at_what_the_shards_last_close_names() {
    let mut network = Network::new();
    let chain = network.start().await;
    let first = Epoch::of(now_of(&chain), stated::epoch_secs());
    let one = Account::new(1).address();
    network.shard.close(&chain, first, &[(one, 0, 500)]).await;
    settled(&chain, first).await;
    let sent = size(&chain.committed(), &shard_id());
    assert!(sent >= 4, "three lines and a heartbeat: {sent}");
    network.shard.knows = 3;
    network.shard.close(&chain, first.next().unwrap(), &[(one, 500, 700)]).await;
    settled(&chain, first.next().unwrap()).await;
    assert_eq!(chain.committed().state.acknowledged_by(SHARD), 3);
    let files = given(&chain, &network.home.with_file_name("given")).await;
    let written = size(&chain.committed(), &shard_id());
    let all = entries(chain.store(), &to_shard(), written);
    assert_eq!(beginning(&manifest_of(&files)), (frontier(&all[..3]), written - 3));

    let app = fresh::<SettlementMachine>(&network.home, "synced");
    assert_eq!(sync(&app, &files), Applied::Accept);
    let (inner, again) = (&app.inner, network.home.with_file_name("again"));
    let synced = inner.versions.committed();
    let (made, _) = write_for_sync::<SettlementMachine>(&inner.store, &inner.genesis, &synced, &again).unwrap();
    assert_eq!(fs::read(made.join("manifest.json")).unwrap(), files.0.metadata, "the same bytes on every node");
    let part = |from| inner.store.outbox_part(&to_shard(), from, written, 100, usize::MAX).unwrap();
    assert_eq!((part(3).unwrap().entries.as_slice(), part(2)), (&all[3..], None));
    inner.snapshotter.stop();
    drop(synced);

    // A node that was restored by hand carries on, and so does what it hears.
    let mut reader = Inbox::at(frontier(&all[..3]));
    let (home, chain) = restored(chain, &network.home).await;
    assert_eq!(carry(&chain, &shard_id(), &mut reader), written - 3);
    network.shard.knows = reader.cursor();
    let third = first.next().unwrap().next().unwrap();
    network.shard.close(&chain, third, &[(one, 700, 900)]).await;
    settled(&chain, third).await;
    assert!(carry(&chain, &shard_id(), &mut reader) >= 1);
    assert_eq!(refused(chain.outbox(&chain.committed(), &shard_id(), 2, 100, usize::MAX)).code(), 504);
    assert_eq!(chain.committed().state.acknowledged_by(SHARD), written);
    chain.shutdown().await;
    drop(chain);
    audit::check::<SettlementMachine>(&settings(&home), false).unwrap();
}

fn now_of(chain: &Chain<SettlementMachine>) -> u64 {
    chain.now().secs
}

async fn settled(chain: &Chain<SettlementMachine>, epoch: Epoch) {
    until("the round", || chain.committed().state.round().settled >= Some(epoch)).await;
}
