//! Keystore files: those of another implementation open, ours open there, and damaged ones say what is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use db3_client::keystore::{Folder, KeyFile, KeystoreError, ScryptCost, open, seal};
use db3_client::primitives::SecretKey;
use serde_json::{Value, json};

fn vectors() -> Vec<Value> {
    let folder = std::env::var_os("DB3_VECTORS").map_or_else(|| PathBuf::from("../tests/vectors"), PathBuf::from);
    let text = std::fs::read_to_string(folder.join("keystores.json")).expect("keystores.json");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    document["keystores"].as_array().expect("keystores").clone()
}

fn parse(document: &Value) -> Result<KeyFile, KeystoreError> {
    KeyFile::parse("<test>", &document.to_string())
}

#[test]
fn vectors_of_another_implementation_open_to_their_secrets() {
    let vectors = vectors();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let secret = open(&parse(&vector["keystore"]).unwrap(), vector["password"].as_str().unwrap()).unwrap();
        assert_eq!(hex::encode(*secret), vector["secret"].as_str().unwrap().trim_start_matches("0x"));
        let address = SecretKey::from_bytes(*secret).unwrap().address();
        assert_eq!(address.to_string().to_lowercase(), vector["address"].as_str().unwrap().to_lowercase());
    }
}

#[test]
fn vectors_altered_anywhere_do_not_open() {
    for vector in vectors() {
        let password = vector["password"].as_str().unwrap();
        for field in
            ["/crypto/ciphertext", "/crypto/mac", "/crypto/kdfparams/salt", "/crypto/cipherparams/iv", "/address"]
        {
            let mut altered = vector["keystore"].clone();
            let value = altered.pointer_mut(field).unwrap();
            let text = value.as_str().unwrap();
            let flipped = if text.starts_with('1') { "2" } else { "1" };
            *value = json!(format!("{flipped}{}", &text[1..]));
            assert!(open(&parse(&altered).unwrap(), password).is_err(), "{field}");
        }
        assert!(matches!(open(&parse(&vector["keystore"]).unwrap(), "wrong"), Err(KeystoreError::WrongPassword)));
    }
}

#[test]
fn what_is_sealed_opens_again_and_looks_as_geth_writes_it() {
    let file = seal(&[7; 32], "pässword", ScryptCost::LIGHT).unwrap();
    assert_eq!(*open(&file, "pässword").unwrap(), [7; 32]);
    let document: Value = serde_json::from_str(&file.to_json()).unwrap();
    assert_eq!(
        (&document["version"], &document["crypto"]["cipher"], &document["crypto"]["kdf"]),
        (&json!(3), &json!("aes-128-ctr"), &json!("scrypt"))
    );
    assert_eq!(document["crypto"]["kdfparams"]["n"], 4096);
    let address = document["address"].as_str().unwrap();
    assert!(address.len() == 40 && address.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()));
    assert_eq!(document["id"].as_str().unwrap().len(), 36);
}

#[test]
fn costs_are_bounded_before_any_memory_is_taken() {
    let vector = vectors().into_iter().find(|vector| vector["keystore"]["crypto"]["kdf"] == "scrypt").unwrap();
    for (field, value) in [
        ("n", json!(1u64 << 40)),
        ("n", json!(3)),
        ("n", json!(0)),
        ("r", json!(1u64 << 40)),
        ("p", json!(1u64 << 30)),
        ("dklen", json!(1u64 << 33)),
    ] {
        let mut costly = vector["keystore"].clone();
        costly["crypto"]["kdfparams"][field] = value.clone();
        let outcome = open(&parse(&costly).unwrap(), "x");
        assert!(matches!(outcome, Err(KeystoreError::Cost { .. })), "{field} = {value}: {outcome:?}");
    }
    let mut pbkdf2 = vectors().into_iter().find(|vector| vector["keystore"]["crypto"]["kdf"] == "pbkdf2").unwrap();
    pbkdf2["keystore"]["crypto"]["kdfparams"]["c"] = json!(4_000_000_000u64);
    assert!(matches!(open(&parse(&pbkdf2["keystore"]).unwrap(), "x"), Err(KeystoreError::Cost { .. })));
}

#[test]
fn damaged_files_say_what_is_wrong() {
    let good = vectors()[0]["keystore"].clone();
    let with = |pointer: &str, value: Value| {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        parse(&document).and_then(|file| open(&file, "x").map(|_| ()))
    };
    assert!(matches!(with("/version", json!(1)), Err(KeystoreError::Version { version: 1 })));
    assert!(matches!(with("/crypto/cipher", json!("aes-256-gcm")), Err(KeystoreError::Unsupported { .. })));
    assert!(matches!(with("/crypto/kdf", json!("argon2")), Err(KeystoreError::Unsupported { .. })));
    assert!(matches!(with("/crypto/mac", json!("00")), Err(KeystoreError::Damaged { .. })));
    assert!(matches!(with("/crypto/ciphertext", json!("zz")), Err(KeystoreError::Damaged { .. })));
    assert!(matches!(with("/crypto/kdfparams/n", Value::Null), Err(KeystoreError::Damaged { .. })));
    let unreadable = KeyFile::parse("a.json", "{\n nonsense").unwrap_err().to_string();
    assert!(unreadable.contains("a.json") && unreadable.contains("line 2"), "{unreadable}");
}

#[test]
fn a_folder_keeps_files_private_and_never_replaces_one() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::new(temporary.path().join("keys"));
    assert!(folder.list().unwrap().is_empty());
    for (name, byte) in [("dev10", 5), ("dev2", 4)] {
        let path = folder.add(name, &seal(&[byte; 32], "p", ScryptCost::LIGHT).unwrap()).unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = folder.add("dev2", &seal(&[9; 32], "p", ScryptCost::LIGHT).unwrap());
    assert!(matches!(again, Err(KeystoreError::NameTaken { .. })));
    std::fs::write(folder.path().join("other.json"), "{}").unwrap();
    let listed = folder.list().unwrap();
    assert_eq!(listed.iter().map(|account| account.name.as_str()).collect::<Vec<_>>(), ["dev2", "dev10"]);
    let found = folder.find(&listed[0].address.to_string()).unwrap().unwrap();
    assert_eq!(found.name, "dev2");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary file is left");
    for bad in ["", "../x", ".hidden", "a b", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"] {
        assert!(
            matches!(
                folder.add(bad, &seal(&[1; 32], "p", ScryptCost::LIGHT).unwrap()),
                Err(KeystoreError::InvalidName { .. })
            ),
            "{bad}"
        );
    }
}
