//! `db3 receipt`

use std::time::Duration;

use db3_primitives::{Mutation, Transaction};
use tokio::time::{Instant, sleep};

use super::args::ReceiptArgs;
use super::failure::{Exit, Failure};
use super::render;
use super::session::Session;
use super::value::Object;
use crate::console::OutputFormat;
use crate::{Client, Order, Receipt, ReceiptState};

/// How often to ask again.
const PAUSE: Duration = Duration::from_millis(200);

/// `db3 receipt`
pub async fn receipt(session: &Session, args: &ReceiptArgs) -> Result<(), Failure> {
    let client = session.client().await?;
    let found = if args.wait { wait(&client, args).await? } else { client.receipt(args.id).await? };
    print(session, &found)?;
    let is_money = client.network().settlement().is_some_and(|entry| entry.chain_id.to_string() == found.chain_id);
    let noun = if is_money { Transaction::NOUN } else { Mutation::NOUN };
    // How many operations it has is not known here, so that one keeps its number.
    let named = |failure: Failure| failure.of_order(noun, usize::MAX);
    match found.state {
        ReceiptState::Failed => match found.clone().applied() {
            Err(error) => Err(named(Failure::from(error)).about(found.id, Some(found.fee))),
            Ok(_) => Ok(()),
        },
        ReceiptState::Expired => {
            let what = format!("the {noun} expired before a block took it");
            Err(named(Failure::new(Exit::Refused, what, "send it again")).about(found.id, None))
        }
        ReceiptState::Pending if args.wait => {
            let remedy = "ask again with --wait, or a longer --timeout";
            let failure = Failure::new(Exit::Unknown, format!("the {noun} is still pending"), remedy);
            Err(named(failure).about(found.id, None))
        }
        ReceiptState::Applied | ReceiptState::Pending => Ok(()),
        ReceiptState::Unknown | ReceiptState::Unspecified if !found.known_from.is_empty() => Err(older(&found)),
        ReceiptState::Unknown | ReceiptState::Unspecified => Err(Failure::new(
            Exit::Unknown,
            "no chain knows a mutation or transaction of this identifier: it has not arrived, or was refused",
            "if it was sent, wait until it expires; then it can be sent again",
        )
        .about(found.id, None)),
    }
}

/// No node that was asked knows it, and some came from snapshots.
fn older(found: &Receipt) -> Failure {
    let chains = found.known_from.iter().map(|(chain, from)| format!("of {chain} from height {from} on"));
    let chains = chains.collect::<Vec<_>>().join(", ");
    Failure::new(
        Exit::Unknown,
        format!(
            "no node that was asked knows a mutation or transaction of this identifier, and they have receipts only {chains}: an older block may hold it"
        ),
        "ask a node that was there from the beginning, an archive for instance: db3 --endpoint URL receipt",
    )
    .about(found.id, None)
}

/// A receipt; in a table the rejection stands as a sentence.
pub fn print(session: &Session, receipt: &Receipt) -> Result<(), Failure> {
    print_with(session, receipt, &Object::new())
}

/// A receipt, and what its effect was.
pub fn print_with(session: &Session, receipt: &Receipt, effect: &Object) -> Result<(), Failure> {
    let object = render::receipt(receipt).with_all(effect);
    if session.output.format != OutputFormat::Table {
        return session.output.object(&object);
    }
    let mut shown = Object::new();
    for (name, value) in object.fields() {
        match (*name, &receipt.rejection) {
            ("rejection", Some(refusal)) => {
                let sentence = format!("{} {}: {}", refusal.code, refusal.name, refusal.message);
                shown = shown.with("rejection", sentence).with("remedy", refusal.remedy.as_str());
            }
            _ => shown = shown.with(name, value.clone()),
        }
    }
    session.output.object(&shown)
}

async fn wait(client: &Client, args: &ReceiptArgs) -> Result<Receipt, Failure> {
    let begin = Instant::now();
    loop {
        let found = client.receipt(args.id).await?;
        let is_final = matches!(found.state, ReceiptState::Applied | ReceiptState::Failed | ReceiptState::Expired);
        if is_final || begin.elapsed() >= client.options().timeout {
            return Ok(found);
        }
        sleep(PAUSE).await;
    }
}
