//! `db3 bill`: what was charged, and why.

use std::collections::BTreeMap;

use db3_primitives::Tai;

use super::args::{BillCommand, BillListArgs, BillName, EpochChoice, StatusChoice, SumBy};
use super::failure::Failure;
use super::render::{self, hex};
use super::session::{ChosenNetwork, Session};
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::{BillFilter, BillRef, BillStatus, BillView, Client};

/// `db3 bill`
pub async fn bill(session: &Session, command: &BillCommand) -> Result<(), Failure> {
    match command {
        BillCommand::List(args) => list(session, args).await,
        BillCommand::Show { bill } => show(session, bill).await,
        BillCommand::Verify { bill } => verify(session, bill).await,
    }
}

const COLUMNS: &[&str] =
    &["bill", "block_time", "epoch", "namespace", "outcome_code", "fee_tai", "cumulative_tai", "status"];
/// CSV is for spreadsheets: every field of its own.
const CSV_COLUMNS: &[&str] = &[
    "bill",
    "shard",
    "account",
    "seq",
    "height",
    "index",
    "block_time",
    "epoch",
    "kind",
    "reference",
    "namespace",
    "outcome_code",
    "price_version",
    "fee_tai",
    "cumulative_tai",
    "status",
    "charges",
];

async fn list(session: &Session, args: &BillListArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let account = session.account(&network)?.address;
    let client = session.client_of(network.file).await?;
    let mut limit = args.limit.unwrap_or(u64::MAX);
    let columns = if session.output.format == OutputFormat::Csv { CSV_COLUMNS } else { COLUMNS };
    let mut list = session.output.list(columns);
    let mut sums: BTreeMap<String, (u64, Tai)> = BTreeMap::new();
    for shard in shards(&client, args.shard)? {
        let Some(epoch) = epoch_on(&client, shard, args.epoch).await? else { continue };
        let filter = BillFilter {
            account: Some(account),
            epoch: epoch.number(),
            since: args.since,
            until: args.until,
            namespace: args
                .namespace
                .as_deref()
                .map(|name| name.parse().map(|name: db3_primitives::Namespace| name.as_str().to_owned()))
                .transpose()?,
            status: args.status.map(|status| match status {
                StatusChoice::Open => BillStatus::Open,
                StatusChoice::Closed => BillStatus::Closed,
            }),
        };
        let mut pages = client.bills(shard, &filter)?;
        while let Some(page) = pages.next_page().await? {
            for bill in &page {
                if let Some(by) = args.sum_by {
                    let sum = sums.entry(group(bill, by)).or_default();
                    *sum = (sum.0.saturating_add(1), sum.1.checked_add(bill.bill.fee).unwrap_or(Tai::MAX));
                } else if limit > 0 {
                    limit = limit.saturating_sub(1);
                    list.push(&render::bill(bill))?;
                }
            }
            if limit == 0 {
                break;
            }
        }
    }
    match args.sum_by {
        Some(by) => print_sums(session, by, sums),
        None => list.finish("no bills"),
    }
}

fn group(bill: &BillView, by: SumBy) -> String {
    match by {
        SumBy::Namespace => bill.namespace.clone(),
        SumBy::Kind => render::kind(bill.bill.kind).to_owned(),
        // Numbers of one length sort as numbers.
        SumBy::Epoch => format!("{:020}", bill.epoch),
    }
}

fn print_sums(session: &Session, by: SumBy, sums: BTreeMap<String, (u64, Tai)>) -> Result<(), Failure> {
    let name = match by {
        SumBy::Namespace => "namespace",
        SumBy::Kind => "kind",
        SumBy::Epoch => "epoch",
    };
    let mut list = session.output.list(&[name, "bills", "fee_tai"]);
    for (group, (bills, fee)) in sums {
        let shown = if by == SumBy::Epoch { group.trim_start_matches('0') } else { &group };
        list.push(&Object::new().with(name, shown).with("bills", bills).with("fee_tai", fee))?;
    }
    list.finish("no bills")
}

