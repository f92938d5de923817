//! Files that are not what was written. Either the chain comes up with what it had, or it says which file is damaged
//! and what helps; no reader ever gets something else.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use db3_primitives::hash::sha256;
use db3_primitives::{Hash32, Height, RecordKey};

use super::support::{Account, commit, copy_folder, home, now, settings, start, start_with};
use crate::transfer::snapshot;
use crate::{ChainConfig, ChainHandle, ShardMachine, StartError, StoreError, StoredReceipt, audit};

/// What a chain had acknowledged when its files were copied.
struct Truth {
    _folder: tempfile::TempDir,
    /// The files, as a process leaves them that is killed.
    home: PathBuf,
    height: Height,
    root: Hash32,
    receipts: Vec<Arc<StoredReceipt>>,
    keys: Vec<String>,
}

/// A chain with tables on the disk, a snapshot, and a log with blocks after it.
async fn grown() -> Truth {
    let (folder, home) = home();
    let mut account = Account::new(1);
    let (mut receipts, mut keys) = (Vec::new(), Vec::new());
    // What a start finds in the log becomes tables.
    for round in 0..3 {
        let chain = start(&home).await;
        for number in 0..9 {
            keys.push(format!("{round}-{number}"));
            receipts.push(commit(&chain, account.put(now(&chain), &keys[keys.len() - 1], 2)).await);
        }
        if round < 2 {
            chain.shutdown().await;
            continue;
        }
        chain.make_snapshot().unwrap();
        for number in 0..2 {
            keys.push(format!("last-{number}"));
            receipts.push(commit(&chain, account.put(now(&chain), &keys[keys.len() - 1], 2)).await);
        }
        let copy = folder.path().join("copy");
        // The block that gives the last root its header may still come meanwhile: the copy is of one height.
        let (height, root) = loop {
            let before = (chain.committed().height, chain.committed().root);
            copy_folder(&home, &copy);
            if before == (chain.committed().height, chain.committed().root) {
                break before;
            }
            fs::remove_dir_all(&copy).unwrap();
        };
        chain.shutdown().await;
        return Truth { _folder: folder, home: copy, height, root, receipts, keys };
    }
    unreachable!("the third round returns")
}

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 += 1;
        let hash = sha256(&[&self.0.to_be_bytes()]);
        usize::try_from(u64::from_be_bytes(hash[..8].try_into().unwrap()) % bound.max(1) as u64).unwrap()
    }
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Cut,
    Flip,
    Overwrite,
    Zeros,
    Empty,
    Remove,
}

const DAMAGES: [Damage; 6] =
    [Damage::Cut, Damage::Flip, Damage::Overwrite, Damage::Zeros, Damage::Empty, Damage::Remove];

