//! docs/signing.md: every value of its examples is recomputed from the example's first lines.

use std::collections::BTreeMap;
use std::path::Path;

use db3_primitives::signature::eip191_digest;
use db3_primitives::{
    Address, Mutation, Nonce, Operation, RecordKey, Scheme, SecretKey, SignedMutation, Tai, Write, mutation_id,
    sign_mutation, signing_digest, signing_text,
};

use super::body;

/// The mutation of the examples.
fn example(account: Address) -> Mutation {
    let key = |text: &str| RecordKey::try_from(text.as_bytes()).unwrap();
    let write = |name: &str, value: &str, if_version| Write {
        table: "cities".parse().unwrap(),
        key: key(name),
        value: value.as_bytes().to_vec(),
        if_version,
    };
    Mutation {
        network: "devnet".parse().unwrap(),
        account,
        namespace: "notes".parse().unwrap(),
        nonce: Nonce::new(7),
        expire_unix_secs: 1_769_851_800,
        max_fee: Tai::new(500_000),
        operations: vec![
            Operation::Put(write("berlin", "3 700 000", None)),
            Operation::Update(write("paris", "2 100 000", Some(4))),
            Operation::Delete { table: "cities".parse().unwrap(), key: key("atlantis"), if_version: None },
        ],
    }
}

/// What the page must say, by the names of its lines.
fn expected(secret: &str) -> BTreeMap<String, String> {
    let key = SecretKey::from_bytes(hex::decode(secret).unwrap().try_into().unwrap()).unwrap();
    let mutation = example(key.address());
    let body = body::encode(&mutation);
    let mut lines = BTreeMap::from([
        ("secret".to_owned(), secret.to_owned()),
        ("account".to_owned(), key.address().to_string()),
        ("body".to_owned(), hex::encode(&body)),
        ("id".to_owned(), mutation_id(&body).to_string()),
    ]);
    for (name, scheme) in [("raw", Scheme::Raw), ("eip191", Scheme::Eip191)] {
        let digest = signing_digest(&mutation, &body, scheme);
        let envelope = sign_mutation(&key, &mutation, body.clone(), scheme);
        lines.insert(format!("{name} digest"), hex::encode(digest));
        lines.insert(format!("{name} signature"), hex::encode(envelope.signature));
        assert!(SignedMutation::new(mutation.clone(), envelope, 0).verify().is_ok());
    }
    lines
}

/// The contents of the fenced blocks of one language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    for block in page.split("\n```").collect::<Vec<_>>().chunks(2).filter_map(|pair| pair.get(1)) {
        if let Some(content) = block.strip_prefix(language).and_then(|rest| rest.strip_prefix('\n')) {
            found.push(content.to_owned());
        }
    }
    found
}

#[test]
fn the_worked_examples_of_the_signing_page_are_right() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/signing.md")).unwrap();
    let values = blocks(&page, "values").join("\n");
    let given: BTreeMap<String, String> = values
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let expected = expected(&given["secret"]);
    let show: Vec<String> = expected.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    assert!(given == expected, "docs/signing.md should say:\n{}", show.join("\n"));

    let account = given["account"].parse().unwrap();
    let body = hex::decode(&given["body"]).unwrap();
    let texts = blocks(&page, "text");
    let text = signing_text(&example(account), &body);
    assert!(texts.contains(&text), "docs/signing.md should show this text:\n{text}");
    assert_eq!(hex::encode(eip191_digest(&text)), given["eip191 digest"]);
}
