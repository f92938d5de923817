//! `db3 credit history`: what moved an account's money, as a bookkeeper reads it.

use super::args::HistoryArgs;
use super::failure::Failure;
use super::session::{ChosenNetwork, Session};
use super::span;
use super::value::Object;
use crate::console::OutputFormat;
use crate::{Moved, Movement, MovementSource};

const COLUMNS: &[&str] = &["block_time", "kind", "in_tai", "out_tai", "balance_tai", "collateral_tai", "other"];
/// CSV is for spreadsheets: both sums with what went in and out, and where to find it.
const CSV_COLUMNS: &[&str] = &[
    "network",
    "account",
    "block_time",
    "height",
    "kind",
    "other",
    "in_tai",
    "out_tai",
    "balance_tai",
    "collateral_in_tai",
    "collateral_out_tai",
    "collateral_tai",
    "transaction_id",
    "posting",
];

/// `db3 credit history`
pub async fn history(session: &Session, network: ChosenNetwork, args: &HistoryArgs) -> Result<(), Failure> {
    span::check(args.since, args.until)?;
    let account = session.account(&network)?.address;
    let name = network.file.name.to_string();
    let client = session.client_of(network.file).await?;
    let mut history = client.account(account).history().await?;
    let columns = if session.output.format == OutputFormat::Csv { CSV_COLUMNS } else { COLUMNS };
    let mut list = session.output.list(columns);
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0
        && let Some(movement) = history.next().await?
    {
        if args.since.is_some_and(|since| movement.time < since) {
            break;
        }
        if args.until.is_none_or(|until| movement.time < until) {
            left = left.saturating_sub(1);
            let object = Object::new().with("network", name.as_str()).with("account", account.to_string());
            list.push(&row(object, &movement).with("verified", history.is_verified()))?;
        }
    }
    list.finish("nothing has moved its money")?;
    if let Some(height) = history.known_from().filter(|_| left > 0) {
        session.output.say(&format!(
            "this node came from a snapshot and knows no transactions before block {height}; ask another one (--endpoint) for those"
        ));
    }
    Ok(())
}

fn row(object: Object, movement: &Movement) -> Object {
    let some = |amount: crate::primitives::Tai| Some(amount).filter(|amount| !amount.is_zero());
    let Movement { balance, collateral, .. } = movement;
    let (Moved { into, out }, Moved { into: collateral_in, out: collateral_out }) = (*balance, *collateral);
    let (transaction, posting) = match movement.source {
        MovementSource::Transaction(id) => (Some(id.to_string()), None),
        MovementSource::Posting(index) => (None, Some(index)),
    };
    object
        .with("block_time", movement.time)
        .with("height", movement.height)
        .with("kind", movement.kind.name())
        .with_some("other", movement.other.map(|other| other.to_string()))
        .with_some("in_tai", some(into))
        .with_some("out_tai", some(out))
        .with("balance_tai", movement.balance_after)
        .with_some("collateral_in_tai", some(collateral_in))
        .with_some("collateral_out_tai", some(collateral_out))
        .with("collateral_tai", movement.collateral_after)
        .with_some("transaction_id", transaction)
        .with_some("posting", posting)
}
