//! `db3 bench write`: mutations that are signed beforehand, sent in batches by several accounts, each to its own
//! namespace, until blocks hold them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use db3_primitives::{
    Mutation, Namespace, Nonce, Operation, PriceTable, RecordKey, SecretKey, Tai, Write, upper_bound,
};
use db3_proto::{encode_body, encode_envelope, envelope_message, v1};

use super::super::account::keys_of_network;
use super::super::args::BenchWriteArgs;
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::value::Object;
use super::latency::Latencies;
use crate::Client;
use crate::batch::{BatchCall, submit_batch};

/// Signed mutations stay good for this long; the measurement must end before.
const EXPIRY_SECS: u64 = 3_000;
/// How far the chain's clock may be behind ours.
const CLOCK_SECS: u64 = 30;
/// The table that is written to.
const TABLE: &str = "bench";

/// `db3 bench write`
pub async fn write(session: &Session, args: &BenchWriteArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let keys = if args.signers.is_empty() {
        let count = args.accounts.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(1));
        keys_of_network(session, &network, count)?
    } else {
        let named = |name: &String| session.key_of(&network, &session.account_named(name, Some(&network))?);
        args.signers.iter().map(named).collect::<Result<_, _>>()?
    };
    let client = Arc::new(session.client_of(network.file).await?);
    let accounts = keys.len();
    session.output.say(&format!("signing {} mutations of {accounts} accounts", args.count));
    let (calls, bytes) = prepare(&client, keys, args).await?;
    let begin = Instant::now();
    let pace = args.rate.map(|rate| Duration::from_secs(args.batch.into()).checked_div(rate).unwrap_or_default());
    let schedule = Arc::new(Schedule { calls, next: AtomicUsize::new(0), begin, pace });
    let workers: Vec<_> =
        (0..args.concurrency).map(|_| tokio::spawn(work(Arc::clone(&client), Arc::clone(&schedule)))).collect();
    let mut latencies = Latencies::default();
    let (mut applied, mut failed, mut fee) = (0u64, 0u64, Tai::ZERO);
    for worker in workers {
        let done = worker.await.map_err(|error| Failure::input(format!("a sender died: {error}"), "try again"))??;
        latencies.extend(done.latencies);
        applied = applied.saturating_add(done.applied);
        failed = failed.saturating_add(done.failed);
        fee = fee.checked_add(done.fee).unwrap_or(Tai::MAX);
    }
    let seconds = begin.elapsed().as_secs_f64();
    let rate = per_second(applied, seconds);
    session.output.object(
        &Object::new()
            .with("mutations", applied)
            .with("failed", failed)
            .with("pairs", args.pairs)
            .with("mutation_bytes", bytes)
            .with("accounts", u32::try_from(accounts).unwrap_or(u32::MAX))
            .with("batch", args.batch)
            .with("concurrency", args.concurrency)
            .with("seconds", seconds)
            .with("mutations_per_second", rate)
            .with("pairs_per_second", rate * f64::from(args.pairs))
            .with("p50_ms", latencies.percentile_ms(50))
            .with("p99_ms", latencies.percentile_ms(99))
            .with("fee_tai", fee),
    )
}

/// What one sender did.
struct Done {
    latencies: Latencies,
    applied: u64,
    failed: u64,
    fee: Tai,
}

/// The calls, and when each is due.
struct Schedule {
    calls: Vec<BatchCall>,
    next: AtomicUsize,
    begin: Instant,
    /// From one call to the next; none: at once.
    pace: Option<Duration>,
}

impl Schedule {
    /// The next call, when it is due, and from when its latency counts.
    async fn next(&self) -> Option<(&BatchCall, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let call = self.calls.get(number)?;
        let Some(pace) = self.pace else { return Some((call, Instant::now())) };
        let after = pace.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
        let due = self.begin.checked_add(after).unwrap_or(self.begin);
        tokio::time::sleep_until(due.into()).await;
        Some((call, due))
    }
}

async fn work(client: Arc<Client>, schedule: Arc<Schedule>) -> Result<Done, crate::ClientError> {
    let mut done = Done { latencies: Latencies::default(), applied: 0, failed: 0, fee: Tai::ZERO };
    while let Some((call, begin)) = schedule.next().await {
        for receipt in submit_batch(&client, call).await? {
            if receipt.state == crate::ReceiptState::Applied {
                done.applied = done.applied.saturating_add(1);
            } else {
                done.failed = done.failed.saturating_add(1);
            }
            done.fee = done.fee.checked_add(receipt.fee).unwrap_or(Tai::MAX);
        }
        done.latencies.push(begin.elapsed());
    }
    Ok(done)
}

