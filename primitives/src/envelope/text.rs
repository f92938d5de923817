//! The readable text that a wallet shows and signs by EIP-191.
//!
//! ```text
//! DB3 mutation
//!
//! Network: devnet
//! Account: 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266
//! Namespace: notes
//! Nonce: 7
//! Expires: 2026-01-31T09:30:00Z
//! Fee limit: 0.0005 DB3
//!
//! Operations: 10
//! - put cities/berlin, 12 bytes
//! - update cities/0x00ff, 3 bytes, if version 4
//! …
//! and 2 more
//!
//! Body SHA-256: 0x…
//! ```
//! Lines end in one line feed, the last has none. The first eight operations are shown. A key is shown as text if it is
//! UTF-8, shows itself whole (no control or invisible characters, no space at either end), and does not start with
//! `0x`; else as `0x` and its digits. What is longer than 64 characters is cut there, with `…`. The last line binds
//! everything else. A transaction's text has another title, no namespace, and its own operations, with amounts in DB3.

use crate::hash::{hex_text, sha256};
use crate::quote::is_plain;
use crate::time::BlockTime;
use crate::{
    Address, Body, Mutation, NetworkName, Nonce, Operation, RecordKey, Tai, Transaction, TransactionOperation, Write,
};

/// How many operations are shown.
const OPERATIONS_SHOWN: usize = 8;
/// How much of a key is shown, in characters.
const KEY_CHARS_SHOWN: usize = 64;

/// The fields that every kind of body has under the same name.
macro_rules! fields {
    () => {
        fn account(&self) -> Address {
            self.account
        }

        fn network(&self) -> &NetworkName {
            &self.network
        }

        fn nonce(&self) -> Nonce {
            self.nonce
        }

        fn expire_unix_secs(&self) -> u64 {
            self.expire_unix_secs
        }

        fn max_fee(&self) -> Tai {
            self.max_fee
        }

        fn operation_count(&self) -> usize {
            self.operations.len()
        }
    };
}

impl Body for Mutation {
    const ID_TAG: &'static [u8] = b"db3.v1.Mutation/id\0";
    const RAW_TAG: &'static [u8] = b"\x19db3.v1.Mutation/raw\0";

    fields!();

    fn signing_text(&self, body: &[u8]) -> String {
        let place = Some(format!("Namespace: {}", self.namespace));
        text(self, "DB3 mutation", place, &self.operations, shown_operation, body)
    }
}

impl Body for Transaction {
    const ID_TAG: &'static [u8] = b"db3.v1.Transaction/id\0";
    const RAW_TAG: &'static [u8] = b"\x19db3.v1.Transaction/raw\0";

    fields!();

    fn signing_text(&self, body: &[u8]) -> String {
        text(self, "DB3 settlement transaction", None, &self.operations, shown_transaction_operation, body)
    }
}

/// The text of any kind: its title, the line that only this kind has, its operations, and the hash of all.
fn text<B: Body, O>(
    content: &B,
    title: &str,
    place: Option<String>,
    operations: &[O],
    shown: impl Fn(&O) -> String,
    body: &[u8],
) -> String {
    let mut lines = vec![
        title.to_owned(),
        String::new(),
        format!("Network: {}", content.network()),
        format!("Account: {}", content.account()),
    ];
    lines.extend(place);
    lines.extend([
        format!("Nonce: {}", content.nonce()),
        format!("Expires: {}", BlockTime::from_secs(content.expire_unix_secs())),
        format!("Fee limit: {} DB3", content.max_fee().to_db3_string()),
        String::new(),
        format!("Operations: {}", operations.len()),
    ]);
    lines.extend(operations.iter().take(OPERATIONS_SHOWN).map(|operation| format!("- {}", shown(operation))));
    let more = operations.len().saturating_sub(OPERATIONS_SHOWN);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.push(String::new());
    lines.push(format!("Body SHA-256: {}", hex_text(&sha256(&[body]))));
    lines.join("\n")
}

fn shown_transaction_operation(operation: &TransactionOperation) -> String {
    match operation {
        TransactionOperation::Transfer { to, amount } => format!("transfer {} DB3 to {to}", amount.to_db3_string()),
        TransactionOperation::Deposit { to, amount } => {
            format!("deposit {} DB3 as collateral of {to}", amount.to_db3_string())
        }
        TransactionOperation::Withdraw { amount } => {
            format!("withdraw {} DB3 of collateral", amount.to_db3_string())
        }
        TransactionOperation::Allocate { shard, want } if want.is_zero() => {
            format!("close the credit line on shard {shard}")
        }
        TransactionOperation::Allocate { shard, want } => {
            format!("allocate {} DB3 of credit to shard {shard}", want.to_db3_string())
        }
        TransactionOperation::Pay { amount } if amount.is_zero() => "pay all that is owed".to_owned(),
        TransactionOperation::Pay { amount } => format!("pay {} DB3 of what is owed", amount.to_db3_string()),
    }
}

fn shown_operation(operation: &Operation) -> String {
    match operation {
        Operation::Put(write) => shown_write("put", write),
        Operation::Insert(write) => shown_write("insert", write),
        Operation::Update(write) => shown_write("update", write),
        Operation::Delete { table, key, if_version } => {
            format!("delete {table}/{}{}", shown_key(key), shown_condition(*if_version))
        }
        Operation::CreateNamespace => "create the namespace".to_owned(),
        Operation::CreateTable { table } => format!("create table {table}"),
    }
}

fn shown_write(verb: &str, write: &Write) -> String {
    let Write { table, key, value, if_version } = write;
    format!("{verb} {table}/{}, {} bytes{}", shown_key(key), value.len(), shown_condition(*if_version))
}

fn shown_condition(if_version: Option<u64>) -> String {
    match if_version {
        None => String::new(),
        Some(0) => ", if absent".to_owned(),
        Some(version) => format!(", if version {version}"),
    }
}

fn shown_key(key: &RecordKey) -> String {
    let text = match std::str::from_utf8(key.as_bytes()) {
        Ok(text) if shows_itself(text) => text.to_owned(),
        _ => hex_text(key.as_bytes()),
    };
    match text.char_indices().nth(KEY_CHARS_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn shows_itself(text: &str) -> bool {
    !text.starts_with("0x") && text.trim() == text && text.chars().all(is_plain)
}
