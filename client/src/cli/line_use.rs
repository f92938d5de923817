//! How much of a credit line is granted and used, and what helps where little or nothing is left: what a person can do
//! differs with what keeps the credit away.

use db3_primitives::{Address, LineLeaf, Stage, Tai};

use super::failure::Failure;
use super::receipt;
use super::session::Session;
use super::value::Object;
use crate::{Client, CreditLine, Money, Receipt};

/// Of what a line was granted, in percent, from which on its use is warned of.
const WARN_PERCENT: u32 = 80;

/// What the settlement chain lets a line owe at once: its ceiling less what was paid and written off.
#[must_use]
pub fn granted(line: &LineLeaf) -> Tai {
    line.ceiling.saturating_sub(line.covered())
}

/// The same by the ceiling that has arrived on the shard.
fn granted_there(on_shard: &CreditLine, line: &LineLeaf) -> Tai {
    granted(&LineLeaf { ceiling: on_shard.ceiling, ..*line })
}

/// How much of a line is used.
fn used(on_shard: &CreditLine, line: &LineLeaf) -> Tai {
    granted_there(on_shard, line).saturating_sub(on_shard.available)
}

/// How much of a line is used, in percent of what it was granted; none where that is nothing.
pub fn used_percent(on_shard: &CreditLine, line: &LineLeaf) -> Option<u32> {
    let percent = used(on_shard, line).get().checked_mul(100)?.checked_div(granted_there(on_shard, line).get())?;
    u32::try_from(percent).ok()
}

/// What gives a line more credit.
fn remedy(money: &Money, on_shard: &CreditLine) -> String {
    let (shard, line) = (on_shard.shard, money.line(on_shard.shard));
    let (outstanding, free) = (money.outstanding(), money.free());
    if !outstanding.is_zero() {
        let outstanding = outstanding.to_db3_string();
        return match money.balance().stage {
            Stage::Delinquent => format!(
                "the account is delinquent, and gets no credit back until the {outstanding} DB3 that are outstanding are paid: `db3 credit pay`"
            ),
            Stage::Clear | Stage::Outstanding => {
                format!("the {outstanding} DB3 that are outstanding come first: `db3 credit pay`")
            }
        };
    }
    if line.want.is_zero() {
        return if free.is_zero() {
            format!(
                "nothing is asked for there: `db3 credit deposit AMOUNT` secures credit, and `db3 credit allocate --shard {shard} AMOUNT` asks for it"
            )
        } else {
            let free = free.to_db3_string();
            format!(
                "nothing is asked for there: `db3 credit allocate --shard {shard} {free}db3` asks for the {free} DB3 that are free"
            )
        };
    }
    if on_shard.ceiling < line.ceiling {
        return "more is granted and on its way to the shard: try again in a moment".to_owned();
    }
    if !free.is_zero() {
        let want = granted(&line).max(line.want).checked_add(free).unwrap_or(Tai::MAX);
        return format!(
            "the next round frees what it pays, or grant it the {} DB3 that are free: `db3 credit allocate --shard {shard} {}db3`",
            free.to_db3_string(),
            want.to_db3_string()
        );
    }
    if granted(&line) < line.want {
        return "it asks for more than is secured: `db3 credit deposit AMOUNT` secures more".to_owned();
    }
    format!(
        "the next round frees what it pays, or secure more with `db3 credit deposit AMOUNT` and grant it with `db3 credit allocate --shard {shard} AMOUNT`"
    )
}

/// Warns of a line that is nearly used up.
pub fn warn(session: &Session, on_shard: &CreditLine, money: &Money) {
    let line = money.line(on_shard.shard);
    let Some(percent) = used_percent(on_shard, &line).filter(|percent| *percent >= WARN_PERCENT) else { return };
    let (shard, available) = (on_shard.shard, on_shard.available);
    let left = available.to_db3_string();
    let details = Object::new().with("shard", shard).with("used_percent", percent).with("available_tai", available);
    session.output.warn(
        &format!("{percent} % of the line on shard {shard} is used, {left} DB3 are left"),
        &remedy(money, on_shard),
        &details,
    );
}

/// Says when a write has used most of its line. What cannot be learnt is not said: the write itself went well.
pub async fn warn_after_write(session: &Session, client: &Client, account: Address, shard: u32) {
    if session.output.quiet || client.network().settlement().is_none() {
        return;
    }
    let view = client.account(account);
    if let (Ok(on_shard), Ok(money)) = tokio::join!(view.credit_line_on(shard), view.money()) {
        warn(session, &on_shard, &money.value);
    }
}

