//! How many bytes a new leaf of each kind is charged for: its key, its value, and what a node spends on any leaf.
//!
//! One set of functions serves the bound at admission and the charge at execution, so they cannot differ.

use crate::key;
use crate::leaf::{BalanceLeaf, LineLeaf, NamespaceLeaf, TableLeaf};
use crate::limits::{NONCE_BITMAP_BYTES_MAX, RECORD_HEADER_BYTES};
use crate::{Namespace, RecordKey, TableName};

/// What a validator's memory spends on a leaf beyond its key and value: its node, the inner node above it, their
/// hashes and the allocator. (A tree of a million 32-byte keys with 100-byte values takes 380 bytes a key.)
pub const LEAF_OVERHEAD_BYTES: u32 = 250;

/// A new record.
#[must_use]
pub fn record(namespace: &Namespace, table: &TableName, key: &RecordKey, value: &[u8]) -> u32 {
    let key_bytes = key::record_bytes(namespace, table, key.as_bytes().len());
    leaf(key_bytes, RECORD_HEADER_BYTES.saturating_add(value.len()))
}

/// A new nonce window, charged at its largest, since it grows without being charged again.
#[must_use]
pub fn window(namespace: &Namespace) -> u32 {
    leaf(key::window_bytes(namespace), NONCE_BITMAP_BYTES_MAX.saturating_add(8))
}

/// A new table.
#[must_use]
pub fn table(namespace: &Namespace, table: &TableName) -> u32 {
    leaf(key::table_bytes(namespace, table), TableLeaf::BYTES)
}

/// A new namespace and its place in the index by owner.
#[must_use]
pub fn namespace(namespace: &Namespace) -> u32 {
    leaf(key::namespace_bytes(namespace), NamespaceLeaf::BYTES)
        .saturating_add(leaf(key::owned_bytes(namespace), key::OWNED_VALUE.len()))
}

/// A new nonce window of an account on the settlement chain, charged at its largest.
#[must_use]
pub fn own_window() -> u32 {
    leaf(key::OWN_WINDOW_BYTES, NONCE_BITMAP_BYTES_MAX.saturating_add(8))
}

/// A new account on the settlement chain.
#[must_use]
pub fn balance() -> u32 {
    leaf(key::BALANCE_BYTES, BalanceLeaf::BYTES_CHARGED)
}

/// A new line on the settlement chain, with the account's mark for the next round.
#[must_use]
pub fn line() -> u32 {
    leaf(key::LINE_BYTES, LineLeaf::BYTES_CHARGED).saturating_add(leaf(key::DUE_BYTES, 1))
}

/// A new leaf with a key and a value of these lengths.
#[must_use]
pub fn leaf(key_bytes: usize, value_bytes: usize) -> u32 {
    LEAF_OVERHEAD_BYTES.saturating_add(bytes(key_bytes.saturating_add(value_bytes)))
}

/// A length as it is metered.
#[must_use]
pub fn bytes(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
