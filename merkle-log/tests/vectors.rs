//! The expected results of an independent program, `tests/vectors/log.json`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod naive;

use db3_merkle_log::{
    Delivery, Frontier, Hash, Inbox, Outbox, deliver, fold, inclusion_proof, right_range, verify_inclusion,
};
use naive::Store;
use serde_json::Value;

fn load() -> Value {
    let folder = std::env::var("DB3_VECTORS").unwrap_or_else(|_| "../tests/vectors".to_owned());
    let text = std::fs::read_to_string(format!("{folder}/log.json")).expect("log.json in the folder of the vectors");
    serde_json::from_str(&text).expect("log.json is JSON")
}

fn hash(value: &Value) -> Hash {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn hashes(value: &Value) -> Vec<Hash> {
    value.as_array().unwrap().iter().map(hash).collect()
}

#[test]
fn vectors_of_logs_have_the_expected_roots_frontiers_and_deliveries() {
    let vectors = load();
    let logs = vectors["logs"].as_array().unwrap();
    assert!(!logs.is_empty());
    for log in logs {
        let entries: Vec<Vec<u8>> =
            log["entries"].as_array().unwrap().iter().map(|e| hex::decode(e.as_str().unwrap()).unwrap()).collect();
        let size = entries.len() as u64;
        let root = hash(&log["root"]);

        let (mut outbox, mut store) = (Outbox::new(), Store::default());
        for entry in &entries {
            let appended = outbox.append(entry).unwrap();
            store.add(entry, &appended.nodes);
        }
        let frontier = outbox.frontier();
        assert_eq!(frontier.root(), root);
        assert_eq!(frontier.hashes(), hashes(&log["frontier"]));
        assert_eq!(Frontier::from_bytes(&frontier.to_bytes()).as_ref(), Ok(frontier));

        for (index, entry) in entries.iter().enumerate() {
            let proof = inclusion_proof(&store, index as u64, size).unwrap();
            assert_eq!(verify_inclusion(entry, index as u64, size, &proof, &root), Ok(()));
        }
        for delivery in log["deliveries"].as_array().unwrap() {
            check_delivery(delivery, &entries, &store, &root);
        }
    }
}

fn check_delivery(delivery: &Value, entries: &[Vec<u8>], store: &Store, root: &Hash) {
    let (cursor, next) = (delivery["cursor"].as_u64().unwrap(), delivery["next"].as_u64().unwrap());
    let (from, to) = (usize::try_from(cursor).unwrap(), usize::try_from(next).unwrap());
    let size = entries.len() as u64;
    let mut before = Frontier::new();
    for entry in &entries[..from] {
        before.append(entry);
    }
    assert_eq!(before.hashes(), hashes(&delivery["frontier_before"]));
    let right = right_range(store, next, size).unwrap();
    assert_eq!(right, hashes(&delivery["right"]));

    let (after, folded) = fold(&before, &entries[from..to], &right, size).unwrap();
    assert_eq!((after.size(), folded), (next, *root));

    let inbox = Inbox::from_bytes(&before.to_bytes()).unwrap();
    let given = Delivery { start: cursor, entries: entries[from..to].to_vec(), size, right };
    let received = inbox.receive(&given, size, root).unwrap();
    assert_eq!((received.first, received.entries), (cursor, &entries[from..to]));
    assert_eq!(received.inbox.frontier(), &after);

    let whole = deliver(store, cursor, size, usize::MAX).unwrap();
    assert_eq!(inbox.receive(&whole, size, root).unwrap().inbox.cursor(), size);
}
