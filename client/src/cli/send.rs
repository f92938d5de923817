//! Sending one order, a mutation or a transaction: price it, sign it, say what became of it.

use std::sync::{Mutex, PoisonError};

use db3_primitives::{Identifier, SecretKey, SignedEnvelope};

use super::args::SendingArgs;
use super::failure::{Failure, without_number};
use super::render;
use super::session::Session;
use super::value::Object;
use crate::console::OutputFormat;
use crate::{ClientError, Estimate, Order, Prepared, Receipt, ReceiptState};

/// How a sent order ended.
pub enum Sent {
    /// It was priced, and that is printed.
    Priced,
    /// A block holds it, or will.
    Receipt(Box<Receipt>),
}

/// Sends an order, or says what it would cost. What a block holds and refuses is an error that says what it cost.
pub async fn send_order<O: Order>(
    session: &Session,
    prepared: Prepared<'_, SecretKey, O>,
    sending: &SendingArgs,
) -> Result<Sent, Failure> {
    let sent: Mutex<Option<SignedEnvelope>> = Mutex::new(None);
    let observer = |id: Identifier, envelope: &SignedEnvelope| {
        session.output.say_more(&format!("sending {id}"));
        *sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(envelope.clone());
    };
    let operations = prepared.operation_count();
    let named = |error: ClientError| Failure::from(error).of_order(O::NOUN, operations);
    let mut prepared = prepared;
    if let Some(max_fee) = sending.max_fee {
        prepared = prepared.max_fee(max_fee);
    }
    if let Some(expires_in) = sending.expires_in {
        prepared = prepared.expires_in(expires_in);
    }
    if sending.dry_run {
        let estimate = prepared.estimate().await.map_err(named)?;
        let object = Object::new()
            .with("fee_tai", estimate.fee)
            .with("bound_tai", estimate.bound)
            .with("max_fee_tai", sending.max_fee.unwrap_or(estimate.limit()))
            .with("price_version", estimate.price_version)
            .with("charges", render::charges(&estimate.charges))
            .with_some("rejection", estimate.rejection.as_ref().map(render::rejection));
        let object = if session.output.format == OutputFormat::Table { in_words(object, &estimate) } else { object };
        super::bill::print_with_charges(session, &object, &[])?;
        return Ok(Sent::Priced);
    }
    let outcome = prepared.wait(sending.wait.into()).observe(&observer).send().await;
    let envelope = sent.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let (Some(path), Some(envelope)) = (&sending.signed_file, envelope) {
        let bytes = db3_proto::encode_envelope(&envelope);
        std::fs::write(path, bytes).map_err(|error| Failure::file("write", path, &error))?;
    }
    let receipt = outcome.map_err(named)?;
    if receipt.state == ReceiptState::Failed {
        let (id, fee) = (receipt.id, receipt.fee);
        return match receipt.applied() {
            Err(error) => Err(named(error).about(id, Some(fee))),
            Ok(_) => Err(named(ClientError::input("it failed", "ask for its receipt")).about(id, Some(fee))),
        };
    }
    Ok(Sent::Receipt(Box::new(receipt)))
}

/// A price whose rejection is a sentence, as people read it.
fn in_words(object: Object, estimate: &Estimate) -> Object {
    match &estimate.rejection {
        Some(refusal) => {
            let sentence = format!("{} ({} {})", without_number(&refusal.message), refusal.code, refusal.name);
            object.without(&["rejection"]).with("rejection", sentence).with("remedy", refusal.remedy.as_str())
        }
        None => object,
    }
}
