//! How many mutations a second the engine takes from signed bytes to committed, without a transport around it.
//!
//! `cargo run -p db3-chain --example throughput -- [PAIRS] [MUTATIONS] [IN_FLIGHT] [VALIDATORS] [TIMEOUT_COMMIT_MS] [RATE]`
//! (defaults 1, 60 000, 4 096, 0, 200, 0). VALIDATORS 0 is the embedded engine; else so many nodes run in this process,
//! each with its `CometBFT`, and mutations go to all of them. RATE 0 sends as fast as `IN_FLIGHT` allows; else so many a
//! second at even intervals, and latency counts from when a batch was due. Prints mutations a second, commit latency, where the engine's
//! time went, `CometBFT`'s processor time, and how long the next start takes. Signing is done before the clock starts.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measurement"
)]

use std::net::TcpListener;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use db3_carry::Delivery;
use db3_carry::build::Source;
use db3_chain::{ChainConfig, ChainHandle, EngineKind, InitInput, genesis_file, init};
use db3_comet::{CometSettings, keys};
use db3_genesis::{GenesisDocument, GenesisInput, PeerEntry, ShardGenesis, TrustEntry, Validator};
use db3_light_client::{Options, UnixTime};
use db3_primitives::{
    BlockTime, ChainId, CreditEntry, Epoch, Heartbeat, Height, LineEntry, Mutation, Namespace, NetworkName, Nonce,
    Operation, RecordKey, Scheme, SecretKey, ShardId, Tai, Write, sign_mutation,
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

/// A shard, and what the settlement chain that it hears tells it: a line for every account.
fn credit() -> (InitInput, Delivery) {
    let network: NetworkName = "bench".parse().unwrap();
    let (settlement, shard) = (ChainId::settlement(&network), ChainId::shard(&network, ShardId::new(0)));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() - 10;
    let at = |nanos| UnixTime::new(i64::try_from(now).unwrap(), nanos).unwrap();
    let mut source = Source::new(settlement.clone(), &[([200; 32], 1)], at(0)).unwrap();
    let heartbeat = Heartbeat { epoch: Epoch::new(0), lease: Epoch::new(u64::MAX), inbox_cursor: 0 };
    let line = |seed: u8| {
        let account = SecretKey::from_bytes([seed; 32]).unwrap().address();
        CreditEntry::Line(LineEntry { account, ceiling: Tai::new(1_000_000_000_000_000) })
    };
    for entry in std::iter::once(CreditEntry::Heartbeat(heartbeat)).chain((1..=ACCOUNTS).map(line)) {
        source.append(&shard, &entry.to_bytes()).unwrap();
    }
    source.block(at(1)).unwrap();
    let root = source.peer(Options::never_expires()).root;
    let validators = root.validators().validators().into_iter();
    let trust = TrustEntry {
        height: root.height(),
        time: BlockTime { secs: u64::try_from(root.time().secs()).unwrap(), nanos: root.time().nanos() },
        validators: validators.map(|(pubkey, power)| Validator { pubkey, power }).collect(),
    };
    let peer = PeerEntry::new(&settlement, &trust, None);
    let app_state = ShardGenesis::new(&network, ShardId::new(0), 1, NonZeroU64::new(600).unwrap(), peer);
    let delivery = source.delivery(&shard, 0, usize::MAX, 0).unwrap();
    (InitInput { app_state: app_state.into(), time: Some(BlockTime::from_secs(now)) }, delivery)
}

async fn send(chain: ChainHandle, batches: Vec<(Option<Instant>, Vec<Bytes>)>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for (due, batch) in batches {
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let started = due.unwrap_or_else(Instant::now);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        for submitted in chain.submit_batch(batch).await {
            let state = submitted.expect("it is taken").receipt.committed(deadline).await;
            assert!(matches!(state, db3_chain::ReceiptState::Done(_)), "{state:?}");
            latencies.push(started.elapsed());
        }
    }
    latencies
}

/// Folders of so many validators of one chain.
fn validators(folder: &Path, count: usize, input: InitInput, timeout_commit_ms: u64) -> Vec<ChainConfig> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    let homes: Vec<_> = (0..count).map(|number| folder.join(format!("n{number}"))).collect();
    let publics: Vec<_> = homes
        .iter()
        .map(|home| {
            std::fs::create_dir_all(home.join("config")).unwrap();
            keys::ensure(home).unwrap()
        })
        .collect();
    let genesis = GenesisDocument::new(GenesisInput {
        time: input.time.unwrap(),
        initial_height: Height::new(1),
        validators: publics.iter().map(|public| Validator { pubkey: public.validator, power: 10 }).collect(),
        app_hash: None,
        app_state: input.app_state,
    })
    .unwrap();
    let peer = |number: usize| format!("{}@127.0.0.1:{}", publics[number].node_id_hex(), ports[number]);
    homes
        .iter()
        .enumerate()
        .map(|(own, home)| {
            genesis.save(&genesis_file(home)).unwrap();
            let cometbft = CometSettings {
                p2p_listen: format!("127.0.0.1:{}", ports[own]),
                persistent_peers: (0..count).filter(|number| *number != own).map(peer).collect(),
                pex: false,
                private_network: true,
                timeout_commit_ms,
                ..CometSettings::default()
            };
            ChainConfig { engine: EngineKind::CometBft, cometbft, ..ChainConfig::new(home) }
        })
        .collect()
}

