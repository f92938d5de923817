//! A second, naive tree, written from the definition alone: bits in vectors, recursion over sorted lists, the textbook
//! hash. It shares nothing with the crate, and is slow.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

pub type Map = BTreeMap<Vec<u8>, Vec<u8>>;
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

pub fn sha(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn bits(key: &[u8]) -> Vec<u8> {
    let mut bits = Vec::new();
    for byte in key {
        bits.push(1);
        bits.extend((0..8).map(|place| (byte >> (7 - place)) & 1));
    }
    bits.push(0);
    bits
}

pub fn leaf(key: &[u8], value: &[u8]) -> [u8; 32] {
    let mut preimage = vec![0];
    let mut len = key.len();
    while len >= 128 {
        preimage.push(u8::try_from(len % 128).unwrap() + 128);
        len /= 128;
    }
    preimage.push(u8::try_from(len).unwrap());
    preimage.extend(key);
    preimage.push(32);
    preimage.extend(sha(value));
    sha(&preimage)
}

pub fn root(map: &Map) -> [u8; 32] {
    let leaves: Vec<_> = map.iter().map(|(key, value)| (bits(key), leaf(key, value))).collect();
    if leaves.is_empty() { sha(b"") } else { subtree(&leaves) }
}

fn subtree(leaves: &[(Vec<u8>, [u8; 32])]) -> [u8; 32] {
    if let [(_, hash)] = leaves {
        return *hash;
    }
    let position =
        (0..leaves[0].0.len()).find(|&at| leaves.iter().any(|(bits, _)| bits[at] != leaves[0].0[at])).unwrap();
    let (left, right): (Vec<_>, Vec<_>) = leaves.iter().cloned().partition(|(bits, _)| bits[position] == 0);
    let mut preimage = vec![1];
    preimage.extend(subtree(&left));
    preimage.extend(subtree(&right));
    sha(&preimage)
}

/// Keys that often are prefixes of each other or differ in one bit, and some that are not like that.
pub fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(vec![0_u8, 1, 2, 0x61, 0x7f, 0x80, 0xfe, 0xff]);
    prop_oneof![
        6 => vec(byte, 1..5),
        2 => vec(any::<u8>(), 1..40),
        1 => (1_usize..=512, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

pub fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => vec(any::<u8>(), 1..4), 1 => vec(any::<u8>(), 1..200)]
}

pub fn map(max: usize) -> impl Strategy<Value = Map> {
    btree_map(key(), value(), 0..max)
}

pub fn changes(max: usize) -> impl Strategy<Value = Changes> {
    btree_map(key(), prop::option::weighted(0.6, value()), 0..max)
}

pub fn change(map: &mut Map, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

pub fn tree(map: &Map) -> db3_state_tree::Tree {
    let batch = map.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    db3_state_tree::Tree::new().apply(batch).unwrap()
}

/// What `map` has in `[from, to)`.
pub fn range(map: &Map, from: &[u8], to: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
    map.iter()
        .filter(|(key, _)| key.as_slice() >= from && to.is_none_or(|to| key.as_slice() < to))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