/// The shards that are asked for.
pub fn shards(client: &Client, only: Option<u32>) -> Result<Vec<u32>, Failure> {
    let count = u32::try_from(client.network().shards().count()).unwrap_or(u32::MAX);
    match only {
        None => Ok((0..count).collect()),
        Some(shard) if shard < count => Ok(vec![shard]),
        Some(shard) => Err(Failure::input(
            format!("the network {} has no shard {shard}", client.network().name),
            format!("its shards are 0 to {}", count.saturating_sub(1)),
        )),
    }
}

/// Which epoch to filter by.
#[derive(Clone, Copy, Debug)]
pub enum OnShard {
    /// All.
    Any,
    /// This one.
    Number(u64),
}

impl OnShard {
    fn number(self) -> Option<u64> {
        match self {
            Self::Any => None,
            Self::Number(number) => Some(number),
        }
    }
}

/// The number that "open" or "last" has on a shard; none where no epoch has closed there yet.
pub async fn epoch_on(client: &Client, shard: u32, choice: Option<EpochChoice>) -> Result<Option<OnShard>, Failure> {
    let Some(choice) = choice else { return Ok(Some(OnShard::Any)) };
    let wanted = match choice {
        EpochChoice::Number(number) => return Ok(Some(OnShard::Number(number))),
        EpochChoice::Open => BillStatus::Open,
        EpochChoice::Last => BillStatus::Closed,
    };
    let epochs = client.epochs(shard, 5).await?;
    let found = epochs.iter().find(|epoch| epoch.message.status() == wanted);
    Ok(found.map(|epoch| OnShard::Number(epoch.message.epoch)))
}

/// The bill that a name on the command line means; accounts go by name or address.
fn resolve(session: &Session, network: &ChosenNetwork, name: &BillName) -> Result<BillRef, Failure> {
    match name {
        BillName::Mutation(id) => Ok(BillRef::Mutation(*id)),
        BillName::Seq { shard, account, seq } => {
            let account = session.account_named(account, Some(network))?.address;
            Ok(BillRef::Seq { shard: *shard, account, seq: *seq })
        }
    }
}

async fn show(session: &Session, name: &BillName) -> Result<(), Failure> {
    let network = session.network()?;
    let which = resolve(session, &network, name)?;
    let client = session.client_of(network.file).await?;
    let (bill, _) = client.bill(which, false).await?;
    print_bill(session, &bill, &Object::new())
}

async fn verify(session: &Session, name: &BillName) -> Result<(), Failure> {
    let network = session.network()?;
    let which = resolve(session, &network, name)?;
    let client = session.client_of(network.file).await?;
    let (bill, proof) = client.bill(which, true).await?;
    let Some(proof) = proof else {
        return Err(Failure::input("nothing was proven", "leave out --unverified"));
    };
    let shown = Object::new()
        .with("verified", proof.at.verified)
        .with("log_index", proof.log_index)
        .with("log_size", proof.log_size)
        .with("log_root", hex(&proof.log_root))
        .with("under", if proof.close.is_some() { "the close of its epoch" } else { "the open epoch's log" })
        .with("proof_height", proof.at.height)
        .with("proof_root", hex(&proof.at.root));
    print_bill(session, &bill, &shown)
}

/// A bill, its charges one below the other in a table.
fn print_bill(session: &Session, bill: &BillView, more: &Object) -> Result<(), Failure> {
    let mut object = render::bill(bill);
    for (name, value) in more.fields() {
        object = object.with(name, value.clone());
    }
    print_with_charges(session, &object, &["leaf", "shard", "account", "seq", "payee"])
}

/// An object whose `charges` stand one below the other in a table, which leaves out some fields besides.
pub fn print_with_charges(session: &Session, object: &Object, left_out: &[&str]) -> Result<(), Failure> {
    if session.output.format != OutputFormat::Table {
        return session.output.object(object);
    }
    let mut shown = Object::new();
    for (name, value) in object.fields().iter().filter(|(name, _)| *name != "charges" && !left_out.contains(name)) {
        shown = shown.with(name, value.clone());
    }
    session.output.object(&shown)?;
    session.output.raw(b"\n")?;
    let mut list = session.output.list(&["meter", "quantity", "unit_price_tai", "amount_tai"]);
    if let Some(Value::List(charges)) = object.get("charges") {
        for charge in charges {
            if let Value::Object(charge) = charge {
                list.push(charge)?;
            }
        }
    }
    list.finish("no charges")
}
