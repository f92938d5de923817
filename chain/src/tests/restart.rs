//! Stopping, copying, damaging and starting again.

use std::path::Path;

use rocksdb::{DB, IteratorMode, Options};

use super::support::{Account, commit, copy_folder, home, now, settings, start, start_with};
use crate::{ChainConfig, ChainHandle, ReceiptState, ShardMachine, StartError, StoreError, audit};

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_goes_on_where_it_stopped() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let mut account = Account::new(1);
    let envelope = account.put(now(&chain), "first", 3);
    let receipt = commit(&chain, envelope.clone()).await;
    let (height, root) = (chain.committed().height, chain.committed().root);
    chain.shutdown().await;
    assert_eq!(chain.stopped().await, crate::StopReason::Shutdown);
    drop(chain);

    let chain = start(&home).await;
    assert!(chain.committed().height >= height);
    assert_eq!(chain.version_at(receipt.height).unwrap().root, root);
    // Its same bytes get the receipt that they had.
    assert_eq!(commit(&chain, envelope).await, receipt);
    match chain.receipt(&receipt.id).unwrap() {
        ReceiptState::Done(stored) => assert_eq!(*stored, *receipt),
        other => panic!("{other:?}"),
    }
    let next = commit(&chain, account.put(now(&chain), "second", 1)).await;
    assert_eq!(next.bill_seq, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_folder_in_the_middle_of_work_is_a_whole_chain() {
    let (folder, home) = home();
    let chain = start(&home).await;
    let mut account = Account::new(1);
    for round in 0..6 {
        let mut acknowledged = Vec::new();
        for number in 0..9 {
            acknowledged.push(commit(&chain, account.put(now(&chain), &format!("{round}-{number}"), 2)).await);
        }
        // Work goes on while the files are copied.
        let copy = folder.path().join(format!("copy{round}"));
        let copying = tokio::task::spawn_blocking({
            let (home, copy) = (home.clone(), copy.clone());
            move || copy_folder(&home, &copy)
        });
        let mut busy = Account::new(u8::try_from(round).unwrap() + 2);
        for number in 0..5 {
            commit(&chain, busy.put(now(&chain), &format!("busy{number}"), 1)).await;
        }
        copying.await.unwrap();
        let restored = match start_with(settings(&copy)).await {
            Ok(restored) => restored,
            // Files that were replaced or written on while they were copied are not what a crash leaves, and are told of.
            Err(StartError::Store(
                StoreError::Database { .. } | StoreError::Damaged { .. } | StoreError::CutOff { .. },
            )) => continue,
            Err(error) => panic!("{error}"),
        };
        for receipt in &acknowledged {
            let ReceiptState::Done(stored) = restored.receipt(&receipt.id).unwrap() else { panic!("lost {receipt:?}") };
            assert_eq!(stored, *receipt);
        }
        let last = acknowledged.last().unwrap().height;
        match restored.version_at(last) {
            Ok(version) => assert_eq!(version.root, chain.store().summary(last).unwrap().unwrap().root),
            // The copy was slow, and the snapshot in it is of a later block.
            Err(error) => assert!(restored.earliest() > last, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_from_genesis_gives_the_same_roots() {
    let (_folder, home) = home();
    let chain = start_with(ChainConfig { snapshot_interval_blocks: 1_000, ..settings(&home) }).await.unwrap();
    let mut accounts: Vec<_> = (1..=3).map(Account::new).collect();
    for round in 0..10 {
        for account in &mut accounts {
            commit(&chain, account.put(now(&chain), &format!("k{}", round % 4), 2)).await;
        }
        if round == 5 {
            chain.advance_time(super::support::EPOCH_SECS).unwrap();
        }
    }
    let committed = chain.committed();
    let config = chain.config().clone();
    chain.shutdown().await;
    drop(chain);
    drop(committed);
    let short = audit::check::<ShardMachine>(&config, false).unwrap();
    let long = audit::check::<ShardMachine>(&config, true).unwrap();
    assert_eq!((long.from.get(), long.mutations, long.pruned), (0, 30, false));
    assert_eq!((short.height, short.root, short.leaves), (long.height, long.root, long.leaves));
    assert!(short.mutations <= long.mutations);
    assert_eq!(long.headers_compared, long.height.get());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_on_the_same_folder_says_so() {
    let (_folder, home) = home();
    let chain = start(&home).await;
    let error = ChainHandle::start(settings(&home)).await.err().unwrap();
    assert!(error.is_already_running() && !error.is_fatal());
    let text = error.to_string();
    assert!(text.contains(&std::process::id().to_string()) && text.contains("node"), "{text}");
    drop(chain);
    start(&home).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_validators_key_is_refused() {
    let (_folder, home) = home();
    db3_comet::keys::new_validator_key(&home).unwrap();
    let error = start_with(settings(&home)).await.err().unwrap();
    assert!(matches!(error, StartError::NotTheValidator { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chains_folder_is_refused() {
    let (_folder, home) = home();
    start(&home).await.shutdown().await;
    let path = crate::genesis_file(&home);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"test-", "\"prod-").replace("\"test\"", "\"prod\"")).unwrap();
    let error = start_with(settings(&home)).await.err().unwrap();
    assert!(matches!(error, StartError::Store(StoreError::OtherChain { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_another_layout_are_refused_by_name() {
    let (_folder, home) = home();
    tamper(&home, |_| ());
    let mut options = Options::default();
    options.create_missing_column_families(true);
    let data = home.join("data");
    let families: Vec<_> = DB::list_cf(&options, &data).unwrap().into_iter().chain(["outbox".to_owned()]).collect();
    drop(DB::open_cf(&options, &data, families).unwrap());
    let error = start_with(settings(&home)).await.err().unwrap();
    assert!(matches!(error, StartError::Store(StoreError::OtherChain { .. })), "{error}");
    assert!(error.to_string().contains("another version"), "{error}");
}

/// Opens the database of a stopped chain with all its families.
fn tamper(home: &Path, change: impl FnOnce(&DB)) {
    let options = Options::default();
    let data = home.join("data");
    let families = DB::list_cf(&options, &data).unwrap();
    change(&DB::open_cf(&options, &data, families).unwrap());
}

async fn stopped_home() -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, home) = home();
    let chain = start(&home).await;
    let mut account = Account::new(1);
    for number in 0..5 {
        commit(&chain, account.put(now(&chain), &format!("k{number}"), 1)).await;
    }
    chain.shutdown().await;
    (folder, home)
}

async fn fatal_start(home: &Path) -> StoreError {
    let error = start_with(settings(home)).await.err().unwrap();
    assert!(error.is_fatal(), "{error}");
    match error {
        StartError::Store(error) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_leaf_of_the_snapshot_is_fatal() {
    let (_folder, home) = stopped_home().await;
    tamper(&home, |db| {
        let family = db.cf_handle("snapshot").unwrap();
        let (key, mut value) = db
            .iterator_cf(family, IteratorMode::Start)
            .map(Result::unwrap)
            .find(|(key, _)| key.starts_with(b"rec/"))
            .map(|(key, value)| (key, value.into_vec()))
            .unwrap();
        *value.last_mut().unwrap() ^= 1;
        db.put_cf(family, key, value).unwrap();
    });
    assert!(matches!(fatal_start(&home).await, StoreError::RootMismatch { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_block_is_fatal() {
    let (_folder, home) = stopped_home().await;
    tamper(&home, |db| {
        let family = db.cf_handle("blocks").unwrap();
        let (key, _) = db.iterator_cf(family, IteratorMode::End).next().unwrap().unwrap();
        db.delete_cf(family, key).unwrap();
    });
    // The newest one was acknowledged.
    let error = fatal_start(&home).await;
    assert!(matches!(error, StoreError::CutOff { .. } | StoreError::Missing { what: "block", .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_block_is_fatal() {
    let (_folder, home) = stopped_home().await;
    tamper(&home, |db| {
        let family = db.cf_handle("blocks").unwrap();
        let (key, value) = db.iterator_cf(family, IteratorMode::End).next().unwrap().unwrap();
        db.put_cf(family, key, &value[..value.len() / 2]).unwrap();
    });
    assert!(matches!(fatal_start(&home).await, StoreError::Damaged { what: "block", .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_block_is_fatal() {
    let (folder, home) = home();
    let chain = start_with(ChainConfig { snapshot_interval_blocks: 1_000, ..settings(&home) }).await.unwrap();
    let mut account = Account::new(1);
    let receipt = commit(&chain, account.put(now(&chain), "k", 1)).await;
    commit(&chain, account.put(now(&chain), "l", 1)).await;
    // A copy, because stopping would bring the snapshot past the block.
    let copy = folder.path().join("copy");
    chain.store().sync().unwrap();
    copy_folder(&home, &copy);
    tamper(&copy, |db| {
        let family = db.cf_handle("blocks").unwrap();
        let key = receipt.height.get().to_be_bytes();
        let mut value = db.get_cf(family, key).unwrap().unwrap();
        // The value that the block's mutation writes.
        let at = value.windows(10).position(|window| window == b"value of k").unwrap();
        value[at] ^= 1;
        db.put_cf(family, key, value).unwrap();
    });
    assert!(matches!(fatal_start(&copy).await, StoreError::RootMismatch { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_database_files_are_fatal_and_named() {
    let (folder, home) = stopped_home().await;
    let mut seen = 0;
    for entry in std::fs::read_dir(home.join("data")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // What says which of the other files belong to the database.
        let matters = name == "CURRENT" || name.starts_with("MANIFEST");
        if !matters {
            continue;
        }
        seen += 1;
        let copy = folder.path().join(format!("damaged-{name}"));
        copy_folder(&home, &copy);
        let file = copy.join("data").join(&name);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.iter_mut().take(40).for_each(|byte| *byte ^= 0x5a);
        std::fs::write(&file, bytes).unwrap();
        let error = fatal_start(&copy).await;
        // The database itself finds the first; of the second was noted what it must begin with.
        let found = matches!(error, StoreError::Database { .. } | StoreError::Damaged { .. });
        assert!(found && error.to_string().contains("database"), "{name}: {error}");
    }
    assert_eq!(seen, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_blocks_go_and_bills_stay() {
    let (_folder, home) = home();
    let config = ChainConfig { blocks_kept: 10, snapshot_interval_blocks: 5, ..settings(&home) };
    let chain = start_with(config.clone()).await.unwrap();
    let mut account = Account::new(1);
    let first = commit(&chain, account.put(now(&chain), "first", 1)).await;
    for number in 0..30 {
        commit(&chain, account.put(now(&chain), &format!("k{number}"), 1)).await;
    }
    super::support::until("pruned", || chain.store().block_range().unwrap().unwrap().0.get() > 5).await;
    assert!(chain.store().block(first.height).unwrap().is_none());
    assert_eq!(chain.store().bill(&account.address(), 1).unwrap().unwrap().bill.reference, *first.id.as_bytes());
    assert!(matches!(chain.receipt(&first.id).unwrap(), ReceiptState::Done(_)));
    assert_eq!(chain.store().summary(first.height).unwrap().unwrap().applied, 1);
    chain.shutdown().await;
    drop(chain);
    let chain = start_with(config).await.unwrap();
    let error = chain.block_event(first.height).unwrap_err();
    assert!(error.to_string().contains("not available"), "{error}");
    commit(&chain, account.put(now(&chain), "after", 1)).await;
}
