//! What `build` makes is, byte for byte, what `CometBFT` v0.38.26 makes (`golden/main.go`), and the light client accepts it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use db3_light_client::build::{
    HeaderInput, ValidatorKey, block_bytes, block_id, commit_hash, consensus_params_hash, data_hash, light_block_bytes,
    make_header, results_hash, sign_commit,
};
use db3_light_client::{ClaimedHeader, LightClient, Options, TrustRoot, UnixTime, ValidatorSet};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tendermint::block::{self, Commit};
use tendermint_proto::v0_38::abci::ExecTxResult;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/golden.json")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn hash(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

/// Hex, or for a long one its byte and how often: `61*100000`.
fn tx(value: &Value) -> Vec<u8> {
    match value.as_str().unwrap().split_once('*') {
        Some((byte, count)) => hex::decode(byte).unwrap().repeat(count.parse().unwrap()),
        None => bytes(value),
    }
}

fn result(value: &Value) -> ExecTxResult {
    ExecTxResult {
        code: value["code"].as_u64().unwrap().try_into().unwrap(),
        data: bytes(&value["data"]).into(),
        log: value["log"].as_str().unwrap().to_owned(),
        gas_wanted: value["gas_wanted"].as_i64().unwrap(),
        gas_used: value["gas_used"].as_i64().unwrap(),
        ..ExecTxResult::default()
    }
}

fn unix_time(value: &Value, secs: &str, nanos: &str) -> UnixTime {
    UnixTime::new(value[secs].as_i64().unwrap(), value[nanos].as_u64().unwrap().try_into().unwrap()).unwrap()
}

struct Golden {
    json: Value,
    keys: Vec<ValidatorKey>,
    pairs: Vec<([u8; 32], u64)>,
}

impl Golden {
    fn load() -> Self {
        let json = golden();
        let keys: Vec<ValidatorKey> =
            list(&json["validators"]).iter().map(|v| ValidatorKey::from_seed(hash(&v["seed"]))).collect();
        let powers = list(&json["validators"]).iter().map(|v| v["power"].as_u64().unwrap());
        let pairs = keys.iter().map(ValidatorKey::public_key).zip(powers).collect();
        Self { json, keys, pairs }
    }

    fn chain_id(&self) -> &str {
        self.json["chain_id"].as_str().unwrap()
    }
}

#[test]
fn keys_and_addresses_are_those_of_cometbft() {
    let golden = Golden::load();
    for (validator, key) in list(&golden.json["validators"]).iter().zip(&golden.keys) {
        assert_eq!(key.public_key().to_vec(), bytes(&validator["key"]));
        assert_eq!(key.address().to_vec(), bytes(&validator["address"]));
        assert!(!format!("{key:?}").contains(validator["seed"].as_str().unwrap()));
    }
}

#[test]
fn headers_blocks_commits_and_light_blocks_are_those_of_cometbft() {
    let golden = Golden::load();
    let set = ValidatorSet::new(&golden.pairs).unwrap();
    let size = block::Size {
        max_bytes: golden.json["max_bytes"].as_u64().unwrap(),
        max_gas: golden.json["max_gas"].as_i64().unwrap(),
        time_iota_ms: block::Size::default_time_iota_ms(),
    };
    let mut before: Option<(block::Id, Commit)> = None;
    for (expected, next) in list(&golden.json["blocks"]).iter().zip(list(&golden.json["blocks"]).iter().skip(1)) {
        let txs: Vec<Vec<u8>> = list(&expected["txs"]).iter().map(tx).collect();
        let results: Vec<ExecTxResult> = list(&expected["results_before"]).iter().map(result).collect();
        let last_commit = before.as_ref().map(|(_, commit)| commit);
        assert_eq!(set.hash(), hash(&expected["validators_hash"]));
        assert_eq!(data_hash(&txs), hash(&expected["data_hash"]));
        assert_eq!(results_hash(&results), hash(&expected["results_hash"]));
        assert_eq!(consensus_params_hash(&size), Some(hash(&expected["consensus_hash"])));
        if let Some(commit) = last_commit {
            assert_eq!(commit_hash(commit), hash(&expected["last_commit_hash"]));
        }

        let header = make_header(&HeaderInput {
            chain_id: golden.chain_id(),
            app_version: golden.json["app_version"].as_u64().unwrap(),
            height: expected["height"].as_u64().unwrap(),
            time: unix_time(expected, "secs", "nanos"),
            last_block_id: before.as_ref().map(|(id, _)| *id),
            last_commit,
            txs: &txs,
            validators: &set,
            next_validators: &set,
            consensus_hash: hash(&expected["consensus_hash"]),
            app_hash: &bytes(&expected["app_hash"]),
            last_results_hash: results_hash(&results),
            proposer: None,
        })
        .unwrap();
        assert_eq!(header.hash().as_bytes(), bytes(&expected["header_hash"]));

        let block = block_bytes(&header, &txs, last_commit);
        assert_eq!(Sha256::digest(&block).to_vec(), bytes(&expected["block_bytes_hash"]));
        let id = block_id(&header, &block).unwrap();
        assert_eq!(u64::from(id.part_set_header.total), expected["parts_total"].as_u64().unwrap());
        assert_eq!(id.part_set_header.hash.as_bytes(), bytes(&expected["parts_hash"]));

        let order = set.validators();
        let signers: Vec<ValidatorKey> = list(&expected["signers"])
            .iter()
            .map(|index| order[usize::try_from(index.as_u64().unwrap()).unwrap()].0)
            .map(|public| golden.keys.iter().find(|key| key.public_key() == public).unwrap().clone())
            .collect();
        let round = expected["round"].as_u64().unwrap().try_into().unwrap();
        let time = unix_time(next, "secs", "nanos");
        let commit = sign_commit(&signers, &set, golden.chain_id(), header.height.value(), round, id, time).unwrap();
        assert_eq!(hex::encode(light_block_bytes(&header, &commit, &set)), expected["light_block"].as_str().unwrap());
        before = Some((id, commit));
    }
}

#[test]
fn light_blocks_of_cometbft_are_accepted_one_by_one_and_by_skipping() {
    let golden = Golden::load();
    let genesis = unix_time(&golden.json, "genesis_secs", "genesis_nanos");
    let now = UnixTime::new(genesis.secs() + 60, 0).unwrap();
    let root = TrustRoot::of_genesis(golden.chain_id(), 1, genesis, &golden.pairs).unwrap();
    let blocks = list(&golden.json["blocks"]);
    let accept = |client: &mut LightClient, block: &Value| {
        let header = client.verify(&bytes(&block["light_block"]), None, now).unwrap();
        assert_eq!(header.height, block["height"].as_u64().unwrap());
        assert_eq!(header.header_hash, hash(&block["header_hash"]));
        assert_eq!(header.app_hash.map_or(Vec::new(), |hash| hash.to_vec()), bytes(&block["app_hash"]));
        assert_eq!(header.time, unix_time(block, "secs", "nanos"));
    };
    let mut one_by_one = LightClient::from_root(root.clone(), Options::never_expires());
    for block in blocks {
        accept(&mut one_by_one, block);
        accept(&mut LightClient::from_root(root.clone(), Options::never_expires()), block);
        let claim = ClaimedHeader::read_strictly(&bytes(&block["light_block"])).unwrap();
        assert_eq!(claim.header_hash, hash(&block["header_hash"]));
    }
    assert_eq!(one_by_one.newest_height(), 4);
}
