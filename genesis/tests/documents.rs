//! Genesis documents and network files: what is written can be read, and what is wrong is refused by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::num::NonZeroU64;
use std::path::Path;

use db3_genesis::{
    AccountEntry, AppState, ChainEntry, ChainKind, GenesisDocument, GenesisError, GenesisInput, GenesisOperator,
    GenesisState, NetworkFile, NetworkFileError, NetworkKind, PeerEntry, SettlementGenesis, ShardGenesis, TrustEntry,
    Validator,
};
use db3_light_client::build::ValidatorKey;
use db3_primitives::{Address, BlockTime, ChainId, Height, NetworkName, ShardId, Tai};
use db3_settlement_state::SettlementState;
use db3_shard_state::ShardState;

const TIME: BlockTime = BlockTime { secs: 1_800_000_000, nanos: 5 };
const SHARDS: u32 = 2;

fn epoch() -> NonZeroU64 {
    NonZeroU64::new(60).unwrap()
}

fn validator(seed: u8) -> Validator {
    Validator { pubkey: ValidatorKey::from_seed([seed; 32]).public_key(), power: 10 }
}

fn name() -> NetworkName {
    "devnet".parse().unwrap()
}

/// What is known of every chain before any genesis is written: the validators' keys.
fn trust(chain: u8) -> TrustEntry {
    TrustEntry::before(Height::new(1), TIME, vec![validator(chain)])
}

fn document(app_state: impl Into<AppState>, validators: Vec<Validator>) -> GenesisDocument {
    GenesisDocument::new(GenesisInput {
        time: TIME,
        initial_height: Height::new(1),
        validators,
        app_hash: None,
        app_state: app_state.into(),
    })
    .unwrap()
}

fn genesis(shard: u32) -> GenesisDocument {
    let settlement = PeerEntry::new(&ChainId::settlement(&name()), &trust(100), None);
    let state = ShardGenesis::new(&name(), ShardId::new(shard), SHARDS, epoch(), settlement);
    document(state, vec![validator(u8::try_from(shard).unwrap())])
}

fn settlement() -> GenesisDocument {
    let account = |number: u8, credit: u128| {
        AccountEntry::with_credit(Address::new([number; 20]), Tai::new(1_000), Tai::new(credit), SHARDS).unwrap()
    };
    let peer = |shard: u32| {
        let trust = trust(u8::try_from(shard).unwrap());
        PeerEntry::new(&ChainId::shard(&name(), ShardId::new(shard)), &trust, Some(86_400))
    };
    let accounts = vec![account(7, 5), account(1, 600)];
    let treasury = Address::new([9; 20]);
    document(
        SettlementGenesis::new(&name(), epoch(), treasury, accounts, (0..SHARDS).map(peer).collect()),
        vec![validator(100)],
    )
}

fn network() -> NetworkFile {
    NetworkFile {
        name: "devnet".parse().unwrap(),
        kind: NetworkKind::Devnet,
        epoch_secs: epoch(),
        keystore: Some("keystore".into()),
        chains: std::iter::once(settlement())
            .chain((0..SHARDS).map(genesis))
            .map(|genesis| ChainEntry::of_genesis(&genesis, vec!["http://127.0.0.1:7301".into()]))
            .collect(),
    }
}

fn changed(from: &str, to: &str) -> Result<GenesisDocument, GenesisError> {
    changed_in(&genesis(0), from, to)
}

fn changed_in(document: &GenesisDocument, from: &str, to: &str) -> Result<GenesisDocument, GenesisError> {
    let text = document.to_json().unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    GenesisDocument::from_json(text.replacen(from, to, 1).as_bytes(), Path::new("genesis.json"))
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
    let root = |document: &GenesisDocument| match document.state() {
        GenesisState::Shard(state) => ShardState::genesis(state).unwrap().root(),
        GenesisState::Settlement(_) => panic!("a shard's genesis"),
    };
    assert_eq!(root(&read), root(&written));
}

#[test]
fn a_settlement_genesis_reads_as_it_was_written_and_makes_a_state() {
    let written = settlement();
    let read = GenesisDocument::from_json(written.to_json().unwrap().as_bytes(), Path::new("genesis.json")).unwrap();
    assert_eq!(read.state(), written.state());
    assert_eq!((read.chain_id().as_str(), read.kind()), ("devnet-settlement", ChainKind::Settlement));
    assert_eq!((read.network(), read.epoch_secs()), (&name(), epoch()));
    let GenesisState::Settlement(state) = read.state() else { panic!("a settlement chain's genesis") };
    assert_eq!(state.accounts[0].collateral, Tai::new(1_200), "the collateral covers the credit on both shards");
    SettlementState::genesis(state).unwrap();
}

