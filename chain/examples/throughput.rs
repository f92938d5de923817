//! How many mutations a second the engine takes from signed bytes to committed, without a transport around it.
//!
//! `cargo run -p db3-chain --example throughput -- [PAIRS] [MUTATIONS] [IN_FLIGHT]` (defaults 1, 60 000, 4 096). Prints
//! mutations a second, commit latency, where the engine's time went, and how long the next start takes. Signing is done before the clock starts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measurement"
)]

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use bytes::Bytes;
use db3_chain::{ChainConfig, ChainHandle, InitInput, init};
use db3_primitives::{
    Mutation, Namespace, Nonce, Operation, RecordKey, Scheme, SecretKey, ShardId, Tai, Write, sign_mutation,
};
use db3_proto::{encode_body, encode_envelope};

/// Mutations of one account in flight stay within its nonce window.
const ACCOUNTS: u8 = 32;
const BATCH: usize = 64;

fn sign_all(mutations: usize, pairs: usize, now: u64) -> Vec<Bytes> {
    let keys: Vec<SecretKey> = (1..=ACCOUNTS).map(|seed| SecretKey::from_bytes([seed; 32]).unwrap()).collect();
    let sign = |number: usize| {
        let key = &keys[number % keys.len()];
        let put = |pair: usize| {
            Operation::Put(Write {
                table: "t".parse().unwrap(),
                key: RecordKey::new(format!("key-{number:08}-{pair:02}").into_bytes()).unwrap(),
                value: vec![7; 82],
                if_version: None,
            })
        };
        let mutation = Mutation {
            network: "bench".parse().unwrap(),
            account: key.address(),
            namespace: Namespace::own(&key.address()),
            nonce: Nonce::new((number / keys.len()) as u64 + 1),
            expire_unix_secs: now + 3_000,
            max_fee: Tai::new(1_000_000_000),
            operations: (0..pairs).map(put).collect(),
        };
        let body = encode_body(&mutation);
        Bytes::from(encode_envelope(&sign_mutation(key, &mutation, body, Scheme::Raw)))
    };
    (0..mutations).map(sign).collect()
}

async fn send(chain: ChainHandle, batches: Vec<Vec<Bytes>>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for batch in batches {
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        for submitted in chain.submit_batch(batch).await {
            let state = submitted.expect("it is taken").receipt.committed(deadline).await;
            assert!(matches!(state, db3_chain::ReceiptState::Done(_)), "{state:?}");
            latencies.push(started.elapsed());
        }
    }
    latencies
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let pairs = arguments.next().unwrap_or(1);
    let mutations = arguments.next().unwrap_or(60_000);
    let in_flight = arguments.next().unwrap_or(4_096);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("node");
    let lines = (1..=ACCOUNTS).map(|seed| SecretKey::from_bytes([seed; 32]).unwrap().address());
    let input = InitInput {
        network: "bench".parse().unwrap(),
        shard: ShardId::new(0),
        shards: 1,
        epoch_secs: NonZeroU64::new(600).unwrap(),
        lines: lines.map(|address| (address, Tai::new(1_000_000_000_000_000))).collect(),
        time: None,
    };
    init(&home, &input, &ChainConfig::default()).unwrap();
    let chain = ChainHandle::start(ChainConfig::new(&home)).await.unwrap();
    let envelopes = sign_all(mutations, pairs, chain.now().secs);
    let bytes = envelopes.first().map_or(0, Bytes::len);

    let senders = in_flight.div_ceil(BATCH);
    let mut work = vec![Vec::new(); senders];
    for (number, batch) in envelopes.chunks(BATCH).enumerate() {
        work[number % senders].push(batch.to_vec());
    }
    let started = Instant::now();
    let tasks: Vec<_> = work.into_iter().map(|batches| tokio::spawn(send(chain.clone(), batches))).collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    let took = started.elapsed();
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).map_or(0, Duration::as_millis);
    let blocks = chain.committed().height;
    println!(
        "{:.0} mutations/s ({pairs} pairs, {bytes} bytes each, {mutations} in {:.2} s, {senders} x {BATCH} in flight); \
         commit p50 {} ms, p99 {} ms; {blocks} blocks",
        mutations as f64 / took.as_secs_f64(),
        took.as_secs_f64(),
        at(50),
        at(99),
    );
    for line in
        chain.metrics_text().lines().filter(|line| line.contains("_seconds_sum") || line.contains("_seconds_count"))
    {
        println!("{line}");
    }
    chain.shutdown().await;
    drop(chain);
    let started = Instant::now();
    let chain = ChainHandle::start(ChainConfig::new(&home)).await.unwrap();
    let leaves = chain.committed().state.tree().len();
    println!("cold start with {leaves} leaves: {:.2} s", started.elapsed().as_secs_f64());
}
