//! `db3 credit show`, and what a first write does that met no line.

use std::time::Duration;

use db3_primitives::{Address, LineLeaf, SecretKey, ShardId, Tai};
use tokio::time::{Instant, sleep};

use super::args::SendingArgs;
use super::bill::shards;
use super::debt::Ahead;
use super::failure::Failure;
use super::line_use;
use super::render;
use super::send::{Sent, send_order};
use super::session::{ChosenNetwork, Session};
use super::unanswered::Missing;
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::{Answer, Client, CreditLine, Money};

/// How often to ask whether a new line has arrived on its shard.
const PAUSE: Duration = Duration::from_millis(100);

/// `db3 credit show`
pub async fn show(session: &Session, network: ChosenNetwork) -> Result<(), Failure> {
    let account = session.account(&network)?.address;
    let client = session.client_of(network.file).await?;
    let view = client.account(account);
    let (money, on_shards) = tokio::join!(view.money(), view.credit_lines());
    let mut missing = Missing::default();
    let money = missing.take(money, "balance, collateral and debts are not shown")?;
    let on_shards = on_shards?;
    let mut lines = Vec::new();
    for shard in shards(&client, None)? {
        let on_shard = on_shards.value.iter().find(|line| line.shard == shard);
        let known = money.as_ref().map(|money| (money.value.line(shard), money.value.has_line(shard)));
        if on_shard.is_some_and(|line| line.exists) || known.is_some_and(|(_, exists)| exists) {
            lines.push(Line { shard, on_shard: on_shard.cloned(), known: known.map(|(line, _)| line) });
        }
    }
    if !on_shards.value.is_empty() {
        missing.answered();
    }
    missing.add(on_shards.unanswered, "what it has charged since its last statement is not counted");
    let are_verified = lines.iter().filter_map(|line| line.on_shard.as_ref()).all(|line| line.at.verified);
    let object = missing.mark(summary(account, money.as_ref(), &lines, are_verified));
    if money.is_some() || !on_shards.value.is_empty() {
        print(session, object, lines.iter().map(Line::object).collect())?;
    }
    if let Some(Answer { value: money, .. }) = &money {
        for on_shard in lines.iter().filter_map(|line| line.on_shard.as_ref()) {
            line_use::warn(session, on_shard, money);
        }
        if let Some(ahead) = Ahead::of(money) {
            session.output.say(&ahead.text(money));
        }
        if !money.exists() {
            session
                .output
                .say("the settlement chain has never heard of this account; somebody must transfer to it first");
        }
    }
    missing.say(session)
}

/// What is known of the account beyond its lines.
fn summary(account: Address, money: Option<&Answer<Money>>, lines: &[Line], are_verified: bool) -> Object {
    let unsettled = sum(lines.iter().filter_map(Line::unsettled));
    let available = sum(lines.iter().filter_map(|line| line.on_shard.as_ref()).map(|line| line.available));
    let object = Object::new().with("account", account.to_string());
    let Some(money) = money else {
        return object.with("available_tai", available).with("verified", are_verified);
    };
    let balance = money.value.balance();
    let outstanding = money.value.outstanding();
    object
        .with("balance_tai", balance.balance)
        .with("collateral_tai", balance.collateral)
        .with("trust_tai", balance.trust)
        .with("limit_tai", money.value.limit())
        .with("allocated_tai", money.value.allocated())
        .with("free_tai", money.value.free())
        .with("owed_tai", unsettled.checked_add(outstanding).unwrap_or(Tai::MAX))
        .with("unsettled_tai", unsettled)
        .with("outstanding_tai", outstanding)
        .with("available_tai", available)
        .with("stage", Value::Enum(render::stage(balance.stage), "ACCOUNT_STAGE_"))
        .with_some("stage_since_epoch", Some(balance.since.get()).filter(|since| *since > 0))
        .with_all(&Ahead::of(&money.value).map(|ahead| ahead.fields()).unwrap_or_default())
        .with("postings", balance.postings)
        .with("height", money.at.height)
        .with("verified", money.at.verified && are_verified)
}

fn print(session: &Session, object: Object, lines: Vec<Object>) -> Result<(), Failure> {
    const COLUMNS: &[&str] = &[
        "shard",
        "want_tai",
        "granted_tai",
        "available_tai",
        "spent_tai",
        "unsettled_tai",
        "outstanding_tai",
        "paid_tai",
        "bill_count",
        "lease_epoch",
    ];
    const CSV_COLUMNS: &[&str] = &[
        "account",
        "shard",
        "want_tai",
        "granted_tai",
        "ceiling_tai",
        "held_tai",
        "spent_tai",
        "available_tai",
        "reported_tai",
        "debited_tai",
        "paid_tai",
        "written_off_tai",
        "unsettled_tai",
        "outstanding_tai",
        "bill_count",
        "lease_epoch",
    ];
    match session.output.format {
        OutputFormat::Json => session.output.object(&object.with("lines", lines)),
        OutputFormat::Csv => {
            let account = object.get("account").cloned().unwrap_or(Value::Text(String::new()));
            let mut list = session.output.list(CSV_COLUMNS);
            for line in lines {
                list.push(&Object::new().with("account", account.clone()).with_all(&line))?;
            }
            list.finish("")
        }
        OutputFormat::Table => {
            session.output.object(&object)?;
            session.output.raw(b"\n")?;
            let mut list = session.output.list(COLUMNS);
            lines.iter().try_for_each(|line| list.push(line))?;
            list.finish("no lines; `db3 credit allocate` opens one")
        }
    }
}

