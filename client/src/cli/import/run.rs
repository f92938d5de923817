//! Writing the rows: what is there already is left out, the rest goes in many mutations at once.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use db3_primitives::{
    MutationId, Namespace, Operation, RecordKey, Rejection, SecretKey, ShardId, SignedEnvelope, TableName, Tai, Write,
};
use futures::stream::{self, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::Notify;

use super::super::args::ImportArgs;
use super::super::failure::{Exit, Failure};
use super::super::session::{ChosenNetwork, Session};
use super::super::value::Object;
use super::super::{line_use, opening};
use super::plan::cut;
use super::row::Row;
use crate::{Client, ClientError, Range, Receipt, WaitMode};

/// Keys that are compared at once: their values fit in an answer, whatever their size.
const COMPARE_KEYS: usize = 200;
/// Comparisons under way at once.
const COMPARE_CALLS: usize = 8;

/// What was done so far.
#[derive(Debug, Default)]
struct Done {
    written: u64,
    unchanged: u64,
    mutations: u64,
    fee: Tai,
    height: u64,
}

/// Mutations that were sent and whose outcome is not known yet.
#[derive(Debug, Default)]
struct UnderWay(Mutex<BTreeSet<MutationId>>);

impl UnderWay {
    fn change(&self, change: impl FnOnce(&mut BTreeSet<MutationId>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn into_ids(self) -> BTreeSet<MutationId> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares, sends, and prints the summary.
pub async fn run(
    session: &Session,
    network: ChosenNetwork,
    names: (&Namespace, &TableName),
    args: &ImportArgs,
    rows: Vec<Row>,
) -> Result<(), Failure> {
    let begin = Instant::now();
    let total = rows.len();
    let receipts = args.receipts.as_deref().map(open_receipts).transpose()?;
    let signer = session.signer(&network)?;
    let client = session.client_of(network.file).await?;
    let stop = Stop::on_interrupt();
    let bar = progress(session, total);

    let mut done = Done::default();
    let missing = missing(&client, names, rows, &bar).await?;
    done.unchanged = count(total.saturating_sub(missing.len()));
    let groups = cut(missing, usize::try_from(args.batch).unwrap_or(1));
    let under_way = UnderWay::default();
    let shard = client.shard_of(names.0).get();
    if let Some(first) = groups.first().filter(|_| !args.dry_run) {
        secure_line(session, &client, &signer, names, first, shard).await.inspect_err(|_| bar.finish_and_clear())?;
    }
    let outcome = if args.dry_run {
        done.mutations = count(groups.len());
        done.written = count(groups.iter().map(Vec::len).sum());
        Ok(())
    } else {
        send_all(&client, &signer, names, groups, args, receipts, (&bar, &stop, &under_way), &mut done).await
    };
    bar.finish_and_clear();

    let summary = Object::new()
        .with("records", count(total))
        .with("written", done.written)
        .with("unchanged", done.unchanged)
        .with("mutations", done.mutations)
        .with("fee_tai", done.fee)
        .with("height", done.height)
        .with("seconds", begin.elapsed().as_secs_f64());
    match outcome {
        Ok(()) => {
            session.output.object(&summary)?;
            if done.mutations > 0 && !args.dry_run {
                line_use::warn_after_write(session, &client, signer.address(), shard).await;
            }
            Ok(())
        }
        Err(failure) => {
            let failure = if failure.code() == Some(opening::CREDIT_EXHAUSTED) {
                line_use::explain(&client, signer.address(), shard, failure).await
            } else {
                failure
            };
            session.output.say(&format!(
                "{} of {total} records are written, in {} mutations; run the same command again for the rest",
                done.written.saturating_add(done.unchanged),
                done.mutations
            ));
            Err(failure.with_unknown(under_way.into_ids()))
        }
    }
}

/// Sees to it, before anything is sent, that the first mutation finds a line that covers it, as a single write does.
async fn secure_line(
    session: &Session,
    client: &Client,
    signer: &SecretKey,
    names: (&Namespace, &TableName),
    first: &[Row],
    shard: u32,
) -> Result<(), Failure> {
    if client.network().settlement().is_none() {
        return Ok(());
    }
    let account = signer.address();
    let operations = operations(names.1, first.to_vec())?;
    let bound = client.mutation(names.0.as_str()).operations(operations).sign(signer).estimate().await?.bound;
    let line = client.account(account).credit_line_on(shard).await?;
    let refusal = if !line.exists {
        Rejection::LineMissing { account }
    } else if line.available < bound {
        Rejection::CreditExhausted {
            shard: ShardId::new(shard),
            ceiling: line.ceiling,
            available: line.available,
            fee: bound,
        }
    } else {
        return Ok(());
    };
    opening::after_refusal(session, client, signer, shard, refusal.into()).await
}

/// A group of rows as the operations of one mutation.
fn operations(table: &TableName, group: Vec<Row>) -> Result<Vec<Operation>, ClientError> {
    let put = |row: Row| {
        let key = RecordKey::new(row.key)?;
        Ok(Operation::Put(Write { table: table.clone(), key, value: row.value, if_version: None }))
    };
    group.into_iter().map(put).collect()
}

/// The rows whose record is not there, or is another, by verified reads.
async fn missing(
    client: &Client,
    names: (&Namespace, &TableName),
    rows: Vec<Row>,
    bar: &ProgressBar,
) -> Result<Vec<Row>, Failure> {
    let (namespace, table) = (names.0.as_str(), names.1.as_str());
    if is_empty(client, namespace, table).await? {
        return Ok(rows);
    }
    bar.set_message("comparing");
    let groups: Vec<Vec<Row>> = chunks(rows, COMPARE_KEYS);
    let mut compared = stream::iter(groups)
        .map(|group| async move {
            let keys = group.iter().map(|row| RecordKey::new(row.key.clone())).collect::<Result<Vec<_>, _>>()?;
            let answer = client.get_many(namespace, table, &keys).await?;
            let differs = |(row, record): (Row, Option<crate::Record>)| {
                record.is_none_or(|record| record.value != row.value).then_some(row)
            };
            Ok::<Vec<Row>, ClientError>(group.into_iter().zip(answer.value).filter_map(differs).collect())
        })
        .buffered(COMPARE_CALLS);
    let mut missing = Vec::new();
    while let Some(some) = compared.next().await {
        missing.extend(some?);
    }
    Ok(missing)
}

async fn is_empty(client: &Client, namespace: &str, table: &str) -> Result<bool, ClientError> {
    let page = client.scan(namespace, table, &Range::default())?.next_page(1).await?;
    Ok(page.is_none_or(|page| page.is_empty()))
}

#[expect(clippy::too_many_arguments, reason = "one call, whose parts have nothing else in common")]
async fn send_all(
    client: &Client,
    signer: &SecretKey,
    names: (&Namespace, &TableName),
    groups: Vec<Vec<Row>>,
    args: &ImportArgs,
    mut receipts: Option<File>,
    (bar, stop, under_way): (&ProgressBar, &Stop, &UnderWay),
    done: &mut Done,
) -> Result<(), Failure> {
    bar.set_position(done.unchanged);
    bar.set_message("writing");
    let in_flight = usize::try_from(args.in_flight).unwrap_or(1);
    let mut sent = stream::iter(groups)
        .take_while(|_| std::future::ready(!stop.is_set()))
        .map(|group| async move {
            let records = count(group.len());
            send(client, signer, names, group, under_way).await.map(|receipt| (receipt, records))
        })
        .buffer_unordered(in_flight);
    let mut first_error = None;
    loop {
        let next = tokio::select! {
            next = sent.next() => next,
            () = stop.twice() => break,
        };
        let Some(outcome) = next else { break };
        match outcome {
            Ok((receipt, records)) => {
                done.mutations = done.mutations.saturating_add(1);
                done.written = done.written.saturating_add(records);
                done.fee = done.fee.checked_add(receipt.fee).unwrap_or(Tai::MAX);
                done.height = done.height.max(receipt.height);
                bar.inc(records);
                if let (Some(file), Some(path)) = (&mut receipts, &args.receipts) {
                    note(file, &receipt, records).map_err(|error| Failure::file("write", path, &error))?;
                }
            }
            Err(error) => {
                // What is on its way is still waited for, so that the summary is right.
                stop.set();
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) => Err(error.into()),
        None if stop.is_set() => Err(Failure::new(
            Exit::Interrupted,
            "interrupted",
            "run the same command again: it writes only what is missing",
        )),
        None => Ok(()),
    }
}

async fn send(
    client: &Client,
    signer: &SecretKey,
    names: (&Namespace, &TableName),
    group: Vec<Row>,
    under_way: &UnderWay,
) -> Result<Receipt, ClientError> {
    let draft = client.mutation(names.0.as_str()).operations(operations(names.1, group)?);
    let sent = Mutex::new(None);
    let observer = |id: MutationId, _: &SignedEnvelope| {
        let before = sent.lock().unwrap_or_else(PoisonError::into_inner).replace(id);
        under_way.change(|ids| {
            // It was signed anew because the one before was refused for good.
            before.map(|before| ids.remove(&before));
            ids.insert(id);
        });
    };
    let outcome = draft.sign(signer).wait(WaitMode::Committed).observe(&observer).send().await;
    if !matches!(outcome, Err(ClientError::OutcomeUnknown { .. }))
        && let Some(id) = sent.into_inner().unwrap_or_else(PoisonError::into_inner)
    {
        under_way.change(|ids| {
            ids.remove(&id);
        });
    }
    outcome?.applied()
}

fn open_receipts(path: &std::path::Path) -> Result<File, Failure> {
    OpenOptions::new().create(true).append(true).open(path).map_err(|error| Failure::file("open", path, &error))
}

/// One line for a mutation that a block holds, in one write, so that a reader never sees half of it for long.
fn note(file: &mut File, receipt: &Receipt, records: u64) -> std::io::Result<()> {
    let line = Object::new().with("id", receipt.id.to_string()).with("height", receipt.height).with("records", records);
    file.write_all(format!("{}\n", line.to_json()).as_bytes())
}

fn progress(session: &Session, total: usize) -> ProgressBar {
    if !session.output.shows_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count(total));
    let style = ProgressStyle::with_template("{msg:9} [{bar:40}] {pos}/{len} records, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar
}

fn chunks(rows: Vec<Row>, size: usize) -> Vec<Vec<Row>> {
    let mut groups: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        match groups.last_mut().filter(|group| group.len() < size) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Whether to send no more: after an interrupt what is on its way is waited for, after a second one not even that.
struct Stop {
    flag: Arc<std::sync::atomic::AtomicBool>,
    second: Arc<Notify>,
}

impl Stop {
    fn on_interrupt() -> Self {
        let stop = Self { flag: Arc::default(), second: Arc::default() };
        let (flag, second) = (Arc::clone(&stop.flag), Arc::clone(&stop.second));
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if flag.swap(true, std::sync::atomic::Ordering::Relaxed) {
                    second.notify_one();
                }
            }
        });
        stop
    }

    fn is_set(&self) -> bool {
        self.flag.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn set(&self) {
        self.flag.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    async fn twice(&self) {
        self.second.notified().await;
    }
}
