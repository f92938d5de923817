//! `db3 statement`: what an account owes from each shard, epoch by epoch, and what became of it.

use std::collections::BTreeMap;

use db3_primitives::{Address, BlockTime, EpochClose};

use super::args::{EpochChoice, StatementCommand, StatementExportArgs};
use super::bill::shards;
use super::failure::{Exit, Failure};
use super::output::csv_field;
use super::render;
use super::session::Session;
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::{BillFilter, BillView, Client, EpochView, StatementFilter, StatementView};

const COLUMNS: &[&str] = &[
    "shard",
    "epoch",
    "previous_cumulative_tai",
    "cumulative_tai",
    "amount_tai",
    "paid_tai",
    "outstanding_tai",
    "status",
];
/// What a bookkeeper takes over: one line for each shard and period.
const EXPORT_COLUMNS: &[&str] = &[
    "network",
    "account",
    "shard",
    "epoch",
    "last_epoch",
    "period_start",
    "period_end",
    "opening_tai",
    "closing_tai",
    "amount_tai",
    "paid_tai",
    "written_off_tai",
    "outstanding_tai",
    "status",
    "received_time",
    "debited_by",
    "covered_by",
];
/// One line for each meter of each bill.
const CHARGE_COLUMNS: [&str; 10] = [
    "shard",
    "epoch",
    "seq",
    "block_time",
    "namespace",
    "reference",
    "meter",
    "quantity",
    "unit_price_tai",
    "amount_tai",
];

/// `db3 statement`
pub async fn statement(session: &Session, command: &StatementCommand) -> Result<(), Failure> {
    let network = session.network()?;
    let account = session.account(&network)?.address;
    let client = session.client_of(network.file).await?;
    match command {
        StatementCommand::List { shard, limit } => {
            shards(&client, *shard)?;
            let filter = StatementFilter { shard: *shard, limit: limit.map(count), epoch_min: None };
            let mut list = session.output.list(COLUMNS);
            for statement in client.account(account).statements(&filter).await? {
                list.push(&render::statement(&statement))?;
            }
            list.finish("no statements; the first comes with the close of an epoch that has a bill")
        }
        StatementCommand::Show { epoch } => show(session, &client, account, *epoch).await,
        StatementCommand::Export(args) => export(session, &client, account, args).await,
    }
}

/// A statement with the epochs that it stands for.
struct Period {
    statement: StatementView,
    epoch: EpochView,
}

impl Period {
    fn close(&self) -> Option<&EpochClose> {
        self.epoch.close.as_ref()
    }

    fn end(&self) -> Option<BlockTime> {
        self.epoch.end()
    }
}

/// The account's statements whose closes are written, each with its epochs, oldest first.
async fn periods(client: &Client, account: Address, filter: &StatementFilter) -> Result<Vec<Period>, Failure> {
    let mut epochs: BTreeMap<(u32, u64), EpochView> = BTreeMap::new();
    let mut periods = Vec::new();
    for statement in client.account(account).statements(filter).await? {
        let Some(last) = statement.epoch else { continue };
        let epoch = match epochs.get(&(statement.shard, last)) {
            Some(known) => known.clone(),
            None => client.epoch(statement.shard, Some(last)).await?,
        };
        epochs.insert((statement.shard, last), epoch.clone());
        periods.push(Period { statement, epoch });
    }
    Ok(periods)
}

