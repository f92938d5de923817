//! `db3 bench read`: batched reads of random records, each with its proof and verified here, or plain.

use std::sync::Arc;
use std::time::Instant;

use db3_primitives::{Namespace, RecordKey};

use super::super::account::keys_of_network;
use super::super::args::BenchReadArgs;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::value::Object;
use super::latency::Latencies;
use crate::{Client, ClientError, Options, WaitMode};

const TABLE: &str = "bench-read";
/// Bytes of a value.
const VALUE_BYTES: usize = 100;
/// Records of one mutation, and keys of one comparison.
const GROUP: usize = 200;

/// `db3 bench read`
pub async fn read(session: &Session, args: &BenchReadArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let keys = keys_of_network(session, &network, 2)?;
    let file = network.file.clone();
    let client = session.client_of(network.file).await?;
    let mut namespaces = Vec::new();
    for key in &keys {
        let namespace = Namespace::own(&key.address());
        fill(session, &client, key, &namespace, args.records).await?;
        namespaces.push(namespace);
    }
    let client = if args.plain {
        let options = Options { unverified: true, ..client.options().clone() };
        Arc::new(Client::connect(file, options).await?)
    } else {
        Arc::new(client)
    };

    let begin = Instant::now();
    let workers: Vec<_> = (0..args.concurrency)
        .map(|worker| {
            let namespace = namespaces
                .get(usize::try_from(worker).unwrap_or(0).checked_rem(namespaces.len()).unwrap_or(0))
                .cloned();
            let (client, end) = (Arc::clone(&client), begin.checked_add(args.seconds).unwrap_or(begin));
            tokio::spawn(work(client, namespace, (args.records, args.batch), u64::from(worker), end))
        })
        .collect();
    let mut latencies = Latencies::default();
    let mut records = 0u64;
    for worker in workers {
        let (of_worker, count) =
            worker.await.map_err(|error| Failure::input(format!("a reader died: {error}"), "try again"))??;
        latencies.extend(of_worker);
        records = records.saturating_add(count);
    }
    let seconds = begin.elapsed().as_secs_f64();
    session.output.object(
        &Object::new()
            .with("records", records)
            .with("verified", !args.plain)
            .with("batch", args.batch)
            .with("concurrency", args.concurrency)
            .with("seconds", seconds)
            .with("records_per_second", f64::from(u32::try_from(records).unwrap_or(u32::MAX)) / seconds)
            .with("p50_ms", latencies.percentile_ms(50))
            .with("p99_ms", latencies.percentile_ms(99)),
    )
}

async fn work(
    client: Arc<Client>,
    namespace: Option<Namespace>,
    (records, batch): (u32, u32),
    seed: u64,
    end: Instant,
) -> Result<(Latencies, u64), ClientError> {
    let Some(namespace) = namespace else { return Ok((Latencies::default(), 0)) };
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut latencies = Latencies::default();
    let mut count = 0u64;
    while Instant::now() < end {
        let mut keys = Vec::new();
        for _ in 0..batch {
            // Xorshift: the keys need no better dice.
            random ^= random.wrapping_shl(13);
            random ^= random.wrapping_shr(7);
            random ^= random.wrapping_shl(17);
            keys.push(key_of(random.checked_rem(u64::from(records)).unwrap_or(0))?);
        }
        let begin = Instant::now();
        let answer = client.get_many(namespace.as_str(), TABLE, &keys).await?;
        latencies.push(begin.elapsed());
        if answer.value.iter().any(Option::is_none) {
            return Err(ClientError::input("a record that was written is not there", "run it again"));
        }
        count = count.saturating_add(u64::from(batch));
    }
    Ok((latencies, count))
}

/// Writes the records that are missing.
async fn fill(
    session: &Session,
    client: &Client,
    key: &db3_primitives::SecretKey,
    namespace: &Namespace,
    records: u32,
) -> Result<(), Failure> {
    let keys = (0..u64::from(records)).map(key_of).collect::<Result<Vec<_>, _>>()?;
    let mut missing = Vec::new();
    for some in keys.chunks(GROUP) {
        let answer = client.get_many(namespace.as_str(), TABLE, some).await?;
        missing
            .extend(some.iter().zip(answer.value).filter(|(_, record)| record.is_none()).map(|(key, _)| key.clone()));
    }
    if !missing.is_empty() {
        session.output.say(&format!("writing {} records to {namespace}/{TABLE}", missing.len()));
    }
    for some in missing.chunks(GROUP) {
        let mut draft = client.mutation(namespace.as_str());
        for record_key in some {
            draft = draft.put(TABLE, record_key.as_bytes(), vec![b'v'; VALUE_BYTES]);
        }
        draft.sign(key).wait(WaitMode::Committed).send().await?.applied()?;
    }
    Ok(())
}

fn key_of(number: u64) -> Result<RecordKey, ClientError> {
    Ok(RecordKey::new(format!("record-{number:024}").into_bytes())?)
}