#[test]
fn a_genesis_document_is_what_cometbft_reads() {
    let json: serde_json::Value = serde_json::from_str(&genesis(0).to_json().unwrap()).unwrap();
    assert_eq!(json["initial_height"], "1");
    assert_eq!(json["app_hash"], "");
    assert_eq!(json["validators"][0]["pub_key"]["type"], "tendermint/PubKeyEd25519");
    assert_eq!(json["consensus_params"]["block"]["max_gas"], "-1");
    let evidence = &json["consensus_params"]["evidence"];
    assert_eq!(evidence["max_age_num_blocks"], "1000");
    assert_eq!(evidence["max_age_duration"], "3600000000000");
    assert_eq!(json["consensus_params"]["version"]["app"], "1");
    assert_eq!(json["app_state"]["kind"], "shard");
    assert_eq!(json["app_state"]["peers"][0]["chain_id"], "devnet-settlement");
    assert_eq!(json["app_state"]["peers"][0]["trusting_period_secs"], u64::MAX.to_string());
    let json: serde_json::Value = serde_json::from_str(&settlement().to_json().unwrap()).unwrap();
    assert_eq!(json["app_state"]["kind"], "settlement");
    assert_eq!(json["app_state"]["accounts"][0]["balance_tai"], "1000");
}

#[test]
fn a_wrong_genesis_field_is_named() {
    assert_eq!(refused_field(changed("\"devnet-shard-0\"", "\"devnet-shard-1\"")), "chain_id");
    assert_eq!(refused_field(changed("\"shards\": 2", "\"shards\": 0")), "app_state.shards");
    assert_eq!(refused_field(changed("\"shards\": 2", "\"shards\": 1025")), "app_state.shards");
    assert_eq!(refused_field(changed("\"network\": \"devnet\"", "\"network\": \"Dev Net\"")), "app_state.network");
    assert_eq!(refused_field(changed("\"epoch_secs\": 60", "\"epoch_secs\": 0")), "app_state.epoch_secs");
    assert_eq!(refused_field(changed_in(&genesis(1), "\"shards\": 2", "\"shards\": 1")), "app_state.shard");
    assert_eq!(refused_field(changed("\"format\": 2", "\"format\": 1")), "app_state.format");
    assert_eq!(refused_field(changed("\"initial_height\": \"1\"", "\"initial_height\": \"0\"")), "initial_height");
    assert_eq!(refused_field(changed("\"initial_height\": \"1\"", "\"initial_height\": \"7\"")), "app_hash");
    assert_eq!(refused_field(changed("\"power\": \"10\"", "\"power\": \"0\"")), "validators[0]");
}

#[test]
fn a_wrong_peer_is_named() {
    let refused = |from: &str, to: &str| refused_field(changed(from, to));
    assert_eq!(refused("\"devnet-settlement\"", "\"devnet-shard-1\""), "app_state.peers[0].chain_id");
    assert_eq!(refused("\"time\": \"2027", "\"time\": \"year 2027"), "app_state.peers[0].time");
    assert_eq!(refused("\"pubkey\": \"", "\"pubkey\": \"0"), "app_state.peers[0].validators[0].pubkey");
    assert_eq!(refused("\"power\": \"10\"\n          }", "\"power\": \"0\"\n          }"), "app_state.peers[0]");
    let drift = refused("\"clock_drift_secs\": 30", "\"clock_drift_secs\": 29");
    assert_eq!(drift, "app_state.peers[0].trusting_period_secs, clock_drift_secs");
    let peers = changed_in(&settlement(), "\"shards\": 2", "\"shards\": 1");
    assert!(refused_field(peers).starts_with("app_state.p"), "one list of payouts, or one peer, is too many");
}

#[test]
fn a_wrong_field_of_the_settlement_chain_is_named() {
    let refused = |from: &str, to: &str| refused_field(changed_in(&settlement(), from, to));
    assert_eq!(refused("\"balance_tai\": \"1000\"", "\"balance_tai\": \"-5\""), "app_state.accounts[0].balance_tai");
    assert_eq!(refused("\"want_tai\": \"600\"", "\"want_tai\": \"x\""), "app_state.accounts[0].wants[0].want_tai");
    assert_eq!(refused("\"shard\": 1", "\"shard\": 2"), "app_state.accounts[0].wants[1].shard");
    assert_eq!(refused("\"treasury\": \"0x", "\"treasury\": \"1x"), "app_state.treasury");
    assert_eq!(refused("\"power\": \"1\"", "\"power\": \"0\""), "app_state.payouts[0][0].power");
    let denominator = refused("\"factor_denominator\": 1", "\"factor_denominator\": 0");
    assert_eq!(denominator, "app_state.credit.factor_denominator");
}

