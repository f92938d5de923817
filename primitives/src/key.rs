//! Keys of the state tree, all of them.
//!
//! | object | key | example |
//! |---|---|---|
//! | account line | `acct/` ‖ address (20) | `acct/` `abab…ab` |
//! | acknowledged part of an outbox | `acked/` ‖ chain id | `acked/devnet-settlement` |
//! | chain parameters | `chain` | |
//! | statement emission | `close` | |
//! | closed epoch | `epoch/` ‖ number (8, big endian) | `epoch/` `0000000000000007` |
//! | evidence against a validator | `evid/` ‖ Tendermint address (20) | `evid/` `cdcd…cd` |
//! | governance | `gov` | |
//! | namespace | `ns/` ‖ name | `ns/notes` |
//! | open epoch | `open` | |
//! | inbox | `inbox/` ‖ chain id | `inbox/devnet-settlement` |
//! | light client | `client/` ‖ chain id | `client/devnet-settlement` |
//! | outbox | `outbox/` ‖ chain id | `outbox/devnet-settlement` |
//! | peer | `peer/` ‖ chain id | `peer/devnet-settlement` |
//! | scheduled change | `plan/` ‖ height (8) ‖ sequence number (8) | `plan/` `0000000000000064` `0000000000000001` |
//! | namespaces by owner | `own/` ‖ address (20) ‖ name | `own/` `abab…ab` `notes` |
//! | record | `rec/` ‖ length (1) ‖ namespace ‖ length (1) ‖ table ‖ key | `rec/` `05` `notes` `06` `cities` `berlin` |
//! | table | `tbl/` ‖ length (1) ‖ namespace ‖ table | `tbl/` `05` `notes` `cities` |
//! | nonce window | `win/` ‖ address (20) ‖ namespace | `win/` `abab…ab` `notes` |
//!
//! On the settlement chain, beside `chain`, inboxes, light clients, outboxes, peers and what governance keeps:
//!
//! | object | key | example |
//! |---|---|---|
//! | balance | `bal/` ‖ address (20) | `bal/` `abab…ab` |
//! | unconfirmed cut | `cut/` ‖ shard (4) ‖ index in the log to it (8) | `cut/` `00000001` `0000000000000007` |
//! | mark of an account that the next round visits | `due/` ‖ address (20) | `due/` `abab…ab` |
//! | list of accounts that the next round visits | `dues/` ‖ the first (20) ‖ shard (4) ‖ index in the log from it (8) | `dues/` `abab…ab` `00000001` `0000000000000007` |
//! | line | `line/` ‖ address (20) ‖ shard (4) | `line/` `abab…ab` `00000001` |
//! | payout list | `payout/` ‖ shard (4) | `payout/` `00000001` |
//! | log of postings | `postings` | |
//! | round | `round` | |
//! | shard | `shard/` ‖ shard (4) | `shard/` `00000001` |
//! | supply | `supply` | |
//! | where marking everybody goes on | `sweep` | |
//! | nonce window | `win/` ‖ address (20) | `win/` `abab…ab` |
//!
//! Every part but the last has a fixed width or its length before it, so no two objects share a key. The parts'
//! types bound the length; the longest key has 390 bytes.

mod channel;
mod governance;
mod settlement;

pub use channel::{
    acknowledged, client, client_prefix, inbox, inbox_prefix, outbox, outbox_prefix, peer, peer_prefix,
    split_acknowledged, split_client, split_inbox, split_outbox, split_peer,
};
pub use governance::{evidence, evidence_prefix, governance, plan, plan_prefix, split_evidence, split_plan};
pub use settlement::{
    BALANCE_BYTES, DUE_BYTES, LINE_BYTES, OWN_WINDOW_BYTES, balance, balance_prefix, cut, cut_prefix, due, due_prefix,
    dues, dues_prefix, line, line_prefix, line_prefix_of, own_window, passed, payout, payout_prefix, postings, round,
    shard, shard_prefix, split_balance, split_cut, split_due, split_dues, split_line, split_own_window, split_passed,
    split_payout, split_shard, supply, sweep,
};

use crate::{Address, Epoch, Namespace, RecordKey, TableName};

