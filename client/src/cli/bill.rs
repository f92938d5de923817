//! `db3 bill`: what was charged and why, and what became of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use db3_primitives::{Address, Namespace, Tai};

use super::args::{BillCommand, BillListArgs, BillName, StatusChoice, SumBy};
use super::failure::Failure;
use super::on_shard::{EPOCH_NOT_FOUND, epoch_on, no_such_epoch, shards};
use super::posting::Settling;
use super::render::{self, hex};
use super::session::{ChosenNetwork, Session};
use super::span;
use super::unanswered::Missing;
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::{
    BillFilter, BillPages, BillProof, BillRef, BillStatus, BillView, Client, ClientError, Settled, Sum, Unanswered,
};

/// `db3 bill`
pub async fn bill(session: &Session, command: &BillCommand) -> Result<(), Failure> {
    match command {
        BillCommand::List(args) => list(session, args).await,
        BillCommand::Show { bill } => show(session, bill).await,
        BillCommand::Verify { bill } => verify(session, bill).await,
    }
}

const COLUMNS: &[&str] =
    &["bill", "block_time", "epoch", "namespace", "outcome", "fee_tai", "cumulative_tai", "status"];
/// CSV is for spreadsheets: every field of its own, and of each meter how much was used and what that cost.
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
    "outcome",
    "price_version",
    "mutations",
    "mutations_tai",
    "bytes_in",
    "bytes_in_tai",
    "operations",
    "operations_tai",
    "key_bytes",
    "key_bytes_tai",
    "bytes_stored",
    "bytes_stored_tai",
    "fee_tai",
    "cumulative_tai",
    "status",
];