/// Signs everything. Calls of the accounts take turns, and one account's nonces go up from call to call.
async fn prepare(
    client: &Arc<Client>,
    keys: Vec<SecretKey>,
    args: &BenchWriteArgs,
) -> Result<(Vec<BatchCall>, u32), Failure> {
    let mut signers = Vec::with_capacity(keys.len());
    for key in keys {
        let namespace = Namespace::own(&key.address());
        let shard = client.shard_of(&namespace).get();
        let params = client.params(shard).await?.value;
        let now = client.chain_of(&namespace)?.now_secs();
        let first = client.nonce(key.address(), &crate::Lane::Namespace(namespace.clone())).await?.nonce().get();
        signers.push(BenchSigner {
            key,
            namespace,
            shard,
            prices: params.prices,
            // Block time may be a little behind.
            expire: now.saturating_add(EXPIRY_SECS.min(params.expiry_max_secs.saturating_sub(CLOCK_SECS))),
            next: first,
            run: now,
        });
    }
    let network = client.network().name.clone();
    let value_bytes = args.value_bytes.unwrap_or_else(|| fitting(&network, &signers, args.pairs));
    let mut calls = Vec::new();
    let (mut left, mut turn, mut bytes) = (args.count, 0usize, 0u32);
    while left > 0 {
        let size = left.min(args.batch);
        left = left.saturating_sub(size);
        let index = turn.checked_rem(signers.len()).unwrap_or(0);
        turn = turn.saturating_add(1);
        let Some(signer) = signers.get_mut(index) else { break };
        let mut mutations = Vec::new();
        for _ in 0..size {
            let (message, length) = signer.sign(&network, args.pairs, value_bytes)?;
            bytes = length;
            mutations.push(message);
        }
        calls.push(BatchCall { shard: signer.shard, mutations });
    }
    Ok((calls, bytes))
}

struct BenchSigner {
    key: SecretKey,
    namespace: Namespace,
    shard: u32,
    prices: PriceTable,
    expire: u64,
    next: u64,
    /// Tells this run's keys from those of others.
    run: u64,
}

impl BenchSigner {
    fn sign(
        &mut self,
        network: &db3_primitives::NetworkName,
        pairs: u32,
        value_bytes: u32,
    ) -> Result<(v1::SignedEnvelope, u32), Failure> {
        let mut mutation = self.mutation(network, pairs, value_bytes)?;
        self.next = self.next.saturating_add(1);
        // The envelope is a little longer than the body; 128 bytes cover that.
        let length = u32::try_from(encode_body(&mutation).len()).unwrap_or(u32::MAX).saturating_add(128);
        let bound = self.prices.fee(&upper_bound(&mutation, length)).unwrap_or(Tai::MAX);
        mutation.max_fee = bound.checked_mul(2).unwrap_or(Tai::MAX);
        let body = encode_body(&mutation);
        let envelope = db3_primitives::sign_mutation(&self.key, &mutation, body, db3_primitives::Scheme::Raw);
        let length = u32::try_from(encode_envelope(&envelope).len()).unwrap_or(u32::MAX);
        Ok((envelope_message(&envelope), length))
    }

    fn mutation(
        &self,
        network: &db3_primitives::NetworkName,
        pairs: u32,
        value_bytes: u32,
    ) -> Result<Mutation, Failure> {
        let mut operations = Vec::new();
        for pair in 0..pairs {
            let key = format!("{:08x}{:06x}{pair:03x}", self.run & 0xffff_ffff, self.next);
            let value = vec![b'v'; usize::try_from(value_bytes).unwrap_or(0)];
            operations.push(Operation::Put(Write {
                table: TABLE.parse()?,
                key: RecordKey::new(key.into_bytes())?,
                value,
                if_version: None,
            }));
        }
        Ok(Mutation {
            network: network.clone(),
            account: self.key.address(),
            namespace: self.namespace.clone(),
            nonce: Nonce::new(self.next),
            expire_unix_secs: self.expire,
            max_fee: Tai::new(99_999_999_999),
            operations,
        })
    }
}

/// The bytes of a value with which 1, 10 and 20 pairs make about 232, 1 204 and 2 304 bytes, as in published figures.
fn fitting(network: &db3_primitives::NetworkName, signers: &[BenchSigner], pairs: u32) -> u32 {
    const SIGNATURE_BYTES: u32 = 71;
    let target = pairs.saturating_mul(109).saturating_add(123);
    let empty = signers.first().and_then(|signer| signer.mutation(network, pairs, 0).ok());
    let empty = empty
        .map_or(0, |mutation| u32::try_from(encode_body(&mutation).len()).unwrap_or(0))
        .saturating_add(SIGNATURE_BYTES);
    target.saturating_sub(empty).checked_div(pairs).unwrap_or(0).max(1)
}

fn per_second(count: u64, seconds: f64) -> f64 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    f64::from(count) / seconds.max(Duration::from_micros(1).as_secs_f64())
}