const ACCOUNT: &[u8] = b"acct/";
const EPOCH: &[u8] = b"epoch/";
const NAMESPACE: &[u8] = b"ns/";
const OWNED: &[u8] = b"own/";
const RECORD: &[u8] = b"rec/";
const TABLE: &[u8] = b"tbl/";
const WINDOW: &[u8] = b"win/";
const ADDRESS_BYTES: usize = 20;

/// The value of every key of the index of namespaces by owner; no stored value is empty.
pub const OWNED_VALUE: &[u8] = &[1];

/// The chain's parameters, a [`crate::ChainLeaf`].
#[must_use]
pub fn chain() -> Vec<u8> {
    b"chain".to_vec()
}

/// The emission of a close's statements, a [`crate::EmissionLeaf`]; present only while it goes on.
#[must_use]
pub fn emission() -> Vec<u8> {
    b"close".to_vec()
}

/// The open epoch, a [`crate::OpenEpochLeaf`].
#[must_use]
pub fn open_epoch() -> Vec<u8> {
    b"open".to_vec()
}

/// An account's credit line, a [`crate::AccountLeaf`].
#[must_use]
pub fn account(account: &Address) -> Vec<u8> {
    joined(&[ACCOUNT, account.as_bytes()])
}

/// What the keys of all accounts begin with.
#[must_use]
pub fn account_prefix() -> Vec<u8> {
    ACCOUNT.to_vec()
}

/// The account that an account key names.
#[must_use]
pub fn split_account(key: &[u8]) -> Option<Address> {
    Address::from_slice(key.strip_prefix(ACCOUNT)?).ok()
}

/// A closed epoch; its value is the 32-byte hash of its [`crate::EpochClose`].
#[must_use]
pub fn epoch(epoch: Epoch) -> Vec<u8> {
    joined(&[EPOCH, &epoch.get().to_be_bytes()])
}

/// What the keys of all closed epochs begin with.
#[must_use]
pub fn epoch_prefix() -> Vec<u8> {
    EPOCH.to_vec()
}

/// The epoch that an epoch key names.
#[must_use]
pub fn split_epoch(key: &[u8]) -> Option<Epoch> {
    let number: [u8; 8] = key.strip_prefix(EPOCH)?.try_into().ok()?;
    Some(Epoch::new(u64::from_be_bytes(number)))
}

/// A namespace, a [`crate::NamespaceLeaf`].
#[must_use]
pub fn namespace(namespace: &Namespace) -> Vec<u8> {
    joined(&[NAMESPACE, namespace.as_str().as_bytes()])
}

/// What the keys of all namespaces begin with.
#[must_use]
pub fn namespace_prefix() -> Vec<u8> {
    NAMESPACE.to_vec()
}

/// The namespace that a namespace key names.
#[must_use]
pub fn split_namespace(key: &[u8]) -> Option<Namespace> {
    text(key.strip_prefix(NAMESPACE)?)?.parse().ok()
}

/// Length of [`namespace`]'s key.
#[must_use]
pub fn namespace_bytes(namespace: &Namespace) -> usize {
    NAMESPACE.len().saturating_add(namespace.as_str().len())
}

/// The place of a namespace in the index by owner; its value is [`OWNED_VALUE`].
#[must_use]
pub fn owned(owner: &Address, namespace: &Namespace) -> Vec<u8> {
    joined(&[OWNED, owner.as_bytes(), namespace.as_str().as_bytes()])
}

/// What the index keys of one owner's namespaces begin with.
#[must_use]
pub fn namespaces_of(owner: &Address) -> Vec<u8> {
    joined(&[OWNED, owner.as_bytes()])
}

/// The owner and the namespace that an index key names.
#[must_use]
pub fn split_owned(key: &[u8]) -> Option<(Address, Namespace)> {
    let (owner, name) = key.strip_prefix(OWNED)?.split_at_checked(ADDRESS_BYTES)?;
    Some((Address::from_slice(owner).ok()?, text(name)?.parse().ok()?))
}

/// Length of [`owned`]'s key.
#[must_use]
pub fn owned_bytes(namespace: &Namespace) -> usize {
    OWNED.len().saturating_add(ADDRESS_BYTES).saturating_add(namespace.as_str().len())
}