/// The account's statements of an epoch.
async fn of_epoch(client: &Client, account: Address, choice: EpochChoice) -> Result<Vec<Period>, Failure> {
    let found = match choice {
        EpochChoice::Open => {
            return Err(Failure::input(
                "an open epoch has no statement yet",
                "give its number once it has closed, or last",
            ));
        }
        EpochChoice::Number(number) => {
            let filter = StatementFilter { epoch_min: Some(number), ..StatementFilter::default() };
            let mut found = periods(client, account, &filter).await?;
            found.retain(|period| {
                period.close().is_some_and(|close| (close.first.get()..=close.last.get()).contains(&number))
            });
            found
        }
        EpochChoice::Last => {
            let mut newest: BTreeMap<u32, Period> = BTreeMap::new();
            // Two, because the newest may be one whose close is not written yet.
            let filter = StatementFilter { limit: Some(2), ..StatementFilter::default() };
            for period in periods(client, account, &filter).await? {
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

/// The bills that a statement adds up.
async fn bills_of(client: &Client, period: &Period) -> Result<Vec<BillView>, Failure> {
    let statement = &period.statement;
    let Some(close) = period.close() else { return Ok(Vec::new()) };
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
    let settled = client.account(statement.account).settled().await?;
    for bill in &mut bills {
        bill.status = settled.status(bill);
    }
    bills.sort_by_key(|bill| bill.bill.seq);
    Ok(bills)
}

async fn show(session: &Session, client: &Client, account: Address, epoch: EpochChoice) -> Result<(), Failure> {
    let found = of_epoch(client, account, epoch).await?;
    let mut list = session.output.list(COLUMNS);
    for period in &found {
        let bills = bills_of(client, period).await?;
        let object = with_period(render::statement(&period.statement), period);
        if session.output.format != OutputFormat::Table {
            list.push(&object.with("bills", bills.iter().map(render::bill).collect::<Vec<_>>()))?;
            continue;
        }
        session.output.object(&object)?;
        session.output.raw(b"\n")?;
        let mut table = session.output.list(&["seq", "block_time", "namespace", "fee_tai", "cumulative_tai", "status"]);
        bills.iter().try_for_each(|bill| table.push(&render::bill(bill)))?;
        table.finish("no bills")?;
        session.output.raw(b"\n")?;
    }
    if session.output.format == OutputFormat::Table { Ok(()) } else { list.finish("") }
}

fn with_period(object: Object, period: &Period) -> Object {
    object.with_some("period_start", period.epoch.start()).with_some("period_end", period.epoch.end())
}

async fn export(
    session: &Session,
    client: &Client,
    account: Address,
    args: &StatementExportArgs,
) -> Result<(), Failure> {
    shards(client, args.shard)?;
    let mut found = match args.epoch {
        Some(choice) => of_epoch(client, account, choice).await?,
        None => periods(client, account, &StatementFilter { shard: args.shard, ..StatementFilter::default() }).await?,
    };
    found.retain(|period| {
        let end = period.end();
        args.shard.is_none_or(|shard| period.statement.shard == shard)
            && args.since.is_none_or(|since| end.is_some_and(|end| end > since))
            && args.until.is_none_or(|until| end.is_some_and(|end| end <= until))
    });
    found.sort_by_key(|period| (period.statement.epoch, period.statement.shard));
    let mut rows = Vec::new();
    for period in &found {
        if args.charges {
            rows.extend(bills_of(client, period).await?.iter().flat_map(charge_rows));
        } else {
            rows.push(bookkeeping_row(client, period));
        }
    }
    let columns: &[&str] = if args.charges { &CHARGE_COLUMNS } else { EXPORT_COLUMNS };
    let text = match session.output.format {
        OutputFormat::Json => rows.iter().map(|row| row.to_json() + "\n").collect::<Vec<_>>().concat(),
        OutputFormat::Csv | OutputFormat::Table => csv(columns, &rows),
    };
    match &args.file {
        Some(path) => session.write_file(path, text.as_bytes()),
        None => session.output.raw(text.as_bytes()),
    }
}

fn csv(columns: &[&str], rows: &[Object]) -> String {
    let line = |row: &Object| {
        let cell = |name: &&str| row.get(name).map(|value| csv_field(&value.to_cell())).unwrap_or_default();
        columns.iter().map(cell).collect::<Vec<_>>().join(",")
    };
    let lines: Vec<String> = std::iter::once(columns.join(",")).chain(rows.iter().map(line)).collect();
    format!("{}\n", lines.join("\n"))
}

fn bookkeeping_row(client: &Client, period: &Period) -> Object {
    let statement = &period.statement;
    let settled = statement.settled.as_ref();
    let outstanding = settled.map_or(db3_primitives::Tai::ZERO, |settled| settled.standing.outstanding);
    let object = Object::new()
        .with("network", client.network().name.as_str())
        .with("account", statement.account.to_string())
        .with("shard", statement.shard)
        .with_some("epoch", period.close().map(|close| close.first.get()))
        .with_some("last_epoch", period.close().map(|close| close.last.get()));
    with_period(object, period)
        .with("opening_tai", statement.previous)
        .with("closing_tai", statement.cumulative)
        .with("amount_tai", statement.amount)
        .with("paid_tai", statement.paid())
        .with("written_off_tai", settled.map_or(db3_primitives::Tai::ZERO, |settled| settled.written_off))
        .with("outstanding_tai", outstanding)
        .with("status", Value::Enum(statement.status().as_str_name(), "BILL_STATUS_"))
        .with_some("received_time", settled.and_then(|settled| settled.received_time))
        .with_some("debited_by", settled.and_then(|settled| settled.debited_by))
        .with_some("covered_by", settled.and_then(|settled| settled.covered_by))
}

fn charge_rows(bill: &BillView) -> Vec<Object> {
    let row = |charge: &crate::Charge| {
        Object::new()
            .with("shard", bill.bill.shard.get())
            .with("epoch", bill.epoch)
            .with("seq", bill.bill.seq)
            .with_some("block_time", bill.time)
            .with("namespace", bill.namespace.as_str())
            .with("reference", render::hex(&bill.bill.reference))
            .with("meter", charge.meter.as_str())
            .with("quantity", charge.quantity)
            .with("unit_price_tai", render::amount(&charge.unit_price_tai))
            .with("amount_tai", render::amount(&charge.amount_tai))
    };
    bill.charges.iter().map(row).collect()
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
