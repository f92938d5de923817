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
//! everything else.

use crate::hash::{hex_text, sha256};
use crate::quote::is_plain;
use crate::time::BlockTime;
use crate::{Mutation, Operation, RecordKey, Write};

/// How many operations are shown.
const OPERATIONS_SHOWN: usize = 8;
/// How much of a key is shown, in characters.
const KEY_CHARS_SHOWN: usize = 64;

/// The text that scheme 2 signs. `body` is the canonical encoding of `mutation`.
#[must_use]
pub fn signing_text(mutation: &Mutation, body: &[u8]) -> String {
    let Mutation { network, account, namespace, nonce, expire_unix_secs, max_fee, operations } = mutation;
    let mut lines = vec![
        "DB3 mutation".to_owned(),
        String::new(),
        format!("Network: {network}"),
        format!("Account: {account}"),
        format!("Namespace: {namespace}"),
        format!("Nonce: {nonce}"),
        format!("Expires: {}", BlockTime::from_secs(*expire_unix_secs)),
        format!("Fee limit: {} DB3", max_fee.to_db3_string()),
        String::new(),
        format!("Operations: {}", operations.len()),
    ];
    lines.extend(operations.iter().take(OPERATIONS_SHOWN).map(|operation| format!("- {}", shown_operation(operation))));
    let more = operations.len().saturating_sub(OPERATIONS_SHOWN);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.push(String::new());
    lines.push(format!("Body SHA-256: {}", hex_text(&sha256(&[body]))));
    lines.join("\n")
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
