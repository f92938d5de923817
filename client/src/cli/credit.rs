//! `db3 credit show`, and what a write says of its line: that it is nearly used up, or that there is none yet.

use std::time::Duration;

use db3_primitives::{Address, LineLeaf, SecretKey, ShardId, Tai};
use tokio::time::{Instant, sleep};

use super::args::SendingArgs;
use super::failure::Failure;
use super::render;
use super::send::{Sent, send_order};
use super::session::{ChosenNetwork, Session};
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::{Client, CreditLine, Money};

/// Of a line's want, in percent, from which on its use is warned of.
const WARN_PERCENT: u128 = 80;
/// How often to ask whether a new line has arrived on its shard.
const PAUSE: Duration = Duration::from_millis(100);

/// `db3 credit show`
pub async fn show(session: &Session, network: ChosenNetwork) -> Result<(), Failure> {
    let account = session.account(&network)?.address;
    let client = session.client_of(network.file).await?;
    let view = client.account(account);
    let money = view.money().await?;
    let on_shards = view.credit_lines().await?;
    let lines: Vec<Object> = on_shards.iter().map(|on_shard| line(on_shard, &money.value)).collect();
    let balance = money.value.balance();
    let unsettled = sum(on_shards.iter().map(|line| unsettled(line, &money.value.line(line.shard))));
    let outstanding = money.value.outstanding();
    let object = Object::new()
        .with("account", account.to_string())
        .with("balance_tai", balance.balance)
        .with("collateral_tai", balance.collateral)
        .with("trust_tai", balance.trust)
        .with("limit_tai", money.value.limit())
        .with("allocated_tai", money.value.allocated())
        .with("free_tai", money.value.free())
        .with("owed_tai", unsettled.checked_add(outstanding).unwrap_or(Tai::MAX))
        .with("unsettled_tai", unsettled)
        .with("outstanding_tai", outstanding)
        .with("available_tai", sum(on_shards.iter().map(|line| line.available)))
        .with("stage", Value::Enum(render::stage(balance.stage), "ACCOUNT_STAGE_"))
        .with_some("stage_since_epoch", Some(balance.since.get()).filter(|since| *since > 0))
        .with("postings", balance.postings)
        .with("height", money.at.height)
        .with("verified", money.at.verified && on_shards.iter().all(|line| line.at.verified));
    print(session, object, lines)?;
    for on_shard in &on_shards {
        warn(session, on_shard, &money.value.line(on_shard.shard));
    }
    if !money.value.exists() {
        session.output.say("the settlement chain has never heard of this account; somebody must transfer to it first");
    }
    Ok(())
}

fn print(session: &Session, object: Object, lines: Vec<Object>) -> Result<(), Failure> {
    const COLUMNS: &[&str] = &[
        "shard",
        "want_tai",
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
            list.finish("no shards")
        }
    }
}

fn line(on_shard: &CreditLine, money: &Money) -> Object {
    let line = money.line(on_shard.shard);
    Object::new()
        .with("shard", on_shard.shard)
        .with("want_tai", line.want)
        .with("ceiling_tai", line.ceiling)
        .with("held_tai", line.held)
        .with("shard_ceiling_tai", on_shard.ceiling)
        .with("spent_tai", on_shard.spent)
        .with("available_tai", on_shard.available)
        .with("reported_tai", line.reported)
        .with("debited_tai", line.debited)
        .with("paid_tai", line.paid)
        .with("written_off_tai", line.written_off)
        .with("unsettled_tai", unsettled(on_shard, &line))
        .with("outstanding_tai", line.outstanding())
        .with_some("cut_index", line.cut.map(|cut| cut.index))
        .with_some("cut_lease_epoch", line.cut.map(|cut| cut.lease.get()))
        .with("bill_count", on_shard.bill_count)
        .with("lease_epoch", Value::Until(on_shard.lease_epoch))
}

/// What the account has spent on a shard and no round has debited, the open epoch included.
fn unsettled(on_shard: &CreditLine, line: &LineLeaf) -> Tai {
    on_shard.spent.max(line.reported).saturating_sub(line.debited)
}

fn sum(amounts: impl Iterator<Item = Tai>) -> Tai {
    amounts.fold(Tai::ZERO, |sum, amount| sum.checked_add(amount).unwrap_or(Tai::MAX))
}