/// An account's line on a shard, as far as it is known: by the shard, and by the settlement chain.
struct Line {
    shard: u32,
    on_shard: Option<CreditLine>,
    known: Option<LineLeaf>,
}

impl Line {
    fn object(&self) -> Object {
        let (on_shard, known) = (self.on_shard.as_ref(), self.known.as_ref());
        Object::new()
            .with("shard", self.shard)
            .with_some("want_tai", known.map(|line| line.want))
            .with_some("granted_tai", known.map(line_use::granted))
            .with_some("ceiling_tai", known.map(|line| line.ceiling))
            .with_some("held_tai", known.map(|line| line.held))
            .with_some("shard_ceiling_tai", on_shard.map(|line| line.ceiling))
            .with_some("spent_tai", on_shard.map(|line| line.spent))
            .with_some("available_tai", on_shard.map(|line| line.available))
            .with_some("reported_tai", known.map(|line| line.reported))
            .with_some("debited_tai", known.map(|line| line.debited))
            .with_some("paid_tai", known.map(|line| line.paid))
            .with_some("written_off_tai", known.map(|line| line.written_off))
            .with_some("unsettled_tai", self.unsettled())
            .with_some("outstanding_tai", known.map(LineLeaf::outstanding))
            .with_some("cut_index", known.and_then(|line| line.cut).map(|cut| cut.index))
            .with_some("cut_lease_epoch", known.and_then(|line| line.cut).map(|cut| cut.lease.get()))
            .with_some("bill_count", on_shard.map(|line| line.bill_count))
            .with_some("lease_epoch", on_shard.map(|line| Value::Until(line.lease_epoch)))
    }

    /// What the account has spent on a shard and no round has debited: the open epoch included where the shard answers,
    /// up to the last statement where it does not.
    fn unsettled(&self) -> Option<Tai> {
        let known = self.known?;
        let spent = self.on_shard.as_ref().map_or(Tai::ZERO, |line| line.spent);
        Some(spent.max(known.reported).saturating_sub(known.debited))
    }
}

fn sum(amounts: impl Iterator<Item = Tai>) -> Tai {
    amounts.fold(Tai::ZERO, |sum, amount| sum.checked_add(amount).unwrap_or(Tai::MAX))
}

/// What a first write that met no line found to do about it.
pub enum Opening {
    /// There is a line now.
    Open,
    /// What helps this account.
    Advice(String),
    /// Nothing that the refusal does not say.
    Unknown,
}

impl Opening {
    fn of(arrived: bool) -> Self {
        if arrived { Self::Open } else { Self::Unknown }
    }
}

/// What to do about a first write that met no line: opens one where the person says yes, and else tells how.
pub async fn open_line(session: &Session, client: &Client, signer: &SecretKey, shard: u32) -> Result<Opening, Failure> {
    let account = signer.address();
    // Where settlement does not answer, the refusal says what there is to say.
    let Ok(money) = client.account(account).money().await else { return Ok(Opening::Unknown) };
    let money = money.value;
    let free = money.free();
    if !money.line(shard).want.is_zero() && !money.line(shard).ceiling.is_zero() {
        return arrived(session, client, account, shard).await.map(Opening::of);
    }
    if free.is_zero() {
        let balance = money.balance().balance;
        return Ok(Opening::Advice(if balance.is_zero() {
            "it has no credit to allocate, and no balance either; somebody must `db3 transfer` to it first".to_owned()
        } else {
            format!(
                "it has no credit to allocate; `db3 credit deposit AMOUNT` makes some of its {} DB3, and opens a line here",
                balance.to_db3_string()
            )
        }));
    }
    let question = format!(
        "{account} has no credit on shard {shard} yet; allocate the {} DB3 that are free, and send again?",
        free.to_db3_string()
    );
    if !session.may_ask() || !session.confirm(&question)? {
        let (amount, free) = (free.get(), free.to_db3_string());
        return Ok(Opening::Advice(format!(
            "{free} DB3 of its credit are free: `db3 credit allocate --shard {shard} {amount}tai` opens a line there"
        )));
    }
    let operations = [db3_primitives::TransactionOperation::Allocate { shard: ShardId::new(shard), want: free }];
    let prepared = client.transaction().operations(operations).sign(signer);
    match send_order(session, prepared, &SendingArgs::default()).await? {
        Sent::Receipt(receipt) => {
            session.output.say(&format!("allocated, in block {} of {}", receipt.height, receipt.chain_id));
        }
        Sent::Priced => {}
    }
    arrived(session, client, account, shard).await.map(Opening::of)
}

/// Waits for a line that is on its way to its shard.
async fn arrived(session: &Session, client: &Client, account: Address, shard: u32) -> Result<bool, Failure> {
    let begin = Instant::now();
    session.output.say_more("waiting for the line to arrive on its shard");
    while begin.elapsed() < client.options().timeout {
        if client.account(account).credit_line_on(shard).await?.exists {
            return Ok(true);
        }
        sleep(PAUSE).await;
    }
    Ok(false)
}
