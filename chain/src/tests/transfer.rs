//! States that leave a folder and enter another.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use db3_light_client::{LightClient, Options, UnixTime};
use db3_primitives::LogEntry;
use prost::Message as _;
use tendermint_proto::v0_38::types::LightBlock;

use super::support::{Account, EPOCH_SECS, commit, home, now, settings, settlement, start, until};
use crate::transfer::{ImportInput, TransferError, export, import, snapshot};
use crate::{BillFilter, ChainHandle, ShardMachine, init};

/// What the outbox of a grown chain holds: three statements and the close of their epoch.
const ENTRIES: u64 = 4;

/// The outbox and the epochs that it closes came along.
fn check_outbox(chain: &ChainHandle) {
    let version = chain.committed();
    let page = chain.outbox(&version, &settlement(), 0, 100, usize::MAX).unwrap();
    assert!(page.size >= ENTRIES && page.entries.len() as u64 == page.size);
    let closes = page.entries.iter().filter_map(|entry| match LogEntry::from_bytes(entry).unwrap() {
        LogEntry::EpochClose(close) => Some(close),
        LogEntry::Statement(_) => None,
    });
    let mut rows = chain.store().epochs(None, 100).unwrap();
    rows.reverse();
    assert_eq!(rows.iter().map(|row| row.close).collect::<Vec<_>>(), closes.collect::<Vec<_>>());
    for row in rows {
        assert_eq!(chain.epoch(row.close.first).unwrap().unwrap(), row);
        assert!(row.height <= version.height);
    }
}

async fn grown() -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, home) = home();
    let chain = start(&home).await;
    let mut accounts: Vec<_> = (1..=3).map(Account::new).collect();
    for account in &mut accounts {
        commit(&chain, account.put(now(&chain), "k", 40)).await;
    }
    let (open, _) = chain.committed().state.open_epoch();
    chain.advance_time(EPOCH_SECS).unwrap();
    until("the close", || chain.provable().state.epoch_hash(open).is_some()).await;
    commit(&chain, accounts[0].put(now(&chain), "after", 1)).await;
    chain.shutdown().await;
    (folder, home)
}

