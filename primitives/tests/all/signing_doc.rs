//! docs/signing.md: every value of its examples is recomputed from the example's first lines.

use std::collections::BTreeMap;
use std::path::Path;

use db3_primitives::signature::eip191_digest;
use db3_primitives::{
    Address, Body, Mutation, Nonce, Operation, RecordKey, Scheme, SecretKey, ShardId, Signed, Tai, Transaction,
    TransactionOperation, Write, identifier, sign, signing_digest, signing_text,
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

/// The transaction of the examples.
fn transaction(account: Address) -> Transaction {
    Transaction {
        network: "devnet".parse().unwrap(),
        account,
        nonce: Nonce::new(3),
        expire_unix_secs: 1_769_851_800,
        max_fee: Tai::new(500_000),
        operations: vec![
            TransactionOperation::Deposit { to: account, amount: Tai::new(5_000_000_000) },
            TransactionOperation::Allocate { shard: ShardId::new(1), want: Tai::new(2_500_000_000) },
        ],
    }
}

/// What the page must say, by the names of its lines.
fn expected(secret: &str) -> BTreeMap<String, String> {
    let key = SecretKey::from_bytes(hex::decode(secret).unwrap().try_into().unwrap()).unwrap();
    let (mutation, transaction) = (example(key.address()), transaction(key.address()));
    let mut lines =
        BTreeMap::from([("secret".to_owned(), secret.to_owned()), ("account".to_owned(), key.address().to_string())]);
    lines.extend(values("", &key, &mutation, &body::encode(&mutation)));
    lines.extend(values("transaction ", &key, &transaction, &body::encode_transaction(&transaction)));
    lines
}

/// Body, identifier, digests and signatures of one example.
fn values<B: Body>(prefix: &str, key: &SecretKey, content: &B, body: &[u8]) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::from([
        (format!("{prefix}body"), hex::encode(body)),
        (format!("{prefix}id"), identifier::<B>(body).to_string()),
    ]);
    for (name, scheme) in [("raw", Scheme::Raw), ("eip191", Scheme::Eip191)] {
        let digest = signing_digest(content, body, scheme);
        let envelope = sign(key, content, body.to_vec(), scheme);
        lines.insert(format!("{prefix}{name} digest"), hex::encode(digest));
        lines.insert(format!("{prefix}{name} signature"), hex::encode(envelope.signature));
        assert!(Signed::new(content.clone(), envelope, 0).verify().is_ok());
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
    let page = std::fs::read_to_string(Path::new("../docs/signing.md")).unwrap();
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
    let texts = blocks(&page, "text");
    for (text, digest) in [
        (signing_text(&example(account), &hex::decode(&given["body"]).unwrap()), &given["eip191 digest"]),
        (
            signing_text(&transaction(account), &hex::decode(&given["transaction body"]).unwrap()),
            &given["transaction eip191 digest"],
        ),
    ] {
        assert!(texts.contains(&text), "docs/signing.md should show this text:\n{text}");
        assert_eq!(hex::encode(eip191_digest(&text)), *digest);
    }
}
