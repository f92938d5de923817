//! `db3 statement`: what an account owes from each shard, epoch by epoch, and what became of it.

use db3_primitives::Address;

use super::args::{EpochChoice, StatementCommand};
use super::failure::Failure;
use super::on_shard::shards;
use super::period::{Period, bills_of, of_epoch, with_period};
use super::posting::Settling;
use super::render;
use super::session::Session;
use super::statement_export::export;
use super::unanswered::Missing;
use crate::console::OutputFormat;
use crate::{BillView, Client, StatementFilter, Sum};

const COLUMNS: &[&str] = &[
    "shard",
    "epoch",
    "last_epoch",
    "previous_cumulative_tai",
    "cumulative_tai",
    "amount_tai",
    "paid_tai",
    "outstanding_tai",
    "status",
];
const BILL_COLUMNS: &[&str] = &["seq", "block_time", "namespace", "fee_tai", "cumulative_tai", "status"];

/// `db3 statement`
pub async fn statement(session: &Session, command: &StatementCommand) -> Result<(), Failure> {
    let network = session.network()?;
    let account = session.account(&network)?.address;
    let client = session.client_of(network.file).await?;
    match command {
        StatementCommand::List { shard, limit } => list(session, &client, account, *shard, *limit).await,
        StatementCommand::Show { epoch } => show(session, &client, account, *epoch).await,
        StatementCommand::Export(args) => export(session, &client, account, args).await,
    }
}

async fn list(
    session: &Session,
    client: &Client,
    account: Address,
    shard: Option<u32>,
    limit: Option<u64>,
) -> Result<(), Failure> {
    shards(client, shard)?;
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let found = client.account(account).statements(&StatementFilter { shard, limit, epoch_min: None }).await?;
    let mut missing = Missing::default();
    missing.answered();
    missing.add(found.unanswered, "its newest statements may not be shown");
    let mut list = session.output.list(COLUMNS);
    for statement in &found.value {
        list.push(&missing.mark(render::statement(statement)))?;
    }
    list.finish("no statements; the first comes with the close of an epoch that has a bill")?;
    missing.say(session)
}

async fn show(session: &Session, client: &Client, account: Address, epoch: EpochChoice) -> Result<(), Failure> {
    let mut missing = Missing::default();
    let found = of_epoch(client, account, epoch, &mut missing).await?;
    let mut list = session.output.list(COLUMNS);
    for period in &found {
        let bills = bills_of(client, period, &mut missing).await?;
        let settling = settling(client, period).await?;
        let object = with_period(render::statement(&period.statement), period);
        match session.output.format {
            OutputFormat::Json | OutputFormat::Csv => {
                let bills = bills.map(|bills| bills.iter().map(render::bill).collect::<Vec<_>>());
                let object = object.with_some("bills", bills).with_all(&settling.postings());
                list.push(&missing.mark(object))?;
            }
            OutputFormat::Table => {
                session
                    .output
                    .object(&object.without(&["debited_by", "covered_by"]).with_all(&settling.fields(false)))?;
                session.output.raw(b"\n")?;
                print_bills(session, bills.as_deref())?;
            }
        }
    }
    if session.output.format != OutputFormat::Table {
        list.finish("")?;
    }
    missing.say(session)
}

/// The postings that debited and covered a statement, proven; none before the round that settles it.
async fn settling(client: &Client, period: &Period) -> Result<Settling, Failure> {
    let statement = &period.statement;
    let is_debited = statement.settled.as_ref().is_some_and(|settled| !settled.standing.debited.is_zero());
    if !is_debited {
        return Ok(Settling::default());
    }
    let sum = Sum { account: statement.account, shard: statement.shard, cumulative: statement.cumulative };
    Settling::of(client, sum).await
}

fn print_bills(session: &Session, bills: Option<&[BillView]>) -> Result<(), Failure> {
    if let Some(bills) = bills {
        let mut table = session.output.list(BILL_COLUMNS);
        bills.iter().try_for_each(|bill| table.push(&render::bill(bill)))?;
        table.finish("no bills")?;
    }
    session.output.raw(b"\n")
}
