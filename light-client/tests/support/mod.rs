//! A chain made with `build`: its headers, commits and light blocks.

#![allow(dead_code, reason = "each test file uses its part")]

use db3_light_client::build::{
    EMPTY_HASH, HeaderInput, ValidatorKey, block_bytes, block_id, light_block_bytes, make_header, sign_commit,
};
use db3_light_client::{LightClient, Options, TrustRoot, UnixTime, ValidatorSet};
use tendermint::block::{Commit, Header, Id};

pub const CHAIN: &str = "test-shard-0";
pub const GENESIS_SECS: i64 = 1_700_000_000;
/// Seconds between blocks.
pub const STEP: i64 = 10;

pub fn time(secs: i64) -> UnixTime {
    UnixTime::new(secs, 0).unwrap()
}

/// Time of the block at a height.
pub fn time_at(height: u64) -> UnixTime {
    time(GENESIS_SECS + STEP * (i64::try_from(height).unwrap() - 1))
}

pub fn key(number: u16) -> ValidatorKey {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&number.to_be_bytes());
    ValidatorKey::from_seed(seed)
}

/// Keys number `from` to `to` with power 10 each.
pub fn members(from: u16, to: u16) -> Vec<(u16, u64)> {
    (from..to).map(|number| (number, 10)).collect()
}

pub fn pairs(members: &[(u16, u64)]) -> Vec<([u8; 32], u64)> {
    members.iter().map(|(number, power)| (key(*number).public_key(), *power)).collect()
}

pub fn set_of(members: &[(u16, u64)]) -> ValidatorSet {
    ValidatorSet::new(&pairs(members)).unwrap()
}

#[derive(Clone)]
pub struct Made {
    pub header: Header,
    pub commit: Commit,
    pub id: Id,
    pub validators: ValidatorSet,
    pub next_validators: ValidatorSet,
    pub light: Vec<u8>,
}

impl Made {
    pub fn hash(&self) -> [u8; 32] {
        self.header.hash().as_bytes().try_into().unwrap()
    }

    pub fn next(&self) -> Vec<u8> {
        self.next_validators.to_proto_bytes()
    }
}

/// What makes a block differ from the usual one.
#[derive(Clone, Copy)]
pub struct Twist<'a> {
    pub chain_id: &'a str,
    pub app_hash: &'a [u8],
    pub time: Option<UnixTime>,
    /// How many of the validators sign, in the order of the set.
    pub signers: usize,
}

impl Default for Twist<'_> {
    fn default() -> Self {
        Self { chain_id: CHAIN, app_hash: &[0xaa; 32], time: None, signers: usize::MAX }
    }
}

pub fn block(
    height: u64,
    before: Option<&Made>,
    members: &[(u16, u64)],
    next: &[(u16, u64)],
    twist: Twist<'_>,
) -> Made {
    let (validators, next_validators) = (set_of(members), set_of(next));
    let time = twist.time.unwrap_or_else(|| time_at(height));
    let txs = [format!("tx {height}").into_bytes()];
    let header = make_header(&HeaderInput {
        chain_id: twist.chain_id,
        app_version: 1,
        height,
        time,
        last_block_id: before.map(|before| before.id),
        last_commit: before.map(|before| &before.commit),
        txs: &txs,
        validators: &validators,
        next_validators: &next_validators,
        consensus_hash: [1; 32],
        app_hash: twist.app_hash,
        last_results_hash: EMPTY_HASH,
        proposer: None,
    })
    .unwrap();
    let id = block_id(&header, &block_bytes(&header, &txs, before.map(|before| &before.commit))).unwrap();
    let order = validators.addresses();
    let mut keys: Vec<ValidatorKey> = members.iter().map(|(number, _)| key(*number)).collect();
    keys.sort_by_key(|key| order.iter().position(|address| *address == key.address()));
    keys.truncate(twist.signers);
    let commit = sign_commit(&keys, &validators, twist.chain_id, height, 0, id, time).unwrap();
    let light = light_block_bytes(&header, &commit, &validators);
    Made { header, commit, id, validators, next_validators, light }
}

/// Heights 1 to `heights`, the set of each by `members_at`.
pub fn chain(heights: u64, members_at: impl Fn(u64) -> Vec<(u16, u64)>) -> Vec<Made> {
    let mut blocks: Vec<Made> = Vec::new();
    for height in 1..=heights {
        let made = block(height, blocks.last(), &members_at(height), &members_at(height + 1), Twist::default());
        blocks.push(made);
    }
    blocks
}

pub fn root(members: &[(u16, u64)]) -> TrustRoot {
    TrustRoot::of_genesis(CHAIN, 1, time(GENESIS_SECS), &pairs(members)).unwrap()
}

pub fn client(members: &[(u16, u64)]) -> LightClient {
    LightClient::from_root(root(members), Options::never_expires())
}

pub const NOW: i64 = GENESIS_SECS + 1_000_000;

pub fn now() -> UnixTime {
    time(NOW)
}
