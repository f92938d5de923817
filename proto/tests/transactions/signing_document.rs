//! docs/signing.md: its example of a transaction is what this crate writes and reads.

use std::path::Path;

use db3_primitives::{Nonce, ShardId, Tai, Transaction, TransactionOperation, transaction_id};
use db3_proto::{decode_transaction_body, encode_transaction_body};

fn value(page: &str, name: &str) -> String {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
    line.unwrap_or_else(|| panic!("docs/signing.md has no {name}")).to_owned()
}

#[test]
fn the_transaction_of_the_signing_page_is_canonical() {
    let page = std::fs::read_to_string(Path::new("../docs/signing.md")).unwrap();
    let account = value(&page, "account").parse().unwrap();
    let transaction = Transaction {
        network: "devnet".parse().unwrap(),
        account,
        nonce: Nonce::new(3),
        expire_unix_secs: 1_769_851_800,
        max_fee: Tai::new(500_000),
        operations: vec![
            TransactionOperation::Deposit { to: account, amount: Tai::new(5_000_000_000) },
            TransactionOperation::Allocate { shard: ShardId::new(1), want: Tai::new(2_500_000_000) },
        ],
    };
    let body = hex::decode(value(&page, "transaction body")).unwrap();
    assert_eq!(encode_transaction_body(&transaction), body);
    assert_eq!(decode_transaction_body(&body).unwrap(), transaction);
    assert_eq!(transaction_id(&body).to_string(), value(&page, "transaction id"));
}
