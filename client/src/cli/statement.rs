//! `db3 statement`, `db3 epoch` and `db3 credit`.

use super::args::{CreditCommand, EpochChoice, EpochCommand, StatementCommand};
use super::bill::{epoch_on, shards};
use super::failure::{Exit, Failure};
use super::output::csv_field;
use super::render;
use super::session::Session;
use crate::console::OutputFormat;
use crate::{BillFilter, BillStatus, BillView, Client, StatementView};
use db3_primitives::Address;

const COLUMNS: &[&str] = &["shard", "epoch", "account", "previous_cumulative_tai", "cumulative_tai", "amount_tai"];

/// `db3 statement`
pub async fn statement(session: &Session, command: &StatementCommand) -> Result<(), Failure> {
    let network = session.network()?;
    let account = session.account(&network)?.address;
    let client = session.client_of(network.file).await?;
    match command {
        StatementCommand::List { shard } => {
            let mut list = session.output.list(COLUMNS);
            for shard in shards(&client, *shard)? {
                for statement in of_account(&client, shard, account).await? {
                    list.push(&render::statement(&statement))?;
                }
            }
            list.finish("no statements; the first comes with the close of an epoch that has a bill")
        }
        StatementCommand::Show { epoch } => show(session, &client, account, *epoch).await,
        StatementCommand::Export { epoch, file } => export(session, &client, account, *epoch, file.as_deref()).await,
    }
}

async fn of_account(client: &Client, shard: u32, account: Address) -> Result<Vec<StatementView>, Failure> {
    let statements = client.statements(shard).await?.value;
    Ok(statements.into_iter().filter(|statement| statement.account == account).collect())
}

/// The account's statements of an epoch, each with its bills.
async fn of_epoch(
    client: &Client,
    account: Address,
    choice: EpochChoice,
) -> Result<Vec<(StatementView, Vec<BillView>)>, Failure> {
    let mut found = Vec::new();
    for shard in shards(client, None)? {
        let statements = of_account(client, shard, account).await?;
        let chosen = match choice {
            EpochChoice::Number(number) => statements.into_iter().find(|statement| {
                statement.close.is_some_and(|close| (close.first.get()..=close.last.get()).contains(&number))
            }),
            EpochChoice::Last | EpochChoice::Open => {
                statements.into_iter().rev().find(|statement| statement.close.is_some())
            }
        };
        let Some(statement) = chosen else { continue };
        let mut bills = Vec::new();
        let (first, last) = statement.close.map_or((0, 0), |close| (close.first.get(), close.last.get()));
        // Of epochs that closed together only the first can hold bills, but nothing here relies on that.
        for epoch in first..=last.min(first.saturating_add(10_000)) {
            let filter = BillFilter { account: Some(account), epoch: Some(epoch), ..BillFilter::default() };
            let mut pages = client.bills(shard, &filter)?;
            while let Some(page) = pages.next_page().await? {
                bills.extend(page);
            }
            if !bills.is_empty() {
                break;
            }
        }
        bills.sort_by_key(|bill| bill.bill.seq);
        found.push((statement, bills));
    }
    if choice == EpochChoice::Open {
        return Err(Failure::input(
            "an open epoch has no statement yet",
            "give its number once it has closed, or last",
        ));
    }
    if found.is_empty() {
        return Err(Failure::new(
            Exit::Absent,
            format!("{account} has no statement of that epoch"),
            "`db3 statement list` shows those that there are",
        ));
    }
    Ok(found)
}

async fn show(session: &Session, client: &Client, account: Address, epoch: EpochChoice) -> Result<(), Failure> {
    let found = of_epoch(client, account, epoch).await?;
    if session.output.format != OutputFormat::Table {
        let mut list = session.output.list(COLUMNS);
        for (statement, bills) in &found {
            let bills: Vec<_> = bills.iter().map(render::bill).collect();
            list.push(&render::statement(statement).with("bills", bills))?;
        }
        return list.finish("");
    }
    for (statement, bills) in &found {
        session.output.object(&render::statement(statement))?;
        session.output.raw(b"\n")?;
        let mut list = session.output.list(&["seq", "block_time", "namespace", "fee_tai", "cumulative_tai"]);
        bills.iter().try_for_each(|bill| list.push(&render::bill(bill)))?;
        list.finish("no bills")?;
        session.output.raw(b"\n")?;
    }
    Ok(())
}

async fn export(
    session: &Session,
    client: &Client,
    account: Address,
    epoch: EpochChoice,
    file: Option<&std::path::Path>,
) -> Result<(), Failure> {
    let mut lines =
        vec![String::from("shard,epoch,seq,block_time,namespace,reference,meter,quantity,unit_price_tai,amount_tai")];
    for (_, bills) in of_epoch(client, account, epoch).await? {
        for bill in &bills {
            for charge in &bill.charges {
                let cells = [
                    bill.bill.shard.to_string(),
                    bill.epoch.to_string(),
                    bill.bill.seq.to_string(),
                    bill.time.map(|time| time.rfc3339()).unwrap_or_default(),
                    bill.namespace.clone(),
                    render::hex(&bill.bill.reference),
                    charge.meter.clone(),
                    charge.quantity.to_string(),
                    charge.unit_price_tai.clone(),
                    charge.amount_tai.clone(),
                ];
                lines.push(cells.map(|cell| csv_field(&cell)).join(","));
            }
        }
    }
    let text = format!("{}\n", lines.join("\n"));
    match file {
        Some(path) => session.write_file(path, text.as_bytes()),
        None => session.output.raw(text.as_bytes()),
    }
}

/// `db3 epoch`
pub async fn epoch(session: &Session, command: &EpochCommand) -> Result<(), Failure> {
    let client = session.client().await?;
    let mut list = session.output.list(&[
        "shard",
        "epoch",
        "last_epoch",
        "status",
        "start_time",
        "first_height",
        "last_height",
        "bill_count",
        "statement_count",
        "total_tai",
    ]);
    match command {
        EpochCommand::List { shard, limit } => {
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            for shard in shards(&client, *shard)? {
                for epoch in client.epochs(shard, limit).await? {
                    list.push(&render::epoch(shard, &epoch))?;
                }
            }
            list.finish("no epochs")
        }
        EpochCommand::Show { epoch, shard } => {
            for shard in shards(&client, *shard)? {
                let number = match epoch_on(&client, shard, Some(*epoch)).await? {
                    Some(super::bill::OnShard::Number(number)) => Some(number),
                    Some(super::bill::OnShard::Any) | None => continue,
                };
                let number = if *epoch == EpochChoice::Open { None } else { number };
                let view = client.epoch(shard, number).await?;
                let proven = view.close.is_some() && view.at.as_ref().is_some_and(|at| at.verified);
                let waits = view.close.is_none() && view.message.status() != BillStatus::Open;
                let object = render::epoch(shard, &view).with("verified", proven).with("closing", waits);
                list.push(&object)?;
            }
            list.finish("no such epoch")
        }
    }
}

/// `db3 credit`
pub async fn credit(session: &Session, command: &CreditCommand) -> Result<(), Failure> {
    let CreditCommand::Show = command;
    let network = session.network()?;
    let account = session.account(&network)?.address;
    let client = session.client_of(network.file).await?;
    let mut list =
        session.output.list(&["shard", "ceiling_tai", "spent_tai", "available_tai", "bill_count", "verified"]);
    for line in client.account(account).credit_lines().await? {
        let object = render::credit_line(&line);
        list.push(&super::value::Object::new().with("account", account.to_string()).with_all(&object))?;
    }
    list.finish("no shards")
}
