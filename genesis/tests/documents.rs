//! Genesis documents and network files: what is written can be read, and what is wrong is refused by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::num::NonZeroU64;
use std::path::Path;

use db3_genesis::{
    ChainEntry, GenesisDocument, GenesisError, GenesisInput, NetworkFile, NetworkFileError, NetworkKind, ShardGenesis,
    Validator,
};
use db3_light_client::build::ValidatorKey;
use db3_primitives::{Address, BlockTime, Height, ShardId, Tai};
use db3_shard_state::ShardState;

fn epoch() -> NonZeroU64 {
    NonZeroU64::new(60).unwrap()
}

fn validator(seed: u8) -> Validator {
    Validator { pubkey: ValidatorKey::from_seed([seed; 32]).public_key(), power: 10 }
}

fn genesis(shard: u32) -> GenesisDocument {
    let lines = [(Address::new([7; 20]), Tai::new(5)), (Address::new([1; 20]), Tai::new(u128::MAX / 2))];
    GenesisDocument::new(GenesisInput {
        time: BlockTime { secs: 1_800_000_000, nanos: 5 },
        initial_height: Height::new(1),
        validators: vec![validator(3)],
        app_hash: None,
        app_state: ShardGenesis::new(&"devnet".parse().unwrap(), ShardId::new(shard), 2, epoch(), &lines),
    })
    .unwrap()
}

fn network() -> NetworkFile {
    NetworkFile {
        name: "devnet".parse().unwrap(),
        kind: NetworkKind::Devnet,
        epoch_secs: epoch(),
        keystore: Some("keystore".into()),
        chains: (0..2)
            .map(|shard| ChainEntry::of_shard(&genesis(shard), vec!["http://127.0.0.1:7301".into()]))
            .collect(),
    }
}

fn changed(from: &str, to: &str) -> Result<GenesisDocument, GenesisError> {
    let text = genesis(0).to_json().unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    GenesisDocument::from_json(text.replace(from, to).as_bytes(), Path::new("genesis.json"))
}

