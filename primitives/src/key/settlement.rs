//! Keys of the settlement chain's state.

use super::{ADDRESS_BYTES, WINDOW, joined};
use crate::{Address, ShardId};

const BALANCE: &[u8] = b"bal/";
const CUT: &[u8] = b"cut/";
const DUE: &[u8] = b"due/";
const DUES: &[u8] = b"dues/";
const LINE: &[u8] = b"line/";
const PASSED: &[u8] = b"passed/";
const PAYOUT: &[u8] = b"payout/";
const SHARD: &[u8] = b"shard/";

/// Length of [`balance`]'s key.
pub const BALANCE_BYTES: usize = BALANCE.len() + ADDRESS_BYTES;
/// Length of [`line`]'s key.
pub const LINE_BYTES: usize = LINE.len() + ADDRESS_BYTES + size_of::<u32>();
/// Length of [`due`]'s key.
pub const DUE_BYTES: usize = DUE.len() + ADDRESS_BYTES;
/// Length of [`own_window`]'s key.
pub const OWN_WINDOW_BYTES: usize = WINDOW.len() + ADDRESS_BYTES;

/// An account's money.
#[must_use]
pub fn balance(account: &Address) -> Vec<u8> {
    joined(&[BALANCE, account.as_bytes()])
}

/// What the keys of all balances begin with.
#[must_use]
pub fn balance_prefix() -> Vec<u8> {
    BALANCE.to_vec()
}

/// The account that a balance's key names.
#[must_use]
pub fn split_balance(key: &[u8]) -> Option<Address> {
    Address::from_slice(key.strip_prefix(BALANCE)?).ok()
}

/// An account's line on a shard, as the settlement chain knows it.
#[must_use]
pub fn line(account: &Address, shard: ShardId) -> Vec<u8> {
    joined(&[LINE, account.as_bytes(), &shard.get().to_be_bytes()])
}

/// What the keys of all lines begin with.
#[must_use]
pub fn line_prefix() -> Vec<u8> {
    LINE.to_vec()
}

/// What the keys of all lines of one account begin with.
#[must_use]
pub fn line_prefix_of(account: &Address) -> Vec<u8> {
    joined(&[LINE, account.as_bytes()])
}

/// The account and the shard that a line's key names.
#[must_use]
pub fn split_line(key: &[u8]) -> Option<(Address, ShardId)> {
    let (account, shard) = key.strip_prefix(LINE)?.split_at_checked(ADDRESS_BYTES)?;
    Some((Address::from_slice(account).ok()?, ShardId::new(u32::from_be_bytes(shard.try_into().ok()?))))
}

/// What the settlement chain knows of a shard.
#[must_use]
pub fn shard(shard: ShardId) -> Vec<u8> {
    joined(&[SHARD, &shard.get().to_be_bytes()])
}

/// What the keys of all shards begin with.
#[must_use]
pub fn shard_prefix() -> Vec<u8> {
    SHARD.to_vec()
}

/// The shard that a shard's key names.
#[must_use]
pub fn split_shard(key: &[u8]) -> Option<ShardId> {
    shard_of(SHARD, key)
}

/// The mark of an account that the next round visits.
#[must_use]
pub fn due(account: &Address) -> Vec<u8> {
    joined(&[DUE, account.as_bytes()])
}

/// What the keys of all such marks begin with.
#[must_use]
pub fn due_prefix() -> Vec<u8> {
    DUE.to_vec()
}

/// The account that such a mark's key names.
#[must_use]
pub fn split_due(key: &[u8]) -> Option<Address> {
    Address::from_slice(key.strip_prefix(DUE)?).ok()
}

/// Where marking everybody goes on after a change of the factor: the first account that was not looked at. Only while it
/// goes on.
#[must_use]
pub fn sweep() -> Vec<u8> {
    b"sweep".to_vec()
}

/// A list of accounts that the next round visits: its first account, the shard that stated them, and the index of that
/// account's statement in the shard's log.
#[must_use]
pub fn dues(first: &Address, shard: ShardId, index: u64) -> Vec<u8> {
    joined(&[DUES, first.as_bytes(), &shard.get().to_be_bytes(), &index.to_be_bytes()])
}

/// What the keys of all such lists begin with.
#[must_use]
pub fn dues_prefix() -> Vec<u8> {
    DUES.to_vec()
}

/// The first account, the shard and the index that such a list's key names.
#[must_use]
pub fn split_dues(key: &[u8]) -> Option<(Address, ShardId, u64)> {
    let (first, rest) = key.strip_prefix(DUES)?.split_at_checked(ADDRESS_BYTES)?;
    let (shard, index) = rest.split_at_checked(size_of::<u32>())?;
    let shard = ShardId::new(u32::from_be_bytes(shard.try_into().ok()?));
    Some((Address::from_slice(first).ok()?, shard, u64::from_be_bytes(index.try_into().ok()?)))
}

/// A cut that a shard has not confirmed yet: the entry's index in the log to the shard.
#[must_use]
pub fn cut(shard: ShardId, index: u64) -> Vec<u8> {
    joined(&[CUT, &shard.get().to_be_bytes(), &index.to_be_bytes()])
}

/// What the keys of all unconfirmed cuts of one shard begin with.
#[must_use]
pub fn cut_prefix(shard: ShardId) -> Vec<u8> {
    joined(&[CUT, &shard.get().to_be_bytes()])
}

/// The shard and the index that a cut's key names.
#[must_use]
pub fn split_cut(key: &[u8]) -> Option<(ShardId, u64)> {
    let (shard, index) = key.strip_prefix(CUT)?.split_first_chunk()?;
    Some((ShardId::new(u32::from_be_bytes(*shard)), u64::from_be_bytes(index.try_into().ok()?)))
}

/// What counts for nothing of a shard's log.
#[must_use]
pub fn passed(shard: ShardId) -> Vec<u8> {
    joined(&[PASSED, &shard.get().to_be_bytes()])
}

/// The shard that such a key names.
#[must_use]
pub fn split_passed(key: &[u8]) -> Option<ShardId> {
    shard_of(PASSED, key)
}

/// Who shares in what is paid to a shard's validators, and by which power.
#[must_use]
pub fn payout(shard: ShardId) -> Vec<u8> {
    joined(&[PAYOUT, &shard.get().to_be_bytes()])
}

/// What the keys of all such lists begin with.
#[must_use]
pub fn payout_prefix() -> Vec<u8> {
    PAYOUT.to_vec()
}

/// The shard that such a list's key names.
#[must_use]
pub fn split_payout(key: &[u8]) -> Option<ShardId> {
    shard_of(PAYOUT, key)
}

/// The log of postings; its value is its frontier.
#[must_use]
pub fn postings() -> Vec<u8> {
    b"postings".to_vec()
}

/// The round: the newest one, and how far a running one is.
#[must_use]
pub fn round() -> Vec<u8> {
    b"round".to_vec()
}

/// How much money there is, and where.
#[must_use]
pub fn supply() -> Vec<u8> {
    b"supply".to_vec()
}

/// The nonce window of an account's transactions, a [`crate::NonceWindow`].
#[must_use]
pub fn own_window(account: &Address) -> Vec<u8> {
    joined(&[WINDOW, account.as_bytes()])
}

/// The account that the key of such a window names.
#[must_use]
pub fn split_own_window(key: &[u8]) -> Option<Address> {
    Address::from_slice(key.strip_prefix(WINDOW)?).ok()
}

fn shard_of(prefix: &[u8], key: &[u8]) -> Option<ShardId> {
    Some(ShardId::new(u32::from_be_bytes(key.strip_prefix(prefix)?.try_into().ok()?)))
}