fn damage(file: &Path, damage: Damage, random: &mut Random) -> String {
    let mut bytes = fs::read(file).unwrap();
    let at = random.below(bytes.len());
    let end = (at + 64).min(bytes.len());
    match damage {
        Damage::Cut => bytes.truncate(at),
        Damage::Flip if bytes.is_empty() => {}
        Damage::Flip => bytes[at] ^= 1 << random.below(8),
        Damage::Overwrite => {
            bytes[at..end].iter_mut().for_each(|byte| *byte = u8::try_from(random.below(256)).unwrap());
        }
        Damage::Zeros => bytes[at..].fill(0),
        Damage::Empty => bytes.clear(),
        Damage::Remove => {
            fs::remove_file(file).unwrap();
            return "removed".to_owned();
        }
    }
    fs::write(file, &bytes).unwrap();
    format!("{damage:?} at {at}")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Whether an error says what is wrong and what helps.
fn assert_told(error: &StoreError, what: &str) {
    let text = error.to_string();
    let named = ["damaged", "see that the disk", "has changed", " is in use"].iter().any(|part| text.contains(part));
    let remedy = ["backup", "remove it, look with `check`", "put the network's file back"];
    assert!(named && remedy.iter().any(|part| text.contains(part)), "{what}: {text}");
}

/// The chain has everything that it acknowledged, or a reader is told that it cannot be read.
fn assert_whole(chain: &ChainHandle, truth: &Truth, what: &str) {
    let committed = chain.committed();
    assert!(committed.height >= truth.height, "{what}: from {} back to {}", truth.height, committed.height);
    match chain.store().summary(truth.height) {
        Ok(summary) => assert_eq!(summary.unwrap().root, truth.root, "{what}"),
        Err(error) => assert_told(&error, what),
    }
    let account = Account::new(1);
    for receipt in &truth.receipts {
        match chain.store().receipt(&receipt.id) {
            Ok(found) => assert_eq!(found.as_ref(), Some(receipt.as_ref()), "{what}"),
            Err(error) => assert_told(&error, what),
        }
        match chain.store().bill(&account.address(), receipt.bill_seq.unwrap()) {
            Ok(found) => assert_eq!(found.unwrap().bill.reference, *receipt.id.as_bytes(), "{what}"),
            Err(error) => assert_told(&error, what),
        }
        match chain.store().block(receipt.height) {
            Ok(found) => assert!(!found.unwrap().data.unwrap().txs.is_empty(), "{what}"),
            Err(error) => assert_told(&error, what),
        }
    }
    for key in &truth.keys {
        let record = RecordKey::new(format!("{key}/0").into_bytes()).unwrap();
        let (_, value) = committed.state.record(&account.namespace(), &"t".parse().unwrap(), &record).unwrap();
        assert_eq!(value, format!("value of {key}").as_bytes(), "{what}");
    }
}

/// Starts a chain; none, and what it says, where it does not start.
async fn try_start(home: &Path) -> Result<ChainHandle, StartError> {
    start_with(settings(home)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_damaged_is_named_and_never_served() {
    let truth = grown().await;
    let seed = std::env::var("DB3_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64);
    let rounds = std::env::var("DB3_TEST_DAMAGE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut random = Random(seed << 32);
    let (mut refused, mut whole) = (0, 0);
    // Settings that a person writes may be changed by one; a changed key is told by name elsewhere.
    let named = |path: &PathBuf| !path.ends_with("node.toml") && !path.ends_with("priv_validator_key.json");
    let paths: Vec<_> = files(&truth.home).into_iter().filter(named).collect();
    for path in (0..rounds).flat_map(|_| &paths) {
        for kind in DAMAGES {
            let folder = tempfile::tempdir().unwrap();
            let home = folder.path().join("node");
            copy_folder(&truth.home, &home);
            let name = path.strip_prefix(&truth.home).unwrap();
            let what = format!("seed {seed}: {} {}", name.display(), damage(&home.join(name), kind, &mut random));
            match try_start(&home).await {
                Ok(chain) => {
                    whole += 1;
                    assert_whole(&chain, &truth, &what);
                }
                Err(StartError::Genesis(error)) => {
                    assert!(error.to_string().contains("genesis.json"), "{what}: {error}");
                }
                Err(StartError::Store(error @ StoreError::OtherChain { .. })) => {
                    assert!(name.ends_with("genesis.json"), "{what}: {error}");
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.is_fatal(), "{what}: {error}");
                    // Found when the database first wrote to it.
                    if matches!(&error, StartError::Fatal(error) if error.to_string().contains("files are damaged")) {
                        continue;
                    }
                    let StartError::Store(error) = &error else { panic!("{what}: {error}") };
                    assert_told(error, &what);
                }
            }
        }
    }
    println!("seed {seed}: {} files, {refused} refused, {whole} whole", paths.len());
    assert!(refused > 20 && whole > 20, "{refused} refused, {whole} whole");
}

/// The one log that was being written: the newest.
fn newest_log(home: &Path) -> PathBuf {
    let logs = files(&home.join("data")).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "log"));
    logs.max_by_key(|path| path.file_stem().unwrap().to_string_lossy().parse::<u64>().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_what_was_acknowledged_is_never_a_younger_chain() {
    let truth = grown().await;
    let bytes = fs::metadata(newest_log(&truth.home)).unwrap().len();
    let mut cut_off = 0;
    for part in 0..24 {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("node");
        copy_folder(&truth.home, &home);
        let file = fs::File::options().write(true).open(newest_log(&home)).unwrap();
        file.set_len(bytes * part / 24).unwrap();
        match try_start(&home).await {
            Ok(chain) => assert_whole(&chain, &truth, &format!("{part} of 24")),
            Err(StartError::Store(StoreError::CutOff { found, acknowledged, .. })) => {
                cut_off += 1;
                assert!(found < acknowledged && acknowledged == truth.height.get(), "{part} of 24");
            }
            Err(error) => panic!("{part} of 24: {error}"),
        }
        // It stays refused: the database has made tables of what was left.
        if part == 12 {
            assert!(matches!(try_start(&home).await.err(), Some(StartError::Store(StoreError::CutOff { .. }))));
        }
    }
    assert!(cut_off > 12, "{cut_off}");
}

/// The list of the database's files.
fn manifest(home: &Path) -> PathBuf {
    let name = fs::read_to_string(home.join("data/CURRENT")).unwrap();
    home.join("data").join(name.trim_end())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_files_that_lost_its_end_is_never_a_younger_database() {
    let truth = grown().await;
    let bytes = fs::read(manifest(&truth.home)).unwrap();
    assert!(bytes.len() > 1_000);
    for part in 0..24 {
        for zeros in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let home = folder.path().join("node");
            copy_folder(&truth.home, &home);
            let at = bytes.len() * part / 24;
            let mut damaged = bytes[..at].to_vec();
            damaged.resize(if zeros { bytes.len() } else { at }, 0);
            fs::write(manifest(&home), damaged).unwrap();
            let what = format!("{part} of 24, zeros: {zeros}");
            let Err(StartError::Store(error)) = try_start(&home).await else { panic!("{what}: it starts") };
            assert_told(&error, &what);
            assert!(error.to_string().contains("MANIFEST-"), "{what}: {error}");
            // Nothing was touched: with its end it is whole.
            if part == 12 {
                fs::write(manifest(&home), &bytes).unwrap();
                let chain = try_start(&home).await.unwrap();
                assert_whole(&chain, &truth, &what);
                chain.shutdown().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_its_database_is_no_new_chain() {
    let truth = grown().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, remove) in [("CURRENT", true), ("everything", false)] {
        let home = folder.path().join(name);
        copy_folder(&truth.home, &home);
        if remove {
            fs::remove_file(home.join("data").join(name)).unwrap();
        } else {
            fs::remove_dir_all(home.join("data")).unwrap();
        }
        let error = try_start(&home).await.err().unwrap();
        assert!(error.is_fatal() && error.to_string().contains(home.join("data").to_str().unwrap()), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_genesis_is_refused_until_it_is_put_back() {
    let truth = grown().await;
    let path = crate::genesis_file(&truth.home);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n")).unwrap();
    let error = try_start(&truth.home).await.err().unwrap();
    assert!(matches!(error, StartError::Store(StoreError::OtherGenesis { .. })), "{error}");
    assert!(error.to_string().contains("put the network's file back"), "{error}");
    fs::write(&path, text).unwrap();
    assert_whole(&try_start(&truth.home).await.unwrap(), &truth, "put back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_finds_a_flipped_bit_in_any_table() {
    let truth = grown().await;
    let report = audit::check::<ShardMachine>(&settings(&truth.home), false).unwrap();
    assert!(report.rows > 100, "{report:?}");
    let is_table = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "sst");
    let mut found = 0;
    for path in files(&truth.home.join("data")).into_iter().filter(is_table) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("node");
        copy_folder(&truth.home, &home);
        let file = home.join(path.strip_prefix(&truth.home).unwrap());
        let mut bytes = fs::read(&file).unwrap();
        // The first block of a table holds rows.
        bytes[16] ^= 4;
        fs::write(&file, bytes).unwrap();
        let error = audit::check::<ShardMachine>(&settings(&home), false).unwrap_err();
        assert!(error.is_fatal(), "{error}");
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(error.to_string().contains(name), "{name}: {error}");
        found += 1;
    }
    assert!(found > 5, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_errors_advise_works() {
    let truth = grown().await;
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged");
    copy_folder(&truth.home, &damaged);
    let (made, _) = snapshot::make::<ShardMachine>(settings(&damaged)).unwrap();
    fs::File::options().write(true).open(newest_log(&truth.home)).unwrap().set_len(100).unwrap();
    assert!(try_start(&truth.home).await.err().unwrap().to_string().contains("snapshot restore"));

    // A snapshot, and the key of the node that stopped.
    let restored = folder.path().join("restored");
    snapshot::restore::<ShardMachine>(&restored, &made, &settings(&restored)).unwrap();
    fs::copy(db3_comet::keys::validator_key_file(&damaged), db3_comet::keys::validator_key_file(&restored)).unwrap();
    let chain = try_start(&restored).await.unwrap();
    let mut account = Account::new(1);
    account.nonce = chain.committed().state.window(&account.address(), &account.namespace()).next().get();
    assert_eq!(account.nonce, truth.receipts.len() as u64 + 1, "nothing is missing");
    commit(&chain, account.put(now(&chain), "after", 1)).await;
    chain.shutdown().await;

    // What is left, knowingly.
    fs::remove_file(truth.home.join("newest")).unwrap();
    let chain = try_start(&truth.home).await.unwrap();
    assert!(chain.committed().height < truth.height);
    chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_data_without_their_newest_blocks_are_not_taken_for_the_newest() {
    let (folder, home) = home();
    let config = ChainConfig { snapshot_interval_blocks: 3, ..settings(&home) };
    let mut account = Account::new(1);
    let mut grow = async || {
        let chain = ChainHandle::start(config.clone()).await.unwrap();
        for number in 0..5 {
            commit(&chain, account.put(now(&chain), &format!("k{number}"), 1)).await;
        }
        chain.shutdown().await;
    };
    grow().await;
    let old = folder.path().join("old");
    copy_folder(&home, &old);
    grow().await;
    fs::remove_dir_all(home.join("data")).unwrap();
    copy_folder(&old.join("data"), &home.join("data"));
    let error = try_start(&home).await.err().unwrap();
    assert!(matches!(error, StartError::Store(StoreError::CutOff { .. })), "{error}");
    // With the file that was beside them they are a backup.
    fs::copy(old.join("newest"), home.join("newest")).unwrap();
    try_start(&home).await.unwrap().shutdown().await;
}