#[track_caller]
fn refused_field(result: Result<GenesisDocument, GenesisError>) -> String {
    match result {
        Err(GenesisError::Field { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_genesis_document_reads_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config/genesis.json");
    let written = genesis(1);
    written.save(&path).unwrap();
    let read = GenesisDocument::load(&path).unwrap();
    assert_eq!(read.to_json().unwrap(), written.to_json().unwrap());
    assert_eq!(read.state(), written.state());
    assert_eq!(read.chain_id().as_str(), "devnet-shard-1");
    assert_eq!(read.time(), BlockTime { secs: 1_800_000_000, nanos: 5 });
    assert_eq!(ShardState::genesis(read.state()).unwrap().root(), ShardState::genesis(written.state()).unwrap().root());
}

#[test]
fn a_genesis_document_is_what_cometbft_reads() {
    let json: serde_json::Value = serde_json::from_str(&genesis(0).to_json().unwrap()).unwrap();
    assert_eq!(json["initial_height"], "1");
    assert_eq!(json["app_hash"], "");
    assert_eq!(json["validators"][0]["pub_key"]["type"], "tendermint/PubKeyEd25519");
    assert_eq!(json["consensus_params"]["block"]["max_gas"], "-1");
    assert_eq!(json["consensus_params"]["version"]["app"], "1");
    assert_eq!(json["app_state"]["lines"][0]["ceiling_tai"], (u128::MAX / 2).to_string());
    assert_eq!(json["app_state"]["lease_epoch"], u64::MAX.to_string());
}

#[test]
fn a_wrong_genesis_field_is_named() {
    assert_eq!(refused_field(changed("\"devnet-shard-0\"", "\"devnet-shard-1\"")), "chain_id");
    assert_eq!(refused_field(changed("\"shards\": 2", "\"shards\": 0")), "app_state.shards");
    assert_eq!(refused_field(changed("\"shards\": 2", "\"shards\": 1025")), "app_state.shards");
    assert_eq!(refused_field(changed("\"network\": \"devnet\"", "\"network\": \"Dev Net\"")), "app_state.network");
    assert_eq!(refused_field(changed("\"epoch_secs\": 60", "\"epoch_secs\": 0")), "app_state.epoch_secs");
    assert_eq!(
        refused_field(changed("\"ceiling_tai\": \"5\"", "\"ceiling_tai\": \"-5\"")),
        "app_state.lines[1].ceiling_tai"
    );
    assert_eq!(refused_field(changed("\"initial_height\": \"1\"", "\"initial_height\": \"0\"")), "initial_height");
    assert_eq!(refused_field(changed("\"initial_height\": \"1\"", "\"initial_height\": \"7\"")), "app_hash");
    assert_eq!(refused_field(changed("\"power\": \"10\"", "\"power\": \"0\"")), "validators[0]");
}

#[test]
fn a_genesis_that_is_no_json_names_line_and_column() {
    match changed("\"shards\": 2", "\"shards\": two") {
        Err(GenesisError::Malformed { line, column, .. }) => assert!(line > 1 && column > 0),
        other => panic!("{other:?}"),
    }
    assert!(matches!(changed("\"shards\": 2", "\"shards\": 2, \"speed\": 9"), Err(GenesisError::Malformed { .. })));
}

#[test]
fn an_account_stands_once_and_in_order_of_address() {
    let text = genesis(0).to_json().unwrap();
    let first = Address::new([1; 20]).to_string();
    let second = Address::new([7; 20]).to_string();
    let twice = text.replace(&second, &first);
    let result = GenesisDocument::from_json(twice.as_bytes(), Path::new("genesis.json"));
    assert_eq!(refused_field(result), "app_state.lines[1].account");
}

#[test]
fn a_network_file_reads_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("networks/devnet.toml");
    let written = network();
    written.save(&path).unwrap();
    let read = NetworkFile::load(&path).unwrap();
    assert_eq!(read, written);
    assert_eq!(read.id().unwrap(), written.id().unwrap());
    assert_eq!(read.keystore_folder(&path).unwrap(), folder.path().join("networks/keystore"));
    assert_eq!(read.shard_map().unwrap().shards(), 2);
    assert_eq!(read.shard(ShardId::new(1)).unwrap().chain_id.as_str(), "devnet-shard-1");
    assert!(read.settlement().is_none());
}

#[test]
fn a_trust_root_is_the_genesis_one() {
    let genesis = genesis(0);
    let root = genesis.trust_root().unwrap();
    assert_eq!(root.height(), 0);
    assert_eq!(root.time().secs(), 1_799_999_999);
    assert_eq!(network().chains[0].trust_root().unwrap(), root);
}

#[test]
fn the_identity_of_a_network_follows_its_trust_roots_alone() {
    let network = network();
    let mut moved = network.clone();
    moved.chains[0].endpoints = vec!["https://elsewhere.example".into()];
    moved.keystore = None;
    assert_eq!(moved.id().unwrap(), network.id().unwrap());
    let mut other = network.clone();
    other.chains[1].trust.validators = vec![validator(4)];
    assert_ne!(other.id().unwrap(), network.id().unwrap());
}

#[test]
fn a_wrong_network_field_is_named() {
    let text = network().to_toml().unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        match NetworkFile::from_toml(&text.replacen(from, to, 1), Path::new("devnet.toml")) {
            Err(NetworkFileError::Field { field, .. }) => field,
            Err(NetworkFileError::Malformed { .. }) => "malformed".to_owned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused("name = \"devnet\"", "name = \"\""), "name");
    assert_eq!(refused("index = 0", "index = 1"), "chain_id");
    assert_eq!(refused("http://127.0.0.1:7301", "127.0.0.1:7301"), "endpoints of devnet-shard-0");
    assert_eq!(refused("epoch_secs = 60", "epoch_secs = 0"), "malformed");
    assert_eq!(refused("kind = \"devnet\"", "kind = \"mainnet\""), "malformed");
    assert_eq!(refused("keystore =", "speed = 1\nkeystore ="), "malformed");
    assert_eq!(refused("power = 10", "power = 0"), "trust_root of devnet-shard-0");
}