/// How much of a line is used, in percent of what the account wants to have free there; none where it wants nothing.
fn used_percent(on_shard: &CreditLine, line: &LineLeaf) -> Option<u128> {
    let used = line.want.saturating_sub(on_shard.available);
    used.get().checked_mul(100)?.checked_div(line.want.get())
}

fn warn(session: &Session, on_shard: &CreditLine, line: &LineLeaf) {
    let Some(percent) = used_percent(on_shard, line).filter(|percent| *percent >= WARN_PERCENT) else { return };
    session.output.say(&format!(
        "warning: {percent} % of the line on shard {} is used, {} DB3 are left; the next round frees what it pays, or \
         raise it with `db3 credit allocate --shard {} AMOUNT`",
        on_shard.shard,
        on_shard.available.to_db3_string(),
        on_shard.shard
    ));
}

/// Says when a write has used most of its line. What cannot be learnt is not said: the write itself went well.
pub async fn warn_after_write(session: &Session, client: &Client, account: Address, shard: u32) {
    if session.output.quiet || client.network().settlement().is_none() {
        return;
    }
    let view = client.account(account);
    if let (Ok(on_shard), Ok(money)) = tokio::join!(view.credit_line_on(shard), view.money()) {
        warn(session, &on_shard, &money.value.line(shard));
    }
}

/// What to do about a first write that met no line: opens one where the person says yes, and else tells how. Whether
/// there is one now.
pub async fn open_line(session: &Session, client: &Client, signer: &SecretKey, shard: u32) -> Result<bool, Failure> {
    let account = signer.address();
    // Where settlement does not answer, the refusal says what there is to say.
    let Ok(money) = client.account(account).money().await else { return Ok(false) };
    let money = money.value;
    let free = money.free();
    if !money.line(shard).want.is_zero() && !money.line(shard).ceiling.is_zero() {
        return arrived(session, client, account, shard).await;
    }
    if free.is_zero() {
        let balance = money.balance().balance;
        session.output.say(&format!(
            "{account} has no credit on shard {shard}, and none to allocate: {}",
            if balance.is_zero() {
                "it has no balance either; somebody must `db3 transfer` to it first".to_owned()
            } else {
                format!(
                    "`db3 credit deposit AMOUNT` makes some of its {} DB3, and opens a line here",
                    balance.to_db3_string()
                )
            }
        ));
        return Ok(false);
    }
    let question = format!(
        "{account} has no credit on shard {shard} yet; allocate the {} DB3 that are free, and send again?",
        free.to_db3_string()
    );
    if !session.may_ask() || !session.confirm(&question)? {
        session.output.say(&format!("`db3 credit allocate --shard {shard} {}tai` opens a line there", free.get()));
        return Ok(false);
    }
    let operations = [db3_primitives::TransactionOperation::Allocate { shard: ShardId::new(shard), want: free }];
    let prepared = client.transaction().operations(operations).sign(signer);
    match send_order(session, prepared, &SendingArgs::default()).await? {
        Sent::Receipt(receipt) => {
            session.output.say(&format!("allocated, in block {} of {}", receipt.height, receipt.chain_id));
        }
        Sent::Priced => {}
    }
    arrived(session, client, account, shard).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StatePoint;

    #[test]
    fn use_is_counted_against_what_the_account_wants_free() {
        let at = StatePoint {
            chain_id: String::new(),
            height: 1,
            root: [0; 32],
            time: db3_primitives::BlockTime::default(),
            verified: true,
        };
        let on_shard = |available| CreditLine {
            shard: 0,
            exists: true,
            ceiling: Tai::new(500),
            spent: Tai::new(500 - available),
            available: Tai::new(available),
            bill_count: 1,
            lease_epoch: 9,
            at: at.clone(),
        };
        let line = LineLeaf { want: Tai::new(100), ..LineLeaf::default() };
        assert_eq!(used_percent(&on_shard(21), &line), Some(79));
        assert_eq!(used_percent(&on_shard(20), &line), Some(80));
        assert_eq!(used_percent(&on_shard(400), &line), Some(0), "a raised line may have more than it wants");
        assert_eq!(used_percent(&on_shard(20), &LineLeaf::default()), None);
    }
}
