//! The way of a mutation from submission to a record that a light client believes.

use db3_light_client::{LightClient, Options, UnixTime};
use db3_primitives::{RecordKey, key};
use db3_state_tree::{Proof, verify_existence};

use super::support::{Account, commit, home, now, settings, start, until};
use crate::{ChainHandle, EventCursor, ReceiptState};

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_becomes_a_record_that_a_light_client_believes() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let mut account = Account::new(1);
    let receipt = commit(&chain, account.put(now(&chain), "hello", 1)).await;
    assert_eq!(receipt.rejection, None);
    assert_eq!(receipt.versions, vec![1]);

    let version = chain.provable();
    assert!(version.height >= receipt.height);
    let record = RecordKey::new(b"hello/0".to_vec()).unwrap();
    let tree_key = key::record(&account.namespace(), &"t".parse().unwrap(), &record);
    let Proof::Exists(proof) = version.state.tree().prove(&tree_key) else { panic!("no record") };
    let leaf = version.state.tree().get(&tree_key).unwrap();

    let mut client = LightClient::from_root(chain.genesis().trust_root().unwrap(), Options::never_expires());
    let light_block = version.light_block.clone().unwrap();
    let wall = UnixTime::new(i64::try_from(now(&chain)).unwrap() + 1, 0).unwrap();
    let header = client.verify(&light_block, None, wall).unwrap();
    assert_eq!(header.height, version.height.get() + 1);
    let root = header.app_hash.unwrap();
    assert_eq!(root, version.root);
    verify_existence(&root, &tree_key, leaf, &proof).unwrap();
    assert!(leaf.ends_with(b"value of hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_header_is_verified_one_after_the_other() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let mut account = Account::new(1);
    for number in 0..5 {
        commit(&chain, account.put(now(&chain), &format!("k{number}"), 1)).await;
    }
    let mut client = LightClient::from_root(chain.genesis().trust_root().unwrap(), Options::never_expires());
    let (first, last) = chain.store().block_range().unwrap().unwrap();
    assert_eq!(first.get(), 1);
    let wall = UnixTime::new(i64::try_from(now(&chain)).unwrap() + 1, 0).unwrap();
    for height in first.get()..=last.get() {
        let light_block = chain.light_block(height.into()).unwrap();
        let header = client.verify(&light_block, None, wall).unwrap();
        let summary = chain.store().summary(height.into()).unwrap().unwrap();
        assert_eq!(header.header_hash, summary.hash);
        assert_eq!(header.app_hash, Some(summary.app_hash));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_again_get_the_same_receipt() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let envelope = Account::new(1).put(now(&chain), "once", 1);
    let first = commit(&chain, envelope.clone()).await;
    let again = commit(&chain, envelope.clone()).await;
    assert_eq!(first, again);
    // Many at once: one mutation, one bill.
    let mut account = Account::new(2);
    let envelope = account.put(now(&chain), "many", 1);
    for submitted in chain.submit_batch(vec![envelope; 200]).await {
        let state = submitted.unwrap().receipt.committed(super::support::soon()).await;
        let ReceiptState::Done(receipt) = state else { panic!("{state:?}") };
        assert_eq!(receipt.bill_seq, Some(1));
    }
    assert_eq!(chain.committed().state.account(&account.address()).unwrap().bill_count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signature_of_the_same_body_is_no_second_mutation() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let account = Account::new(1);
    let mutation = account.mutation(now(&chain), 1, vec![super::support::put("k", b"v")]);
    let body = db3_proto::encode_body(&mutation);
    let signed = |scheme| {
        let envelope = db3_primitives::sign_mutation(&account.key, &mutation, body.clone(), scheme);
        bytes::Bytes::from(db3_proto::encode_envelope(&envelope))
    };
    let raw = commit(&chain, signed(db3_primitives::Scheme::Raw)).await;
    let text = commit(&chain, signed(db3_primitives::Scheme::Eip191)).await;
    assert_eq!(raw, text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_chain_makes_no_blocks() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let mut account = Account::new(1);
    let receipt = commit(&chain, account.put(now(&chain), "k", 1)).await;
    // Content at h, its header at h + 1, and then nothing: the empty block changed no root.
    until("a header for the new root", || chain.committed().height.get() > receipt.height.get()).await;
    let height = chain.committed().height;
    let epoch = chain.committed().state.open_epoch();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    if chain.committed().state.open_epoch() == epoch {
        assert_eq!(chain.committed().height, height);
        assert_eq!(height.get(), receipt.height.get() + 1);
    }
    let summary = chain.store().summary(height).unwrap().unwrap();
    assert_eq!((summary.transactions, summary.app_hash), (0, summary.root));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_of_nonces_is_executed_in_order_within_a_block() {
    let (_folder, home) = home();
    let chain = ChainHandle::start(crate::ChainConfig { block_ms: 50, ..settings(&home) }).await.unwrap();
    let account = Account::new(1);
    let time = now(&chain);
    let envelopes: Vec<_> = (1..=100).rev().map(|nonce| account.put_with_nonce(time, "k", 1, nonce)).collect();
    let mut receipts = Vec::new();
    for submitted in chain.submit_batch(envelopes).await {
        let state = submitted.unwrap().receipt.committed(super::support::soon()).await;
        let ReceiptState::Done(receipt) = state else { panic!("{state:?}") };
        receipts.push(receipt);
    }
    receipts.sort_by_key(|receipt| (receipt.height, receipt.index));
    for pair in receipts.windows(2) {
        assert!(pair[0].height < pair[1].height || pair[0].nonce < pair[1].nonce);
    }
    // Every write of the one record has its own version.
    let versions: Vec<_> = receipts.iter().map(|receipt| receipt.versions[0]).collect();
    assert_eq!(versions, (1..=100).collect::<Vec<_>>());
}

async fn read(cursor: &mut EventCursor, until: u64) -> Vec<(u64, Vec<(u64, String, u64)>)> {
    let mut seen = Vec::new();
    while cursor.next_height().get() <= until {
        let event = cursor.next().await.unwrap();
        let changes = event.mutations.iter().flat_map(|mutation| {
            mutation.changes().map(|change| {
                let key = String::from_utf8(change.key.as_bytes().to_vec()).unwrap();
                (mutation.receipt.nonce.get(), key, change.version)
            })
        });
        seen.push((event.height().get(), changes.collect()));
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_who_was_away_sees_the_same_events() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let mut account = Account::new(1);
    let mut live = chain.subscribe(Some(0.into()));
    for number in 0..40 {
        commit(&chain, account.put(now(&chain), &format!("k{number}"), 2)).await;
    }
    let last = chain.committed().height.get();
    let seen = read(&mut live, last).await;
    assert_eq!(seen.iter().map(|(_, changes)| changes.len()).sum::<usize>(), 80);
    let late = read(&mut chain.subscribe(Some(0.into())), last).await;
    assert_eq!(late, seen);
    chain.shutdown().await;
    drop((chain, live));
    let chain = start(&home).await;
    assert_eq!(read(&mut chain.subscribe(Some(0.into())), last).await, seen);
    let rest = read(&mut chain.subscribe(Some(seen[10].0.into())), last).await;
    assert_eq!(rest, seen[11..].to_vec());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_version_outlives_the_newest_ones() {
    let (_folder, home) = home();
    let config = crate::ChainConfig { versions_kept: 4, ..settings(&home) };
    let chain = ChainHandle::start(config).await.unwrap();
    let mut account = Account::new(1);
    let pinned = chain.provable();
    let loose = commit(&chain, account.put(now(&chain), "k", 1)).await.height;
    chain.pin(&pinned);
    for number in 0..8 {
        commit(&chain, account.put(now(&chain), &format!("k{number}"), 1)).await;
    }
    assert_eq!(chain.version_at(pinned.height).unwrap().root, pinned.root);
    let error = chain.version_at(loose).unwrap_err();
    assert_eq!(error.name(), "HEIGHT_UNAVAILABLE");
    let ahead = chain.version_at(chain.committed().height.next().unwrap().next().unwrap()).unwrap_err();
    assert_eq!(ahead.name(), "HEIGHT_UNAVAILABLE");
}

#[tokio::test(flavor = "multi_thread")]
async fn measurements_are_written_as_text() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    commit(&chain, Account::new(1).put(now(&chain), "k", 1)).await;
    let _ = chain.submit(bytes::Bytes::from_static(b"nonsense")).await;
    let text = chain.metrics_text();
    for line in ["db3_mutations_total{chain_id=\"test-shard-0\"} 1", "db3_block_seconds_count", "ENVELOPE_MALFORMED"] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}