/// Seconds of processor time of the processes that this one started.
fn children_seconds() -> f64 {
    let own = std::process::id().to_string();
    let stats = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let fields: Vec<String> = stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect();
        (*fields.get(1)? == own).then_some(())?;
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    });
    stats.sum::<f64>() / 100.0
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let pairs = arguments.next().unwrap_or(1);
    let mutations = arguments.next().unwrap_or(60_000);
    let in_flight = arguments.next().unwrap_or(4_096);
    let count = arguments.next().unwrap_or(0);
    let timeout_commit_ms = arguments.next().unwrap_or(200) as u64;
    let rate = arguments.next().unwrap_or(0);
    let folder = tempfile::tempdir().unwrap();
    let (input, credit) = credit();
    let configs = if count == 0 {
        let home = folder.path().join("node");
        init(&home, &input, &ChainConfig::default()).unwrap();
        vec![ChainConfig::new(&home)]
    } else {
        validators(folder.path(), count, input, timeout_commit_ms)
    };
    let mut chains = Vec::new();
    for config in &configs {
        chains.push(ChainHandle::launch(config.clone()).await.unwrap());
    }
    for chain in &chains {
        chain.ready().await.unwrap();
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let height = chains[0].submit_delivery(credit).await.unwrap().block(deadline).await.unwrap().unwrap();
    for chain in &chains {
        chain.wait_height(height, deadline).await.unwrap();
    }
    let envelopes = sign_all(mutations, pairs, chains[0].now().secs);
    let bytes = envelopes.first().map_or(0, Bytes::len);

    let senders = in_flight.div_ceil(BATCH);
    let before = children_seconds();
    let started = Instant::now();
    let mut work = vec![Vec::new(); senders];
    for (number, batch) in envelopes.chunks(BATCH).enumerate() {
        let due = (rate > 0).then(|| started + Duration::from_secs_f64((number * BATCH) as f64 / rate as f64));
        work[number % senders].push((due, batch.to_vec()));
    }
    let nodes = chains.iter().cycle().cloned();
    let tasks: Vec<_> = work.into_iter().zip(nodes).map(|(batches, node)| tokio::spawn(send(node, batches))).collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    let took = started.elapsed();
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).map_or(0, Duration::as_millis);
    let blocks = chains[0].committed().height;
    println!(
        "{:.0} mutations/s ({pairs} pairs, {bytes} bytes each, {mutations} in {:.2} s, {senders} x {BATCH} in flight); \
         commit p50 {} ms, p99 {} ms; {blocks} blocks",
        mutations as f64 / took.as_secs_f64(),
        took.as_secs_f64(),
        at(50),
        at(99),
    );
    if count > 0 {
        let seconds = children_seconds() - before;
        let megabytes = (bytes * mutations) as f64 / 1e6;
        println!("CometBFT: {seconds:.1} CPU seconds, {:.0} ms per MB", seconds * 1_000.0 / megabytes);
    }
    for line in
        chains[0].metrics_text().lines().filter(|line| line.contains("_seconds_sum") || line.contains("_seconds_count"))
    {
        println!("{line}");
    }
    for chain in &chains {
        chain.shutdown().await;
    }
    drop(chains);
    let started = Instant::now();
    let chain = ChainHandle::launch(configs[0].clone()).await.unwrap();
    let leaves = chain.committed().state.tree().len();
    println!("cold start with {leaves} leaves: {:.2} s", started.elapsed().as_secs_f64());
}