/// A record; its value is a [`crate::RecordHeader`] and the record's bytes.
#[must_use]
pub fn record(namespace: &Namespace, table: &TableName, key: &RecordKey) -> Vec<u8> {
    joined(&[
        RECORD,
        &length(namespace.as_str()),
        bytes(namespace),
        &length(table.as_str()),
        table.as_str().as_bytes(),
        key.as_bytes(),
    ])
}

/// What the keys of all records of a table begin with; a record's key follows.
#[must_use]
pub fn record_prefix(namespace: &Namespace, table: &TableName) -> Vec<u8> {
    joined(&[RECORD, &length(namespace.as_str()), bytes(namespace), &length(table.as_str()), table.as_str().as_bytes()])
}

/// The namespace, table and key that a record's tree key names.
#[must_use]
pub fn split_record(key: &[u8]) -> Option<(Namespace, TableName, RecordKey)> {
    let (namespace, rest) = split_named(key.strip_prefix(RECORD)?)?;
    let (table, key) = split_named(rest)?;
    Some((namespace.parse().ok()?, table.parse().ok()?, RecordKey::try_from(key).ok()?))
}

/// Length of [`record`]'s key for a record key of `key_bytes` bytes.
#[must_use]
pub fn record_bytes(namespace: &Namespace, table: &TableName, key_bytes: usize) -> usize {
    [RECORD.len(), 1, namespace.as_str().len(), 1, table.as_str().len(), key_bytes]
        .into_iter()
        .fold(0, usize::saturating_add)
}

/// A table, a [`crate::TableLeaf`].
#[must_use]
pub fn table(namespace: &Namespace, table: &TableName) -> Vec<u8> {
    joined(&[TABLE, &length(namespace.as_str()), bytes(namespace), table.as_str().as_bytes()])
}

/// What the keys of all tables of a namespace begin with.
#[must_use]
pub fn table_prefix(namespace: &Namespace) -> Vec<u8> {
    joined(&[TABLE, &length(namespace.as_str()), bytes(namespace)])
}

/// The namespace and table that a table's tree key names.
#[must_use]
pub fn split_table(key: &[u8]) -> Option<(Namespace, TableName)> {
    let (namespace, table) = split_named(key.strip_prefix(TABLE)?)?;
    Some((namespace.parse().ok()?, text(table)?.parse().ok()?))
}

/// Length of [`table`]'s key.
#[must_use]
pub fn table_bytes(namespace: &Namespace, table: &TableName) -> usize {
    [TABLE.len(), 1, namespace.as_str().len(), table.as_str().len()].into_iter().fold(0, usize::saturating_add)
}

/// A [`crate::NonceWindow`].
#[must_use]
pub fn window(account: &Address, namespace: &Namespace) -> Vec<u8> {
    joined(&[WINDOW, account.as_bytes(), bytes(namespace)])
}

/// The account and namespace that a window's tree key names.
#[must_use]
pub fn split_window(key: &[u8]) -> Option<(Address, Namespace)> {
    let (account, name) = key.strip_prefix(WINDOW)?.split_at_checked(ADDRESS_BYTES)?;
    Some((Address::from_slice(account).ok()?, text(name)?.parse().ok()?))
}

/// Length of [`window`]'s key.
#[must_use]
pub fn window_bytes(namespace: &Namespace) -> usize {
    WINDOW.len().saturating_add(ADDRESS_BYTES).saturating_add(namespace.as_str().len())
}

/// The least key above all that begin with `prefix`, so that these are the keys of [prefix, end); `None` if no key is
/// above them (the prefix is empty or all 0xff).
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte = byte.saturating_add(1);
    }
    Some(end)
}

/// Inlined, so that most keys, whose parts have lengths that the compiler knows, are written without a loop.
#[inline]
fn joined<const N: usize>(parts: &[&[u8]; N]) -> Vec<u8> {
    let mut key = Vec::with_capacity(parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len())));
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

fn bytes(namespace: &Namespace) -> &[u8] {
    namespace.as_str().as_bytes()
}

/// A name's length in one byte; names have at most 64 bytes.
fn length(name: &str) -> [u8; 1] {
    [u8::try_from(name.len()).unwrap_or(u8::MAX)]
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A length byte, so many bytes of text, and what follows.
fn split_named(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((text(name)?, rest))
}