async fn list(session: &Session, args: &BillListArgs) -> Result<(), Failure> {
    span::check(args.since, args.until)?;
    let network = session.network()?;
    let account = session.account(&network)?.address;
    let client = session.client_of(network.file).await?;
    let mut missing = Missing::default();
    let answering = answering(&client, account, args.shard, &mut missing).await?;
    let settled = settled(&client, account, &mut missing).await?;
    let mut limit = args.limit.unwrap_or(u64::MAX);
    let columns = if session.output.format == OutputFormat::Csv { CSV_COLUMNS } else { COLUMNS };
    let mut list = session.output.list(columns);
    let mut sums: BTreeMap<String, (u64, Tai)> = BTreeMap::new();
    let namespace = args.namespace.as_deref().map(str::parse::<Namespace>).transpose()?;
    let mut merged = NewestFirst::default();
    let (mut listed, mut unknown) = (false, None);
    for shard in answering {
        let epoch = match epoch_on(&client, shard, args.epoch).await {
            Ok(Some(epoch)) => epoch,
            Ok(None) => continue,
            Err(ClientError::Rejected(refusal)) if refusal.code == EPOCH_NOT_FOUND => {
                unknown.get_or_insert((shard, refusal));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        listed = true;
        let filter = BillFilter {
            account: Some(account),
            epoch: epoch.number(),
            since: args.since,
            until: args.until,
            namespace: namespace.as_ref().map(|name| name.as_str().to_owned()),
            open: args.status == Some(StatusChoice::Open),
        };
        merged.add(client.bills(shard, &filter)?);
    }
    if let (false, Some((shard, refusal))) = (listed, unknown) {
        return Err(no_such_epoch(shard, refusal));
    }
    while limit > 0
        && let Some(bill) = merged.next().await?
    {
        let bill = BillView { status: status(settled.as_ref(), &bill), ..bill };
        if args.status.is_some_and(|wanted| !is_in(wanted, bill.status)) {
            continue;
        }
        if let Some(by) = args.sum_by {
            let sum = sums.entry(group(&bill, by)).or_default();
            *sum = (sum.0.saturating_add(1), sum.1.checked_add(bill.bill.fee).unwrap_or(Tai::MAX));
        } else {
            limit = limit.saturating_sub(1);
            list.push(&missing.mark(shown(session, &bill)))?;
        }
    }
    match args.sum_by {
        _ if !missing.has_answer() => {}
        Some(by) => print_sums(session, by, sums, &missing)?,
        None => list.finish("no bills")?,
    }
    missing.say(session)?;
    merged.end(session)
}

/// The bills of several shards as one list, by the time of their blocks; each shard's own come newest first.
#[derive(Default)]
struct NewestFirst<'c> {
    shards: Vec<(BillPages<'c>, VecDeque<BillView>)>,
    /// Where a shard's list ends before its first bill, because no node that was asked has older ones.
    cut: Vec<ClientError>,
}

impl<'c> NewestFirst<'c> {
    fn add(&mut self, pages: BillPages<'c>) {
        self.shards.push((pages, VecDeque::new()));
    }

    /// The newest that is left. Of bills of one time those of the lower shard come first.
    async fn next(&mut self) -> Result<Option<BillView>, ClientError> {
        for (pages, read) in &mut self.shards {
            while read.is_empty() {
                match pages.next_page().await {
                    Ok(Some(page)) => read.extend(page),
                    Ok(None) => break,
                    // What the other shards have is shown nevertheless.
                    Err(error) if error.history_from().is_some() => self.cut.push(error),
                    Err(error) => return Err(error),
                }
            }
        }
        self.shards.retain(|(_, read)| !read.is_empty());
        let times = self.shards.iter().map(|(_, read)| read.front().and_then(|bill| bill.time));
        let newest = times.enumerate().max_by_key(|(place, time)| (*time, Reverse(*place))).map(|(place, _)| place);
        Ok(newest.and_then(|place| self.shards.get_mut(place)).and_then(|(_, read)| read.pop_front()))
    }

    /// Whether what was shown is all.
    fn end(self, session: &Session) -> Result<(), Failure> {
        end_of_history(session, self.cut)
    }
}

/// Where lists end before their first entries, because no node that was asked has older ones: what is missing, and why.
pub fn end_of_history(session: &Session, cut: Vec<ClientError>) -> Result<(), Failure> {
    let mut cut = cut.into_iter();
    let Some(first) = cut.next() else { return Ok(()) };
    for error in cut {
        Failure::from(error).warn(session);
    }
    Err(first.into())
}

/// A bill; in CSV its charges are fields of their own.
fn shown(session: &Session, bill: &BillView) -> Object {
    let object = render::bill(bill);
    if session.output.format == OutputFormat::Csv {
        return object.without(&["charges"]).with_all(&render::charge_fields(&bill.charges));
    }
    object
}

/// Those of the shards that are asked for which answer.
async fn answering(
    client: &Client,
    account: Address,
    only: Option<u32>,
    missing: &mut Missing,
) -> Result<Vec<u32>, Failure> {
    const LACK: &str = "its bills are not shown";
    let asked = shards(client, only)?;
    if let (Some(_), [shard]) = (only, asked.as_slice()) {
        let line = missing.take(client.account(account).credit_line_on(*shard).await, LACK)?;
        return Ok(line.map(|line| line.shard).into_iter().collect());
    }
    let lines = client.account(account).credit_lines().await?;
    if !lines.value.is_empty() {
        missing.answered();
    }
    missing.add(lines.unanswered, LACK);
    Ok(lines.value.iter().map(|line| line.shard).collect())
}

/// What settlement made of the account's bills; none where it does not answer.
async fn settled(client: &Client, account: Address, missing: &mut Missing) -> Result<Option<Settled>, Failure> {
    if client.network().settlement().is_none() {
        return Ok(None);
    }
    match client.account(account).settled().await {
        Ok(settled) => Ok(Some(settled)),
        Err(error) => {
            missing.add([Unanswered::of(error)?], "statuses are what the shards know");
            Ok(None)
        }
    }
}

/// A bill's status, as settlement has it where there is one.
fn status(settled: Option<&Settled>, bill: &BillView) -> BillStatus {
    settled.map_or(bill.status, |settled| settled.status(bill))
}

/// Whether a bill in this status is meant.
fn is_in(wanted: StatusChoice, status: BillStatus) -> bool {
    match wanted {
        StatusChoice::Open => status == BillStatus::Open,
        StatusChoice::Closed => status == BillStatus::Closed,
        StatusChoice::Settled => {
            matches!(status, BillStatus::Outstanding | BillStatus::Paid | BillStatus::WrittenOff | BillStatus::Settled)
        }
        StatusChoice::Outstanding => status == BillStatus::Outstanding,
        StatusChoice::Paid => status == BillStatus::Paid,
        StatusChoice::WrittenOff => status == BillStatus::WrittenOff,
    }
}

fn group(bill: &BillView, by: SumBy) -> String {
    match by {
        SumBy::Namespace => bill.namespace.clone(),
        SumBy::Kind => render::kind(bill.bill.kind).to_shown(),
        // Numbers of one length sort as numbers.
        SumBy::Epoch => format!("{:020}", bill.epoch),
    }
}

fn print_sums(
    session: &Session,
    by: SumBy,
    sums: BTreeMap<String, (u64, Tai)>,
    missing: &Missing,
) -> Result<(), Failure> {
    let name = match by {
        SumBy::Namespace => "namespace",
        SumBy::Kind => "kind",
        SumBy::Epoch => "epoch",
    };
    let mut list = session.output.list(&[name, "bills", "fee_tai"]);
    for (group, (bills, fee)) in sums {
        let shown = if by == SumBy::Epoch { group.trim_start_matches('0') } else { &group };
        list.push(&missing.mark(Object::new().with(name, shown).with("bills", bills).with("fee_tai", fee)))?;
    }
    list.finish("no bills")
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

/// A bill with everything that is known of it.
struct Whole {
    bill: BillView,
    proof: Option<BillProof>,
    settling: Settling,
}

async fn fetch(session: &Session, name: &BillName, prove: bool, missing: &mut Missing) -> Result<Whole, Failure> {
    let network = session.network()?;
    let which = resolve(session, &network, name)?;
    let client = session.client_of(network.file).await?;
    let (bill, proof) = client.bill(which, prove).await?;
    missing.answered();
    let Some(settled) = settled(&client, bill.bill.account, missing).await? else {
        return Ok(Whole { bill, proof, settling: Settling::default() });
    };
    let bill = BillView { status: settled.status(&bill), ..bill };
    let sum = Sum { account: bill.bill.account, shard: bill.bill.shard.get(), cumulative: bill.bill.cum_after };
    let is_settled = is_in(StatusChoice::Settled, bill.status);
    let settling = if is_settled { Settling::of(&client, sum).await? } else { Settling::default() };
    Ok(Whole { bill, proof, settling })
}

async fn show(session: &Session, name: &BillName) -> Result<(), Failure> {
    let mut missing = Missing::default();
    let whole = fetch(session, name, false, &mut missing).await?;
    print_bill(session, &whole.bill, &missing.mark(whole.settling.fields(false)))?;
    missing.say(session)
}

async fn verify(session: &Session, name: &BillName) -> Result<(), Failure> {
    let mut missing = Missing::default();
    let whole = fetch(session, name, true, &mut missing).await?;
    let Some(proof) = &whole.proof else {
        return Err(Failure::input("nothing was proven", "leave out --unverified"));
    };
    let shown = Object::new()
        .with("verified", proof.at.verified && whole.settling.is_verified() && missing.is_empty())
        .with("log_index", proof.log_index)
        .with("log_size", proof.log_size)
        .with("log_root", hex(&proof.log_root))
        .with("under", if proof.close.is_some() { "the close of its epoch" } else { "the open epoch's log" })
        .with("proof_height", proof.at.height)
        .with("proof_root", hex(&proof.at.root))
        .with_all(&whole.settling.fields(true));
    print_bill(session, &whole.bill, &missing.mark(shown))?;
    // What the shard proves is shown; without the posting that paid it the bill is not verified.
    missing.refuse()
}

/// A bill, its charges one below the other in a table.
fn print_bill(session: &Session, bill: &BillView, more: &Object) -> Result<(), Failure> {
    let object = shown(session, bill).with_all(more);
    print_with_charges(session, &object, &["leaf", "shard", "account", "seq", "payee"])
}

/// An object whose `charges` stand one below the other in a table, which leaves out some fields besides.
pub fn print_with_charges(session: &Session, object: &Object, left_out: &[&str]) -> Result<(), Failure> {
    if session.output.format != OutputFormat::Table {
        return session.output.object(object);
    }
    session.output.object(&object.without(&[left_out, &["charges"]].concat()))?;
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