/// A shard with two validators, each with an operator of its own and both with one payout account.
fn governed() -> GenesisDocument {
    let settlement = PeerEntry::new(&ChainId::settlement(&name()), &trust(100), None);
    let mut state = ShardGenesis::new(&name(), ShardId::new(0), SHARDS, epoch(), settlement);
    let validators = vec![validator(1), validator(2)];
    let operator = |(validator, number): (&Validator, u8)| {
        GenesisOperator::new(&validator.pubkey, &Address::new([number; 20]), &Address::new([9; 20]))
    };
    state.operators = validators.iter().zip(3..).map(operator).collect();
    document(state, validators)
}

#[test]
fn operators_stand_beside_their_validators_with_the_power() {
    let read = GenesisDocument::from_json(governed().to_json().unwrap().as_bytes(), Path::new("genesis.json")).unwrap();
    let operators = read.operators();
    let accounts: Vec<(Address, u64)> = operators.iter().map(|entry| (entry.operator, entry.power)).collect();
    assert_eq!(accounts, [(Address::new([3; 20]), 10), (Address::new([4; 20]), 10)]);
    assert_eq!(operators[1].validator, validator(2).pubkey);
    assert_eq!(db3_genesis::operator_payouts(operators), [(Address::new([9; 20]), 20)]);
    assert!(genesis(0).operators().is_empty() && !genesis(0).to_json().unwrap().contains("operators"));
}

#[test]
fn an_operator_without_its_validator_or_account_is_named() {
    let refused = |from: &str, to: &str| refused_field(changed_in(&governed(), from, to));
    let key = hex::encode(validator(1).pubkey);
    let validator_of = format!("\"validator\": \"{key}\"");
    assert_eq!(refused(&validator_of, &validator_of.replace(&key, "00")), "app_state.operators[0].validator");
    let operator = Address::new([3; 20]).to_string();
    assert_eq!(refused(&operator, "0x12"), "app_state.operators[0].operator");
    let nobody = Address::new([0; 20]).to_string();
    assert_eq!(refused(&operator, &nobody), "app_state.operators[0].operator");
    let payout = Address::new([9; 20]).to_string();
    assert_eq!(refused(&payout, "nobody"), "app_state.operators[0].payout");
}

#[test]
fn what_the_settlement_chain_earns_goes_to_its_operators() {
    let mut json: serde_json::Value = serde_json::from_str(&settlement().to_json().unwrap()).unwrap();
    let payout = Address::new([9; 20]);
    let operator = GenesisOperator::new(&validator(100).pubkey, &Address::new([3; 20]), &payout);
    json["app_state"]["operators"] = serde_json::json!([operator]);
    let parse =
        |json: &serde_json::Value| GenesisDocument::from_json(json.to_string().as_bytes(), Path::new("genesis.json"));
    assert_eq!(refused_field(parse(&json)), "app_state.payouts[2]");
    json["app_state"]["payouts"][2] = serde_json::json!([{ "address": payout.to_string(), "power": "10" }]);
    assert_eq!(parse(&json).unwrap().operators().len(), 1);
    json["app_state"]["operators"] = serde_json::json!([operator, operator]);
    assert_eq!(refused_field(parse(&json)), "app_state.operators");
}

#[test]
fn a_genesis_of_no_known_kind_names_the_line() {
    match changed("\"kind\": \"shard\"", "\"kind\": \"archive\"") {
        Err(GenesisError::Malformed { line, detail, .. }) => {
            assert!(line > 1 && detail.contains("archive"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
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
    let text = settlement().to_json().unwrap();
    let first = Address::new([1; 20]).to_string();
    let second = Address::new([7; 20]).to_string();
    let twice = text.replace(&second, &first);
    let result = GenesisDocument::from_json(twice.as_bytes(), Path::new("genesis.json"));
    assert_eq!(refused_field(result), "app_state.accounts[1].account");
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
    assert_eq!(read.settlement().unwrap().chain_id.as_str(), "devnet-settlement");
}

#[test]
fn a_trust_root_is_the_genesis_one() {
    let genesis = genesis(0);
    let root = genesis.trust_root().unwrap();
    assert_eq!(root.height(), 0);
    assert_eq!(root.time().secs(), 1_799_999_999);
    assert_eq!(network().chains[1].trust_root().unwrap(), root);
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
    assert_eq!(refused("kind = \"shard\"\nindex = 0", "kind = \"shard\"\nindex = 1"), "chain_id");
    assert_eq!(refused("http://127.0.0.1:7301", "127.0.0.1:7301"), "endpoints of devnet-settlement");
    assert_eq!(refused("epoch_secs = 60", "epoch_secs = 0"), "malformed");
    assert_eq!(refused("kind = \"devnet\"", "kind = \"mainnet\""), "malformed");
    assert_eq!(refused("keystore =", "speed = 1\nkeystore ="), "malformed");
    assert_eq!(refused("power = 10", "power = 0"), "trust_root of devnet-settlement");
}
