//! What one update costs: `cargo run -p db3-light-client --example update_cost`.
//!
//! Prints, for sets of 1, 4 and 100 validators that all sign, the median time to verify a header that follows the trusted one,
//! to verify one by skipping, to be given a trusted one again, and to make a block.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measurement on the developer's machine"
)]

use std::hint::black_box;
use std::time::Instant;

use db3_light_client::build::{
    EMPTY_HASH, HeaderInput, ValidatorKey, block_bytes, block_id, light_block_bytes, make_header, sign_commit,
};
use db3_light_client::{LightClient, Options, TrustRoot, UnixTime, ValidatorSet};

const CHAIN: &str = "cost-shard-0";

fn main() {
    println!("validators  light block  adjacent  skipping  known again  make and sign");
    for validators in [1_u8, 4, 100] {
        let keys: Vec<ValidatorKey> = (1..=validators).map(|seed| ValidatorKey::from_seed([seed; 32])).collect();
        let pairs: Vec<([u8; 32], u64)> = keys.iter().map(|key| (key.public_key(), 10)).collect();
        let set = ValidatorSet::new(&pairs).unwrap();
        let time = UnixTime::new(1_700_000_000, 0).unwrap();
        let root = TrustRoot::of_genesis(CHAIN, 1, time, &pairs).unwrap();
        let client = LightClient::from_root(root, Options::never_expires());
        let (first, third) = (light_block(&keys, &set, 1, time), light_block(&keys, &set, 3, time));
        let mut knowing = client.clone();
        knowing.verify(&first, None, time).unwrap();
        println!(
            "{validators:>10} {:>10} B {:>6.0} µs {:>6.0} µs {:>9.1} µs {:>11.0} µs",
            first.len(),
            median(|| client.clone().verify(black_box(&first), None, time).unwrap()),
            median(|| client.clone().verify(black_box(&third), None, time).unwrap()),
            median(|| knowing.verify(black_box(&first), None, time).unwrap()),
            median(|| light_block(black_box(&keys), &set, 1, time)),
        );
    }
}

fn light_block(keys: &[ValidatorKey], set: &ValidatorSet, height: u64, time: UnixTime) -> Vec<u8> {
    let txs: [&[u8]; 0] = [];
    let header = make_header(&HeaderInput {
        chain_id: CHAIN,
        app_version: 1,
        height,
        time,
        last_block_id: None,
        last_commit: None,
        txs: &txs,
        validators: set,
        next_validators: set,
        consensus_hash: [1; 32],
        app_hash: &[2; 32],
        last_results_hash: EMPTY_HASH,
        proposer: None,
    })
    .unwrap();
    let id = block_id(&header, &block_bytes(&header, &txs, None)).unwrap();
    let commit = sign_commit(keys, set, CHAIN, height, 0, id, time).unwrap();
    light_block_bytes(&header, &commit, set)
}

/// Median of 101 runs, in microseconds.
fn median<T>(mut run: impl FnMut() -> T) -> f64 {
    let mut times: Vec<u128> = (0..101)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2] as f64 / 1_000.0
}
