//! `db3 credit show`.

use db3_primitives::{Address, LineLeaf, Tai};

use super::debt::Ahead;
use super::failure::Failure;
use super::line_use;
use super::on_shard::shards;
use super::render;
use super::session::{ChosenNetwork, Session};
use super::unanswered::Missing;
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::{Answer, CreditLine, Money};

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
    const ACCOUNT_COLUMNS: &[&str] =
        &["account", "balance_tai", "collateral_tai", "limit_tai", "allocated_tai", "free_tai", "owed_tai"];
    const LINE_COLUMNS: &[&str] = &[
        "shard",
        "want_tai",
        "granted_tai",
        "ceiling_tai",
        "held_tai",
        "spent_tai",
        "available_tai",
        "used_percent",
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
            // What is the account's stands in each line, and in one of its own where there is none.
            let account = ACCOUNT_COLUMNS
                .iter()
                .fold(Object::new(), |account, name| account.with_some(name, object.get(name).cloned()));
            let mut list = session.output.list(&[ACCOUNT_COLUMNS, LINE_COLUMNS].concat());
            if lines.is_empty() {
                list.push(&account)?;
            }
            lines.iter().try_for_each(|line| list.push(&account.clone().with_all(line)))?;
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
            .with_some(
                "used_percent",
                on_shard.zip(known).and_then(|(line, known)| line_use::used_percent(line, known)),
            )
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
