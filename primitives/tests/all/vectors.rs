//! Expected results made by an independent program. `DB3_VECTORS` names another folder of such files.

use std::path::PathBuf;

use db3_primitives::signature::signature_from_slice;
use db3_primitives::{Address, Namespace, SecretKey, recover_k256, verify};
use serde_json::Value;

fn file(name: &str) -> Value {
    let folder = std::env::var_os("DB3_VECTORS").map_or_else(|| PathBuf::from("../tests/vectors"), PathBuf::from);
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap()
}

fn list<'a>(file: &'a Value, name: &str) -> &'a [Value] {
    let list = file[name].as_array().unwrap();
    assert!(!list.is_empty(), "{name} is empty");
    list
}

#[test]
fn vectors_of_accounts_give_their_addresses() {
    for account in list(&file("accounts.json"), "accounts") {
        let key = SecretKey::from_bytes(bytes(&account["secret"]).try_into().unwrap()).unwrap();
        assert_eq!(key.address().to_string(), account["address"].as_str().unwrap());
        let compressed = k256::PublicKey::from_sec1_bytes(&bytes(&account["public_compressed"])).unwrap();
        let point = k256::ecdsa::VerifyingKey::from(compressed).to_sec1_point(false);
        let coordinates: [u8; 64] = point.as_bytes()[1..].try_into().unwrap();
        assert_eq!(Address::of_public_key(&coordinates), key.address());
    }
}

#[test]
fn vectors_of_signatures_are_accepted_and_refused_as_they_say() {
    for case in list(&file("accounts.json"), "recover") {
        let digest = bytes(&case["digest"]).try_into().unwrap();
        let expected: Option<Address> = case["address"].as_str().map(|text| text.parse().unwrap());
        let signature = signature_from_slice(&bytes(&case["signature"]));
        for recover in [verify, recover_k256] {
            let found = signature.and_then(|signature| recover(&digest, &signature)).ok();
            assert_eq!(found, expected, "{case}");
        }
    }
}

#[test]
fn vectors_of_slots_hold_every_name() {
    let file = file("slots.json");
    assert_eq!(file["slots"].as_u64(), Some(u64::from(db3_primitives::limits::SLOTS)));
    for pair in list(&file, "names") {
        let namespace: Namespace = pair[0].as_str().unwrap().parse().unwrap();
        assert_eq!(Some(u64::from(namespace.slot().get())), pair[1].as_u64(), "{pair}");
    }
}