fn exported(home: &Path) -> Vec<u8> {
    let mut lines = Vec::new();
    export::<ShardMachine>(settings(home), &mut lines).unwrap();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_chain_continues_from_an_exported_state() {
    let (folder, home) = grown().await;
    let lines = exported(&home);
    let copy = folder.path().join("imported");
    let input = ImportInput { settings: settings(&copy), operator: None, time: None };
    let genesis = import::<ShardMachine>(&copy, &mut Cursor::new(&lines), &input).unwrap();
    let first = genesis.initial_height();
    let chain = start(&copy).await;
    check_outbox(&chain);
    let version = chain.version_at((first.get() - 1).into()).unwrap();
    assert_eq!(Some(version.root), genesis.app_hash());
    let mut account = Account::new(1);
    account.nonce = 3;
    let receipt = commit(&chain, account.put(now(&chain), "new", 1)).await;
    assert!(receipt.height >= first);
    assert_eq!(receipt.bill_seq, Some(3));
    let mut client = LightClient::from_root(chain.genesis().trust_root().unwrap(), Options::never_expires());
    let wall = UnixTime::new(i64::try_from(now(&chain)).unwrap() + 1, 0).unwrap();
    let header = client.verify(&chain.light_block(first).unwrap(), None, wall).unwrap();
    assert_eq!(header.app_hash, Some(version.root));
    drop((chain, version));
    // And again from its own folder.
    start(&copy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_export_is_refused() {
    let (folder, home) = grown().await;
    let text = String::from_utf8(exported(&home)).unwrap();
    let attempt = |name: &str, text: String| {
        let copy = folder.path().join(name);
        let input = ImportInput { settings: settings(&copy), operator: None, time: None };
        let error = import::<ShardMachine>(&copy, &mut Cursor::new(text), &input).unwrap_err();
        assert!(!crate::genesis_file(&copy).exists());
        error
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let value = changed[5].rfind('"').unwrap() - 1;
    let digit = if changed[5].as_bytes()[value] == b'0' { "1" } else { "0" };
    changed[5].replace_range(value..=value, digit);
    let error = attempt("value", changed.join("\n"));
    // It is the file that is wrong, and no folder of this machine.
    assert!(matches!(&error, TransferError::Malformed { at, .. } if at == "the leaves"), "{error}");
    let chain_id = lines[0].split('"').find(|word| word.contains("-shard-")).unwrap();
    let (network, _) = chain_id.split_once("-shard-").unwrap();
    let error = attempt("kind", text.replacen(chain_id, &format!("{network}-settlement"), 1));
    assert!(error.to_string().contains("settlement-node init --import"), "{error}");
    let error = attempt("name", text.replacen(chain_id, "nobody's", 1));
    assert!(matches!(error, TransferError::Malformed { .. }), "{error}");
    let error = attempt("entry", lines[..lines.len() - 1].join("\n"));
    assert!(error.to_string().contains("entries"), "{error}");
    // More than one epoch may have closed: the clock goes on.
    let entries = lines.iter().filter(|line| line.contains("\"entry\"")).count();
    assert!(entries as u64 >= ENTRIES);
    let header = lines[0].replace(&format!(r#""log_entries":"{entries}""#), r#""log_entries":"0""#);
    let leaves = lines.iter().filter(|line| line.contains("key")).copied();
    let error = attempt("outbox", std::iter::once(header.as_str()).chain(leaves).collect::<Vec<_>>().join("\n"));
    assert!(error.to_string().contains("outbox"), "{error}");
    let error = attempt("missing", [&lines[..5], &lines[6..]].concat().join("\n"));
    assert!(error.to_string().contains("leaves"), "{error}");
    let error = attempt("cut", text[..text.len() - 20].to_owned());
    assert!(error.to_string().contains(&format!("line {}", lines.len())), "{error}");
    assert!(matches!(attempt("empty", String::new()), TransferError::Malformed { .. }));
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .filter(|(name, _)| name != "blocks.bin" && name != "genesis.json")
        .collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_snapshot_is_the_chain_at_its_newest_block() {
    let (folder, home) = grown().await;
    let (path, manifest) = snapshot::make::<ShardMachine>(settings(&home)).unwrap();
    assert_eq!(
        snapshot::list(&snapshot::snapshots_folder(&home)).unwrap().whole,
        vec![(path.clone(), manifest.clone())]
    );
    assert_eq!(snapshot::make::<ShardMachine>(settings(&home)).unwrap().1, manifest);

    let copy = folder.path().join("restored");
    assert_eq!(snapshot::restore::<ShardMachine>(&copy, &path, &settings(&copy)).unwrap(), manifest);
    // The key is not in it, and is moved by hand.
    assert!(ChainHandle::start(settings(&copy)).await.is_err());
    fs::copy(home.join("config/priv_validator_key.json"), copy.join("config/priv_validator_key.json")).unwrap();
    let original = start(&home).await;
    let (tip, root) = (original.committed().height, original.committed().root);
    let entries = original.outbox(&original.provable(), &settlement(), 0, 100, usize::MAX).unwrap();
    original.shutdown().await;
    drop(original);
    let chain = start(&copy).await;
    assert_eq!(chain.store().summary(tip).unwrap().unwrap().root, root);
    let restored =
        chain.outbox(&chain.version_at(tip.get().saturating_sub(1).into()).unwrap(), &settlement(), 0, 100, usize::MAX);
    assert_eq!(restored.unwrap().entries, entries.entries);
    check_outbox(&chain);
    let mut account = Account::new(1);
    account.nonce = 3;
    let receipt = commit(&chain, account.put(now(&chain), "on", 1)).await;
    // Its older bills are not here, the new one is found all the same.
    let filter =
        BillFilter { account: Some(account.address()), height_max: Some(receipt.height), ..BillFilter::default() };
    let (bills, _) = chain.store().bills(&filter, None, 10, 100).unwrap();
    assert_eq!(bills.iter().map(|row| row.bill.seq).collect::<Vec<_>>(), [receipt.bill_seq.unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_the_same_bytes_on_every_node() {
    let (folder, home) = grown().await;
    let copy = folder.path().join("copy");
    super::support::copy_folder(&home, &copy);
    let (first, _) = snapshot::make::<ShardMachine>(settings(&home)).unwrap();
    let (second, _) = snapshot::make::<ShardMachine>(settings(&copy)).unwrap();
    let (first, second) = (files(&first), files(&second));
    assert!(first.len() >= 3);
    assert_eq!(first, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_snapshot_is_refused() {
    let (folder, home) = grown().await;
    let (path, manifest) = snapshot::make::<ShardMachine>(settings(&home)).unwrap();
    let victims = [manifest.state[0].file.clone(), manifest.logs[0].chunks[0].file.clone(), "manifest.json".to_owned()];
    for (number, victim) in victims.into_iter().enumerate() {
        let file = path.join(&victim);
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        let at = bad.len() / 2;
        bad[at] ^= 1;
        fs::write(&file, bad).unwrap();
        let copy = folder.path().join(format!("restored{number}"));
        let error = snapshot::restore::<ShardMachine>(&copy, &path, &settings(&copy)).unwrap_err();
        assert!(!crate::genesis_file(&copy).exists(), "{victim}: {error}");
        fs::write(&file, good).unwrap();
    }
}

/// The parts of `blocks.bin`: block, light block, and so on.
fn parts(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (part, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        parts.push(part.to_vec());
        bytes = rest;
    }
    parts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_whose_next_header_is_missing_or_unsigned_is_refused() {
    let (folder, home) = grown().await;
    let (path, manifest) = snapshot::make::<ShardMachine>(settings(&home)).unwrap();
    let file = path.join("blocks.bin");
    let good = parts(&fs::read(&file).unwrap());
    let attempt = |name: &str, parts: &[Vec<u8>]| {
        let bytes = parts
            .iter()
            .flat_map(|part| [&u32::try_from(part.len()).unwrap().to_be_bytes()[..], part.as_slice()].concat());
        fs::write(&file, bytes.collect::<Vec<_>>()).unwrap();
        let copy = folder.path().join(name);
        let error = snapshot::restore::<ShardMachine>(&copy, &path, &settings(&copy)).unwrap_err();
        assert!(!crate::genesis_file(&copy).exists());
        error.to_string()
    };
    assert!(attempt("missing", &good[..2]).contains("is missing"));
    let mut unsigned = good.clone();
    let mut light = LightBlock::decode(good[3].as_slice()).unwrap();
    let commit = light.signed_header.as_mut().unwrap().commit.as_mut().unwrap();
    commit.signatures[0].signature[0] ^= 1;
    unsigned[3] = light.encode_to_vec();
    assert!(attempt("unsigned", &unsigned).contains("not the chain's"));
    // Another chain's block, whole and signed.
    let (_other_folder, other) = grown().await;
    let (other_path, _) = snapshot::make::<ShardMachine>(settings(&other)).unwrap();
    let foreign = parts(&fs::read(other_path.join("blocks.bin")).unwrap());
    assert!(attempt("foreign", &foreign).contains("blocks.bin"));
    // A chunk that has grown is not read.
    let chunk = path.join(&manifest.state[0].file);
    fs::write(&chunk, [fs::read(&chunk).unwrap(), vec![0]].concat()).unwrap();
    assert!(attempt("longer", &good).contains("the manifest says"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_the_genesis_state_is_restored() {
    let (folder, home) = home();
    start(&home).await.shutdown().await;
    let (path, _) = snapshot::make::<ShardMachine>(settings(&home)).unwrap();
    let copy = folder.path().join("restored");
    snapshot::restore::<ShardMachine>(&copy, &path, &settings(&copy)).unwrap();
    fs::copy(home.join("config/priv_validator_key.json"), copy.join("config/priv_validator_key.json")).unwrap();
    let chain = start(&copy).await;
    commit(&chain, Account::new(1).put(now(&chain), "k", 1)).await;
}

#[test]
fn nothing_is_made_over_a_chain_that_is_there() {
    let (_folder, home) = home();
    let input = super::support::Settlement::new().shard(None);
    assert!(init(&home, &input, &settings(&home)).is_err());
    let config = settings(&home);
    assert!(
        import::<ShardMachine>(
            &home,
            &mut Cursor::new(""),
            &ImportInput { settings: config.clone(), operator: None, time: None }
        )
        .is_err()
    );
    assert!(snapshot::restore::<ShardMachine>(&home, Path::new("nowhere"), &config).is_err());
}

#[test]
fn settings_are_read_from_the_file_the_environment_and_flags() {
    let (_folder, home) = home();
    let config = crate::ChainConfig::load(&home, toml::Table::new()).unwrap();
    assert_eq!(config, settings(&home));
    let flags = "block_ms = 250".parse().unwrap();
    assert_eq!(crate::ChainConfig::load(&home, flags).unwrap().block_ms, 250);
    let unknown = "speed = 9".parse().unwrap();
    assert!(crate::ChainConfig::load(&home, unknown).unwrap_err().to_string().contains("speed"));
    let file = crate::config::config_file(&home);
    let before = fs::read_to_string(&file).unwrap_or_default();
    for wrong in ["blocks_kept = 0\n", "[chian]\nblocks_kept = 0\n"] {
        fs::write(&file, format!("{wrong}{before}")).unwrap();
        let error = crate::ChainConfig::load(&home, toml::Table::new()).unwrap_err().to_string();
        let name = wrong.trim_start_matches('[').split([' ', ']']).next().unwrap();
        assert!(error.contains(name) && error.contains("[chain]"), "{error}");
    }
    fs::write(&file, before).unwrap();
    let range = "block_ms = 0".parse().unwrap();
    assert!(crate::ChainConfig::load(&home, range).unwrap_err().to_string().contains("1 to 60000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_no_block_has_is_refused_before_anything_is_read() {
    let (folder, home) = home();
    let (path, _) = snapshot::make::<ShardMachine>(settings(&home)).unwrap();
    let blocks = path.join("blocks.bin");
    let good = fs::read(&blocks).unwrap();
    for (number, bytes) in [vec![0xff; 4], good[..good.len() - 1].to_vec(), good[..2].to_vec()].into_iter().enumerate()
    {
        fs::write(&blocks, bytes).unwrap();
        let copy = folder.path().join(format!("copy{number}"));
        let error = snapshot::restore::<ShardMachine>(&copy, &path, &settings(&copy)).unwrap_err();
        assert!(error.to_string().starts_with("blocks.bin"), "{error}");
    }
}
