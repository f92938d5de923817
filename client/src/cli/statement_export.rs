//! `db3 statement export`: statements, or what each bill was charged for, for a bookkeeper.

use std::collections::BTreeMap;

use super::args::StatementExportArgs;
use super::failure::Failure;
use super::on_shard::shards;
use super::output::csv_field;
use super::period::{Period, bills_of, of_epoch, periods, with_period};
use super::render;
use super::session::Session;
use super::span;
use super::unanswered::Missing;
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::primitives::{Address, BlockTime, Posting, Tai};
use crate::{BillView, Client, SettlementFilter, SettlementView, StatementFilter};

/// One line for each shard and period. Amounts stand in tai, to be added up to the last digit, and in DB3, as tables and
/// invoices print them; `debited_by` and `covered_by` are the numbers that `db3 posting show` takes.
const COLUMNS: &[&str] = &[
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
    "amount_db3",
    "paid_tai",
    "paid_db3",
    "written_off_tai",
    "written_off_db3",
    "outstanding_tai",
    "outstanding_db3",
    "status",
    "received_time",
    "debited_by",
    "covered_by",
    "debited_time",
    "covered_time",
    "covered_kind",
    "payee",
];
/// One line for each meter of each bill.
const CHARGE_COLUMNS: &[&str] = &[
    "network",
    "account",
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
    "amount_db3",
    "status",
];

/// `db3 statement export`
pub async fn export(
    session: &Session,
    client: &Client,
    account: Address,
    args: &StatementExportArgs,
) -> Result<(), Failure> {
    shards(client, args.shard)?;
    span::check(args.since, args.until)?;
    let mut missing = Missing::default();
    let filter = StatementFilter { shard: args.shard, ..StatementFilter::default() };
    let mut found = match args.epoch {
        Some(choice) => of_epoch(client, account, choice, &mut missing).await?,
        None => periods(client, account, &filter, &mut missing).await?,
    };
    found.retain(|period| {
        let end = period.end;
        args.shard.is_none_or(|shard| period.statement.shard == shard)
            && args.since.is_none_or(|since| end.is_some_and(|end| end > since))
            && args.until.is_none_or(|until| end.is_some_and(|end| end <= until))
    });
    found.sort_by_key(|period| (period.close.first, period.statement.shard));
    let mut rows = Vec::new();
    let postings = if args.charges { BTreeMap::new() } else { postings_of(client, account, &found).await? };
    for period in &found {
        if args.charges {
            let bills = bills_of(client, period, &mut missing).await?;
            rows.extend(bills.iter().flatten().flat_map(|bill| charge_rows(client, bill)));
        } else {
            rows.push(bookkeeping_row(client, period, &postings));
        }
    }
    let rows: Vec<Object> = rows.into_iter().map(|row| missing.mark(row)).collect();
    let columns = if args.charges { CHARGE_COLUMNS } else { COLUMNS };
    let text = match session.output.format {
        OutputFormat::Json => rows.iter().map(|row| row.to_json() + "\n").collect::<Vec<_>>().concat(),
        OutputFormat::Csv | OutputFormat::Table => csv(columns, &rows),
    };
    match &args.file {
        Some(path) => session.write_file(path, text.as_bytes())?,
        None => session.output.raw(text.as_bytes())?,
    }
    missing.say(session)
}

fn csv(columns: &[&str], rows: &[Object]) -> String {
    let line = |row: &Object| {
        let cell = |name: &&str| row.get(name).map(|value| csv_field(&value.to_cell())).unwrap_or_default();
        columns.iter().map(cell).collect::<Vec<_>>().join(",")
    };
    let lines: Vec<String> = std::iter::once(columns.join(",")).chain(rows.iter().map(line)).collect();
    format!("{}\n", lines.join("\n"))
}

/// The account's postings by their number, back to the first that debited one of these statements.
async fn postings_of(
    client: &Client,
    account: Address,
    periods: &[Period],
) -> Result<BTreeMap<u64, SettlementView>, Failure> {
    let debited = periods.iter().filter_map(|period| period.statement.settled.as_ref()?.debited_by);
    let Some(first) = debited.min() else { return Ok(BTreeMap::new()) };
    let filter = SettlementFilter { account: Some(account), ..SettlementFilter::default() };
    let mut found = BTreeMap::new();
    let mut pages = client.settlements(&filter)?;
    while let Some(page) = pages.next_page().await? {
        found.extend(page.into_iter().map(|view| (view.index, view)));
        if found.first_key_value().is_some_and(|(oldest, _)| *oldest <= first) {
            break;
        }
    }
    Ok(found)
}

fn bookkeeping_row(client: &Client, period: &Period, postings: &BTreeMap<u64, SettlementView>) -> Object {
    let statement = &period.statement;
    let settled = statement.settled.as_ref();
    let written_off = settled.map_or(Tai::ZERO, |settled| settled.written_off);
    let outstanding = settled.map_or(Tai::ZERO, |settled| settled.standing.outstanding);
    let payee = client.network().shard(statement.shard.into()).map(|entry| entry.chain_id.to_string());
    let debited_by = settled.and_then(|settled| settled.debited_by);
    let covered_by = settled.and_then(|settled| settled.covered_by);
    let posting = |number: Option<u64>| number.and_then(|number| postings.get(&number)).map(|view| &view.posting);
    let time = |posting: Option<&Posting>| posting.map(|posting| BlockTime::from_secs(posting.time_secs));
    let object = Object::new()
        .with("network", client.network().name.as_str())
        .with("account", statement.account.to_string())
        .with("shard", statement.shard)
        .with_some("payee", payee)
        .with("epoch", period.close.first.get())
        .with("last_epoch", period.close.last.get());
    with_period(object, period)
        .with("opening_tai", statement.previous)
        .with("closing_tai", statement.cumulative)
        .with("amount_tai", statement.amount)
        .with("amount_db3", statement.amount.to_db3_string())
        .with("paid_tai", statement.paid())
        .with("paid_db3", statement.paid().to_db3_string())
        .with("written_off_tai", written_off)
        .with("written_off_db3", written_off.to_db3_string())
        .with("outstanding_tai", outstanding)
        .with("outstanding_db3", outstanding.to_db3_string())
        .with("status", Value::Enum(statement.status().as_str_name(), "BILL_STATUS_"))
        .with_some("received_time", settled.and_then(|settled| settled.received_time))
        .with_some("debited_by", debited_by)
        .with_some("debited_time", time(posting(debited_by)))
        .with_some("covered_by", covered_by)
        .with_some("covered_kind", posting(covered_by).map(|posting| posting.kind.name()))
        .with_some("covered_time", time(posting(covered_by)))
}

fn charge_rows(client: &Client, bill: &BillView) -> Vec<Object> {
    let row = |charge: &crate::Charge| {
        let amount = charge.amount_tai.parse::<Tai>().ok();
        Object::new()
            .with("network", client.network().name.as_str())
            .with("account", bill.bill.account.to_string())
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
            .with_some("amount_db3", amount.map(Tai::to_db3_string))
            .with("status", Value::Enum(bill.status.as_str_name(), "BILL_STATUS_"))
    };
    bill.charges.iter().map(row).collect()
}
