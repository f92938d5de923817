//! Statements with the epochs that they stand for and the bills that they add up, for `db3 statement show|export`.

use std::collections::BTreeMap;

use db3_primitives::{Address, BlockTime, EpochClose};

use super::args::EpochChoice;
use super::failure::{Exit, Failure};
use super::unanswered::Missing;
use super::value::Object;
use crate::{BillFilter, BillView, Client, ClientError, StatementFilter, StatementView};

/// What is not shown where a shard does not answer.
const LACK: &str = "its newest statements and its bills may not be shown";

/// A statement with the close that it belongs to.
pub struct Period {
    /// The statement.
    pub statement: StatementView,
    /// Its close; by the settlement chain where it has arrived there, else by the shard.
    pub close: EpochClose,
    /// When its epochs began.
    pub start: Option<BlockTime>,
    /// When they ended, exclusive.
    pub end: Option<BlockTime>,
}

/// The account's statements whose closes are written, each with its epochs, oldest first.
pub async fn periods(
    client: &Client,
    account: Address,
    filter: &StatementFilter,
    missing: &mut Missing,
) -> Result<Vec<Period>, Failure> {
    let mut periods = Vec::new();
    let found = client.account(account).statements(filter).await?;
    missing.answered();
    missing.add(found.unanswered, LACK);
    for statement in found.value {
        let Some((_, last)) = statement.epochs else { continue };
        let Some(close) = close_of(client, &statement, last).await? else { continue };
        let secs = client.network().epoch_secs;
        let start = close.first.start_secs(secs).map(BlockTime::from_secs);
        let end = close.last.next().and_then(|next| next.start_secs(secs)).map(BlockTime::from_secs);
        periods.push(Period { statement, close, start, end });
    }
    Ok(periods)
}

async fn close_of(client: &Client, statement: &StatementView, last: u64) -> Result<Option<EpochClose>, ClientError> {
    if statement.settled.is_some() {
        let Some(arrived) = client.arrived_close(statement.shard, last).await? else { return Ok(None) };
        if !arrived.has_statement(statement.index) {
            let chain = client.network().settlement().map(|entry| entry.chain_id.to_string());
            return Err(ClientError::Proof {
                chain_id: chain.unwrap_or_default(),
                detail: format!("statement {} is not one of the close of epoch {last}", statement.index),
            });
        }
        return Ok(Some(arrived.close));
    }
    Ok(client.epoch(statement.shard, Some(last)).await?.close)
}

/// The account's statements of an epoch.
pub async fn of_epoch(
    client: &Client,
    account: Address,
    choice: EpochChoice,
    missing: &mut Missing,
) -> Result<Vec<Period>, Failure> {
    let found = match choice {
        EpochChoice::Open => {
            return Err(Failure::input(
                "an open epoch has no statement yet",
                "give its number once it has closed, or last",
            ));
        }
        EpochChoice::Number(number) => {
            let filter = StatementFilter { epoch_min: Some(number), ..StatementFilter::default() };
            let mut found = periods(client, account, &filter, missing).await?;
            found.retain(|period| (period.close.first.get()..=period.close.last.get()).contains(&number));
            found
        }
        EpochChoice::Last => {
            let mut newest: BTreeMap<u32, Period> = BTreeMap::new();
            // Two, because the newest may be one whose close is not written yet.
            let filter = StatementFilter { limit: Some(2), ..StatementFilter::default() };
            for period in periods(client, account, &filter, missing).await? {
                newest.insert(period.statement.shard, period);
            }
            newest.into_values().collect()
        }
    };
    if found.is_empty() {
        return Err(Failure::new(
            Exit::Absent,
            format!("{account} has no statement of that epoch"),
            "`db3 statement list` shows those that there are",
        ));
    }
    Ok(found)
}

/// The bills that a statement adds up, oldest first; none where their shard does not answer.
pub async fn bills_of(
    client: &Client,
    period: &Period,
    missing: &mut Missing,
) -> Result<Option<Vec<BillView>>, Failure> {
    let Some(mut bills) = missing.take(read_bills(client, period).await, LACK)? else { return Ok(None) };
    let settled = client.account(period.statement.account).settled().await?;
    for bill in &mut bills {
        bill.status = settled.status(bill);
    }
    Ok(Some(bills))
}

async fn read_bills(client: &Client, period: &Period) -> Result<Vec<BillView>, ClientError> {
    let (statement, close) = (&period.statement, &period.close);
    let mut bills = Vec::new();
    // Of epochs that closed together only the first can hold bills, but nothing here relies on that.
    for epoch in close.first.get()..=close.last.get().min(close.first.get().saturating_add(10_000)) {
        let filter = BillFilter { account: Some(statement.account), epoch: Some(epoch), ..BillFilter::default() };
        let mut pages = client.bills(statement.shard, &filter)?;
        while let Some(page) = pages.next_page().await? {
            bills.extend(page);
        }
        if !bills.is_empty() {
            break;
        }
    }
    bills.sort_by_key(|bill| bill.bill.seq);
    let begins = bills.first().and_then(|first| first.bill.cum_after.checked_sub(first.bill.fee));
    let ends = bills.last().map(|last| last.bill.cum_after);
    if (begins, ends) != (Some(statement.previous), Some(statement.cumulative)) {
        let chain = client.network().shard(statement.shard.into()).map(|entry| entry.chain_id.to_string());
        return Err(ClientError::Proof {
            chain_id: chain.unwrap_or_default(),
            detail: format!("the bills of epoch {} do not come to the statement", close.last),
        });
    }
    Ok(bills)
}

/// Adds when the epochs began and ended.
#[must_use]
pub fn with_period(object: Object, period: &Period) -> Object {
    object.with_some("period_start", period.start).with_some("period_end", period.end)
}
