//! What a write does that was refused for want of credit: it opens a line where the person says yes, and else tells what
//! helps this account.

use std::time::Duration;

use db3_primitives::{Address, LineLeaf, SecretKey, ShardId, Tai, TransactionOperation};
use tokio::time::{Instant, sleep};

use super::args::SendingArgs;
use super::failure::Failure;
use super::line_use;
use super::send::{Sent, send_order};
use super::session::Session;
use crate::{Client, Money};

/// How often to ask whether a new line has arrived on its shard.
const PAUSE: Duration = Duration::from_millis(100);

/// Number of the rejection of an account whose line on the shard is used up.
pub const CREDIT_EXHAUSTED: u32 = 211;
/// Number of the rejection of an account that has no line on the shard.
pub const LINE_MISSING: u32 = 212;

/// What there is to do about a missing line.
enum Opening {
    /// There is a line now.
    Open,
    /// What helps this account.
    Advice(String),
}

/// After a refusal of which nothing was sent. That there is credit now, and it can be sent again; or the refusal, with what
/// helps here. A line for which nothing is asked is none.
pub async fn after_refusal(
    session: &Session,
    client: &Client,
    signer: &SecretKey,
    shard: u32,
    failure: Failure,
) -> Result<(), Failure> {
    let refused = failure.code().filter(|code| [CREDIT_EXHAUSTED, LINE_MISSING].contains(code));
    let (Some(code), Some(_)) = (refused, client.network().settlement()) else { return Err(failure) };
    let account = signer.address();
    // Where settlement does not answer, the refusal says what there is to say.
    let Ok(money) = client.account(account).money().await else { return Err(failure) };
    let (money, line) = (money.value, |money: &Money| money.line(shard));
    if code == CREDIT_EXHAUSTED && (!line(&money).want.is_zero() || money.free().is_zero()) {
        return Err(line_use::explain(client, account, shard, failure).await);
    }
    match open(session, client, signer, shard, &money).await? {
        Opening::Open => Ok(()),
        // A line that is used up is named with its shard already.
        Opening::Advice(remedy) if code == CREDIT_EXHAUSTED => Err(failure.explained("", remedy)),
        Opening::Advice(remedy) => Err(failure.explained(&format!("shard {shard}"), remedy)),
    }
}

async fn open(
    session: &Session,
    client: &Client,
    signer: &SecretKey,
    shard: u32,
    money: &Money,
) -> Result<Opening, Failure> {
    let account = signer.address();
    let (line, free) = (money.line(shard), money.free());
    if !line.want.is_zero() && !line.ceiling.is_zero() {
        return arrived(session, client, account, &line, shard).await;
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
    let operations = [TransactionOperation::Allocate { shard: ShardId::new(shard), want: free }];
    let prepared = client.transaction().operations(operations).sign(signer);
    match send_order(session, prepared, &SendingArgs::default()).await? {
        Sent::Receipt(receipt) => {
            session.output.say(&format!("allocated, in block {} of {}", receipt.height, receipt.chain_id));
        }
        Sent::Priced => {}
    }
    let line = client.account(account).money().await?.value.line(shard);
    arrived(session, client, account, &line, shard).await
}

/// Waits until what a line was given is on its shard; where it does not come, what carries it is what helps.
async fn arrived(
    session: &Session,
    client: &Client,
    account: Address,
    line: &LineLeaf,
    shard: u32,
) -> Result<Opening, Failure> {
    let begin = Instant::now();
    let mut told = false;
    while begin.elapsed() < client.options().timeout {
        let on_shard = client.account(account).credit_line_on(shard).await?;
        if on_shard.exists && on_shard.ceiling >= line.ceiling && line.ceiling > Tai::ZERO {
            return Ok(Opening::Open);
        }
        if !told {
            session.output.say(&format!("waiting for the line to arrive on shard {shard}"));
            told = true;
        }
        sleep(PAUSE).await;
    }
    Ok(Opening::Advice(format!(
        "{} DB3 are granted there and have not arrived within {} s: `db3 status` shows how far behind the shard is, and \
         `db3 relay` carries what waits",
        line.want.to_db3_string(),
        client.options().timeout.as_secs()
    )))
}