/// Adds to a refusal for want of credit what the shard cannot know: what was granted, how much of it is used, and what
/// helps. Where that cannot be learnt the refusal stays as it is.
pub async fn explain(client: &Client, account: Address, shard: u32, failure: Failure) -> Failure {
    let view = client.account(account);
    let (Ok(on_shard), Ok(money)) = tokio::join!(view.credit_line_on(shard), view.money()) else { return failure };
    let line = money.value.line(shard);
    let [granted, used] = [granted_there(&on_shard, &line), used(&on_shard, &line)].map(Tai::to_db3_string);
    failure.explained(&format!("granted {granted} DB3, used {used} DB3"), remedy(&money.value, &on_shard))
}

/// Prints what became of an allocation: the receipt, and how much of what is asked for is granted.
pub async fn print_grant(
    session: &Session,
    client: &Client,
    account: Address,
    shard: u32,
    found: &Receipt,
) -> Result<(), Failure> {
    let Some(money) = after(client, account, found).await else { return receipt::print(session, found) };
    let line = money.line(shard);
    let effect = Object::new()
        .with("shard", shard)
        .with("want_tai", line.want)
        .with("granted_tai", granted(&line))
        .with("held_tai", money.allocated())
        .with("limit_tai", money.limit());
    receipt::print_with(session, found, &effect)?;
    if let Some(note) = grant_note(&money, shard) {
        session.output.say(&note);
    }
    Ok(())
}

/// Prints what became of a deposit: the receipt, what it secures, and how much of that no line holds.
pub async fn print_secured(
    session: &Session,
    client: &Client,
    account: Address,
    found: &Receipt,
) -> Result<(), Failure> {
    let Some(money) = after(client, account, found).await else { return receipt::print(session, found) };
    let effect = Object::new()
        .with("collateral_tai", money.balance().collateral)
        .with("limit_tai", money.limit())
        .with("free_tai", money.free());
    receipt::print_with(session, found, &effect)?;
    if !money.free().is_zero() {
        let free = money.free().to_db3_string();
        session
            .output
            .say(&format!("{free} DB3 of credit are free: `db3 credit allocate --shard N AMOUNT` grants them"));
    }
    Ok(())
}

/// An account's money after a transaction; none where no block holds that yet, or nobody tells: what was printed of the
/// transaction itself stays true.
async fn after(client: &Client, account: Address, found: &Receipt) -> Option<Money> {
    if !found.is_in_block() {
        return None;
    }
    client.account(account).money().await.ok().map(|answer| answer.value)
}

/// What keeps a line from being what was asked for, or its credit from being free again.
fn grant_note(money: &Money, shard: u32) -> Option<String> {
    let line = money.line(shard);
    let (granted, want) = (granted(&line), line.want);
    if granted < want {
        let (granted, want) = (granted.to_db3_string(), want.to_db3_string());
        let why = if money.outstanding().is_zero() {
            let (held, limit) = (money.allocated().to_db3_string(), money.limit().to_db3_string());
            format!(
                "the account's lines hold {held} DB3 of its limit of {limit} DB3; `db3 credit deposit AMOUNT` secures more, or allocate less to another shard first"
            )
        } else {
            let owed = money.outstanding().to_db3_string();
            format!("{owed} DB3 are outstanding and come first: `db3 credit pay`")
        };
        return Some(format!(
            "of the {want} DB3 that are asked for on shard {shard}, {granted} DB3 are granted: {why}"
        ));
    }
    line.cut.map(|_| {
        let bound = line.held.saturating_sub(line.ceiling).to_db3_string();
        format!("{bound} DB3 of what it was stay bound until shard {shard} confirms the cut, with its next close")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StatePoint;

    #[test]
    fn use_is_counted_against_what_the_line_was_granted() {
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
        let line =
            LineLeaf { want: Tai::new(1000), paid: Tai::new(300), written_off: Tai::new(100), ..LineLeaf::default() };
        assert_eq!(used_percent(&on_shard(21), &line), Some(79));
        assert_eq!(used_percent(&on_shard(20), &line), Some(80));
        assert_eq!(used_percent(&on_shard(0), &line), Some(100));
        assert_eq!(used_percent(&on_shard(400), &line), Some(0), "more may be free than what is given and unpaid");
        let settled = LineLeaf { paid: Tai::new(500), ..LineLeaf::default() };
        assert_eq!(used_percent(&on_shard(0), &settled), None, "a line that was given nothing more has no share used");
    }
}
