//! `db3 posting`: what settlement did to an account, posting by posting; and the two postings that settle a bill or a
//! statement.

use db3_primitives::leaf::settlement::FEE_POOL;
use db3_primitives::{BlockTime, Posting, PostingLine};

use super::args::{PostingCommand, PostingListArgs};
use super::failure::{Exit, Failure};
use super::render::hex;
use super::session::Session;
use super::span;
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::{Client, NetworkFile, SettlementFilter, SettlementRef, SettlementView, Sum};

const COLUMNS: &[&str] =
    &["index", "block_time", "kind", "epoch", "debit_tai", "paid_tai", "outstanding_tai", "balance_tai"];
/// CSV is for spreadsheets: every field of its own, the lines as JSON.
const CSV_COLUMNS: &[&str] = &[
    "index",
    "number",
    "account",
    "block_time",
    "height",
    "kind",
    "epoch",
    "debit_tai",
    "paid_tai",
    "written_off_tai",
    "outstanding_tai",
    "balance_tai",
    "collateral_tai",
    "lines",
];
const LINE_COLUMNS: &[&str] = &["chain_id", "debited_from_tai", "debited_to_tai", "covered_from_tai", "covered_to_tai"];

/// `db3 posting`
pub async fn posting(session: &Session, command: &PostingCommand) -> Result<(), Failure> {
    match command {
        PostingCommand::List(args) => list(session, args).await,
        PostingCommand::Show { index } => show(session, *index).await,
    }
}

async fn list(session: &Session, args: &PostingListArgs) -> Result<(), Failure> {
    span::check(args.since, args.until)?;
    let network = session.network()?;
    let account = session.account(&network)?.address;
    let client = session.client_of(network.file).await?;
    let filter = SettlementFilter {
        account: Some(account),
        epoch: args.epoch,
        kind: args.kind.map(super::args::KindChoice::kind),
        since: args.since,
        until: args.until,
    };
    let columns = if session.output.format == OutputFormat::Csv { CSV_COLUMNS } else { COLUMNS };
    let mut list = session.output.list(columns);
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut pages = client.settlements(&filter)?;
    while left > 0
        && let Some(page) = pages.next_page().await?
    {
        for view in page {
            if left > 0 {
                left = left.saturating_sub(1);
                list.push(&render(client.network(), &view))?;
            }
        }
    }
    list.finish("no postings; the first comes with the round that settles the account's first bill")
}

async fn show(session: &Session, index: u64) -> Result<(), Failure> {
    let client = session.client().await?;
    let Some(view) = client.settlement_of(SettlementRef::Index(index)).await? else {
        return Err(Failure::new(
            Exit::Refused,
            format!("there is no posting {index}"),
            "`db3 posting list` shows those of an account",
        ));
    };
    let place = view.place.as_ref();
    let object = render(client.network(), &view)
        .with_some("postings_size", place.map(|place| place.size))
        .with_some("postings_root", place.map(|place| hex(&place.root)))
        .with_some("proof_height", place.map(|place| place.at.height));
    if session.output.format != OutputFormat::Table {
        return session.output.object(&object);
    }
    session.output.object(&object.without(&["lines"]))?;
    session.output.raw(b"\n")?;
    let mut table = session.output.list(LINE_COLUMNS);
    view.posting.lines.iter().try_for_each(|one| table.push(&line(client.network(), one)))?;
    table.finish("no lines")
}

/// A posting, by the names of the proto files.
#[must_use]
pub fn render(network: &NetworkFile, view: &SettlementView) -> Object {
    let Posting { kind, epoch, height, time_secs, account, number, .. } = view.posting;
    let lines: Vec<Object> = view.posting.lines.iter().map(|one| line(network, one)).collect();
    Object::new()
        .with("index", view.index)
        .with("number", number)
        .with("account", account.to_string())
        .with("block_time", BlockTime::from_secs(time_secs))
        .with("height", height.get())
        .with("kind", kind.name())
        .with("epoch", epoch.get())
        .with("debit_tai", view.posting.debit)
        .with("paid_tai", view.posting.paid)
        .with("written_off_tai", view.posting.written_off)
        .with("outstanding_tai", view.posting.outstanding)
        .with("balance_tai", view.posting.balance)
        .with("collateral_tai", view.posting.collateral)
        .with("lines", lines)
        .with("verified", view.place.as_ref().is_some_and(|place| place.at.verified))
}

fn line(network: &NetworkFile, line: &PostingLine) -> Object {
    Object::new()
        .with("shard", line.shard.get())
        .with_some("chain_id", chain_id(network, line))
        .with("debited_from_tai", line.debited_from)
        .with("debited_to_tai", line.debited_to)
        .with("covered_from_tai", line.covered_from)
        .with("covered_to_tai", line.covered_to)
}

/// The chain whose line or pool it is.
fn chain_id(network: &NetworkFile, line: &PostingLine) -> Option<String> {
    let entry = if line.shard == FEE_POOL { network.settlement() } else { network.shard(line.shard) };
    entry.map(|entry| entry.chain_id.to_string())
}

/// The posting that debited a sum, and the one that covered the last of it; proven.
#[derive(Debug, Default)]
pub struct Settling {
    debit: Option<(SettlementView, Object)>,
    cover: Option<(SettlementView, Object)>,
}

impl Settling {
    /// Of a bill's or a statement's sum.
    pub async fn of(client: &Client, sum: Sum) -> Result<Self, Failure> {
        if sum.cumulative.is_zero() {
            return Ok(Self::default());
        }
        let shown = |view: SettlementView| {
            let object = render(client.network(), &view);
            (view, object)
        };
        let debit = client.settlement_of(SettlementRef::DebitOf(sum)).await?.map(shown);
        let cover = client.settlement_of(SettlementRef::CoverOf(sum)).await?.map(shown);
        Ok(Self { debit, cover })
    }

    /// Whether every one of them is proven.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        let both = [&self.debit, &self.cover].into_iter().flatten();
        both.map(|(view, _)| view).all(|view| view.place.as_ref().is_some_and(|place| place.at.verified))
    }

    /// The two as whole objects.
    #[must_use]
    pub fn postings(&self) -> Object {
        let whole =
            |one: &Option<(SettlementView, Object)>| one.as_ref().map(|(_, object)| Value::from(object.clone()));
        Object::new().with_some("debit", whole(&self.debit)).with_some("cover", whole(&self.cover))
    }

    /// What they did, in a few fields; `with_proof`: and where that stands in the log of postings.
    #[must_use]
    pub fn fields(&self, with_proof: bool) -> Object {
        let mut object = Object::new();
        if let Some((debit, _)) = &self.debit {
            object = object
                .with("debited_by", debit.index)
                .with("debited_height", debit.posting.height.get())
                .with("debited_time", BlockTime::from_secs(debit.posting.time_secs));
        }
        if let Some((cover, _)) = &self.cover {
            object = object
                .with("covered_by", cover.index)
                .with("covered_kind", cover.posting.kind.name())
                .with("covered_height", cover.posting.height.get())
                .with("covered_time", BlockTime::from_secs(cover.posting.time_secs));
        }
        let proven = self.cover.as_ref().or(self.debit.as_ref()).and_then(|(view, _)| view.place.as_ref());
        match proven.filter(|_| with_proof) {
            Some(place) => object
                .with("postings_size", place.size)
                .with("postings_root", hex(&place.root))
                .with("settlement_proof_height", place.at.height),
            None => object,
        }
    }
}
