//! Where a log begins that comes from elsewhere: what a peer may say of it, what it takes, what it is good for.

use bytes::Bytes;
use db3_merkle_log::{Delivery, Frontier, Inbox, verify_inclusion};
use db3_primitives::sha256;
use proptest::prelude::*;
use rocksdb::WriteBatch;
use tendermint_proto::v0_38::abci::response_apply_snapshot_chunk::Result as Applied;
use tendermint_proto::v0_38::abci::response_offer_snapshot::Result as Offered;

use super::acknowledged::{Grown, beginning, entries, frontier, manifest_of, size, to_settlement};
use super::given::{Files, fresh, fresh_with, given, offer, renamed, sync};
use super::support::settlement;
use crate::store::Store;
use crate::store::logs::NamedLog;
use crate::store::logs::OutboxPart;
use crate::{Log, ShardMachine};

/// A snapshot whose first log begins and goes on like this.
fn forged((snapshot, chunks, root): &Files, begins: Option<&Frontier>, entries: &[Vec<u8>]) -> Files {
    let mut manifest = manifest_of(&(snapshot.clone(), Vec::new(), *root));
    let length = |entry: &[u8]| u32::try_from(entry.len()).unwrap().to_be_bytes();
    let bytes: Vec<u8> = entries.iter().flat_map(|entry| [&length(entry), entry.as_slice()].concat()).collect();
    let mut chunks: Vec<Bytes> = chunks[..manifest.state.len()].to_vec();
    let files = &mut manifest.logs[0];
    files.begins = begins.map(|begins| hex::encode(begins.to_bytes()));
    files.entries = entries.len().to_string();
    let [chunk] = files.chunks.as_mut_slice() else { panic!("one chunk is enough") };
    (chunk.bytes, chunk.sha256) = (bytes.len() as u64, hex::encode(sha256(&[&bytes])));
    chunks.push(bytes.into());
    renamed(snapshot, chunks, &manifest, *root)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_beginning_a_false_frontier_and_a_list_that_is_cut_are_refused() {
    let mut grown = Grown::new().await;
    grown.acknowledge(5).await;
    let files = given(&grown.chain, &grown.home.with_file_name("given")).await;
    let all = entries(grown.chain.store(), &to_settlement(), size(&grown.chain.committed(), &settlement()));
    let app = fresh::<ShardMachine>(&grown.home, "other");
    let before = app.inner.versions.committed().root;
    let at = |count: usize| frontier(&all[..count]);
    let changed = |bytes: Vec<u8>| Frontier::from_bytes(&bytes).unwrap();
    let flipped = |index: usize| {
        let mut bytes = at(5).to_bytes();
        bytes[index] ^= 1;
        changed(bytes)
    };
    let other = frontier(&all[1..6]);
    let swapped = {
        let (size, hashes) = (5_u64.to_be_bytes(), at(5).hashes().to_vec());
        changed([size.as_slice(), &hashes[1], &hashes[0]].concat())
    };
    let mut altered = all[5..].to_vec();
    altered[0][5] ^= 1;
    let mut turned = all[5..].to_vec();
    turned.swap(0, 1);
    let doubled = [&all[5..], &all[5..6]].concat();
    let cases = [
        ("all of it, as of before the word was heard", None, &all[..]),
        ("an empty frontier, and all of it", Some(at(0)), &all[..]),
        ("an earlier beginning", Some(at(4)), &all[4..]),
        ("a later one", Some(at(6)), &all[6..]),
        ("a beginning at the end", Some(at(all.len() - 1)), &all[all.len() - 1..]),
        ("no frontier, and the entries", None, &all[5..]),
        ("a first hash that is false", Some(flipped(8)), &all[5..]),
        ("a last one that is", Some(flipped(8 + 63)), &all[5..]),
        ("the frontier of other entries", Some(other), &all[5..]),
        ("its hashes in another order", Some(swapped), &all[5..]),
        ("the first entry cut", Some(at(5)), &all[6..]),
        ("the last entry cut", Some(at(5)), &all[5..all.len() - 1]),
        ("an altered entry", Some(at(5)), &altered[..]),
        ("entries in another order", Some(at(5)), &turned[..]),
    ];
    for (what, begins, entries) in cases {
        assert_eq!(sync(&app, &forged(&files, begins.as_ref(), entries)), Applied::RejectSnapshot, "{what}");
        assert_eq!(app.inner.versions.committed().root, before, "{what}");
    }
    assert_eq!(sync(&app, &forged(&files, Some(&at(5)), &doubled)), Applied::RejectSnapshot, "one entry twice");
    assert_eq!(sync(&app, &forged(&files, Some(&at(5)), &all[5..])), Applied::Accept);
    app.inner.snapshotter.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_travel_takes_no_memory() {
    let mut grown = Grown::new().await;
    let whole = manifest_of(&given(&grown.chain, &grown.home.with_file_name("whole")).await);
    let written = size(&grown.chain.committed(), &settlement());
    grown.acknowledge(written).await;
    let files = given(&grown.chain, &grown.home.with_file_name("given")).await;
    let manifest = manifest_of(&files);
    assert_eq!((whole.logs[0].entries.clone(), beginning(&manifest).1), (written.to_string(), 0));
    assert!(manifest.logs[0].chunks.is_empty());
    let chunks: u64 = manifest.state.iter().map(|chunk| chunk.bytes).sum();
    let needed = manifest.leaves.parse::<u64>().unwrap() * 400 + chunks;
    let with = |name: &str, bytes: u64| {
        fresh_with::<ShardMachine>(&grown.home, name, |config| config.sync_memory_bytes = bytes)
    };
    assert_eq!(offer(&with("small", needed - 1), &files), Offered::Reject);
    assert_eq!(sync(&with("enough", needed), &files), Applied::Accept);
}

/// What comes from elsewhere of a log, as the transfer writes it: its entries from an index on.
fn adopt(store: &Store, log: &Log, all: &[Vec<u8>], from: usize, to: usize) {
    let mut frontier = frontier(&all[..from]);
    let mut batch = WriteBatch::default();
    store.add_frontier(&mut batch, log, &frontier).unwrap();
    store.add_outbox_begins(&mut batch, log, from as u64).unwrap();
    for (index, entry) in (from as u64..).zip(&all[from..to]) {
        store.add_entry(&mut batch, log, index, entry).unwrap();
        for node in frontier.append(entry) {
            store.add_node(&mut batch, log, &node).unwrap();
        }
    }
    store.write(batch, false).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Nodes that came one from another, each at what was acknowledged by then: whatever a reader that has acknowledged no more
    /// than that waits for, the last of them delivers and proves, also from a log that has grown since.
    #[test]
    fn any_acknowledged_numbers_keep_deliveries_possible(steps in prop::collection::vec((0..9_usize, 0..9_usize), 1..6)) {
        let log = to_settlement();
        let mut all: Vec<Vec<u8>> = Vec::new();
        let mut acknowledged = 0;
        for (more, heard) in steps {
            let adopted = all.len();
            all.extend((0..more).map(|number| vec![u8::try_from(number).unwrap(); 1 + adopted % 7]));
            acknowledged = acknowledged.max((acknowledged + heard).min(adopted));
            let home = tempfile::tempdir().unwrap();
            let store = Store::open::<ShardMachine>(home.path(), "test-shard-0").unwrap();
            // The snapshot at one height, the blocks after it.
            adopt(&store, &log, &all, acknowledged, adopted);
            let mut grown = frontier(&all[..adopted]);
            let mut batch = WriteBatch::default();
            for (index, entry) in (adopted as u64..).zip(&all[adopted..]) {
                store.add_entry(&mut batch, &log, index, entry).unwrap();
                grown.append(entry).iter().for_each(|node| store.add_node(&mut batch, &log, node).unwrap());
            }
            store.write(batch, false).unwrap();
            let (size, root) = (all.len() as u64, grown.root());
            for cursor in acknowledged..=all.len() {
                let mut reader = Inbox::at(frontier(&all[..cursor]));
                while reader.cursor() < size {
                    let part = store.outbox_part(&log, reader.cursor(), size, 3, usize::MAX).unwrap().unwrap();
                    let OutboxPart { entries, right } = part;
                    let delivery = Delivery { start: reader.cursor(), entries, size, right };
                    reader = reader.receive(&delivery, size, &root).unwrap().inbox;
                }
                prop_assert_eq!(reader.frontier(), &grown);
                prop_assert_eq!(store.log_frontier(&log, cursor as u64).unwrap(), frontier(&all[..cursor]));
                if cursor < all.len() {
                    let proof = store.log_proof(&log, cursor as u64, size).unwrap();
                    prop_assert!(verify_inclusion(&all[cursor], cursor as u64, size, &proof, &root).is_ok());
                }
            }
            for older in 0..acknowledged {
                prop_assert_eq!(store.outbox_part(&log, older as u64, size, 3, usize::MAX).unwrap(), None);
            }
        }
    }
}

#[test]
fn a_state_that_was_never_taken_in_the_end_hides_no_entry_that_the_node_executed_itself() {
    let log = to_settlement();
    let all: Vec<Vec<u8>> = (0..9_u8).map(|number| vec![number; 3]).collect();
    let home = tempfile::tempdir().unwrap();
    let store = Store::open::<ShardMachine>(home.path(), "test-shard-0").unwrap();
    adopt(&store, &log, &all, 5, 7);
    let part = |from| store.outbox_part(&log, from, 7, 10, usize::MAX).unwrap();
    assert_eq!((part(0), part(4)), (None, None));
    // It was killed before it had the state, and fetched the blocks instead.
    let mut batch = WriteBatch::default();
    let mut grown = Frontier::new();
    for (index, entry) in (0..).zip(&all) {
        store.add_entry(&mut batch, &log, index, entry).unwrap();
        grown.append(entry).iter().for_each(|node| store.add_node(&mut batch, &log, node).unwrap());
    }
    store.write(batch, false).unwrap();
    assert_eq!(part(0).unwrap().entries, all[..7]);
    assert_eq!(part(4).unwrap().entries, all[4..7]);
    let named = NamedLog::outbox(settlement(), 8, grown);
    store.check_log(&named).unwrap();
}
