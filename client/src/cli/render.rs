//! Records, receipts, bills and the like as printable objects, by the names of the proto files.

use db3_primitives::{Meter, Rejection, Tai};
use db3_proto::v1;

use super::session::Session;
use super::value::{Object, Value};
use crate::{BillView, EpochView, Receipt, Record, StatePoint, StatementView};

/// Bytes as `<name>`, or `<name>_hex` where they are no UTF-8. Tables follow `--encoding`.
pub fn bytes_field(object: Object, names: (&'static str, &'static str), bytes: &[u8]) -> Object {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.with(names.0, text),
        Err(_) => object.with(names.1, hex(bytes)),
    }
}

/// `0x` and digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// A record.
#[must_use]
pub fn record(session: &Session, record: &Record) -> Object {
    let object = Object::new().with("namespace", record.namespace.as_str()).with("table", record.table.as_str());
    let object = key_and_value(session, object, record);
    object
        .with("version", record.version)
        .with("owner", record.owner.to_string())
        .with("update_height", record.update_height)
        .with("update_time", record.update_time)
}

/// Key and value by the JSON rules, for programs; by `--encoding` in tables, for people.
#[must_use]
pub fn key_and_value(session: &Session, object: Object, record: &Record) -> Object {
    if session.output.format != crate::console::OutputFormat::Table {
        let object = bytes_field(object, ("key", "key_hex"), record.key.as_bytes());
        return bytes_field(object, ("value", "value_hex"), &record.value);
    }
    object.with("key", session.encode(record.key.as_bytes())).with("value", session.encode(&record.value))
}

/// The state that an answer was read from.
#[must_use]
pub fn at(object: Object, at: &StatePoint) -> Object {
    object
        .with("chain_id", at.chain_id.as_str())
        .with("height", at.height)
        .with("root", hex(&at.root))
        .with("verified", at.verified)
}

/// A receipt.
#[must_use]
pub fn receipt(receipt: &Receipt) -> Object {
    let in_block = receipt.is_in_block();
    let known_from = receipt
        .known_from
        .iter()
        .map(|(chain, from)| Object::new().with("chain_id", chain.as_str()).with("height", *from));
    let known_from = known_from.collect::<Vec<_>>();
    Object::new()
        .with("id", receipt.id.to_string())
        .with("state", Value::Enum(receipt.state.as_str_name(), "RECEIPT_STATE_"))
        .with_some("chain_id", Some(receipt.chain_id.clone()).filter(|id| !id.is_empty()))
        .with_some("height", in_block.then_some(receipt.height))
        .with_some("index", in_block.then_some(receipt.index))
        .with_some("block_time", receipt.block_time)
        .with_some("account", receipt.account.map(|account| account.to_string()))
        .with_some("namespace", Some(receipt.namespace.clone()).filter(|name| !name.is_empty()))
        .with_some("nonce", Some(receipt.nonce).filter(|nonce| *nonce > 0))
        .with_some("fee_tai", in_block.then_some(receipt.fee))
        .with_some("bill_seq", Some(receipt.bill_seq).filter(|seq| *seq > 0))
        .with_some("epoch", in_block.then_some(receipt.epoch))
        .with_some("rejection", receipt.rejection.as_ref().map(rejection))
        .with_some("versions", Some(receipt.versions.clone()).filter(|versions| !versions.is_empty()))
        .with_some("provable_height", Some(receipt.provable_height).filter(|height| *height > 0))
        .with_some("known_from", Some(known_from).filter(|chains| !chains.is_empty()))
}

/// A rejection.
#[must_use]
pub fn rejection(refusal: &crate::Refusal) -> Object {
    Object::new()
        .with("code", refusal.code)
        .with("reason", refusal.name.as_str())
        .with("message", refusal.message.as_str())
        .with("remedy", refusal.remedy.as_str())
        .with_some("operation_index", refusal.operation_index)
        .with("charged", refusal.charged)
}

/// The lines of a bill or an estimate.
#[must_use]
pub fn charges(charges: &[v1::Charge]) -> Value {
    let line = |charge: &v1::Charge| {
        Object::new()
            .with("meter", charge.meter.as_str())
            .with("quantity", charge.quantity)
            .with("unit_price_tai", amount(&charge.unit_price_tai))
            .with("amount_tai", amount(&charge.amount_tai))
    };
    Value::from(charges.iter().map(line).collect::<Vec<_>>())
}

/// The fields of [`charge_fields`]: a meter, how much of it was used, and what that cost.
const METER_FIELDS: [(Meter, &str, &str); 5] = [
    (Meter::Mutation, "mutations", "mutations_tai"),
    (Meter::BytesIn, "bytes_in", "bytes_in_tai"),
    (Meter::Operation, "operations", "operations_tai"),
    (Meter::KeyBytes, "key_bytes", "key_bytes_tai"),
    (Meter::BytesStored, "bytes_stored", "bytes_stored_tai"),
];

/// The lines of a bill as fields of their own, two for each meter there is.
#[must_use]
pub fn charge_fields(charges: &[v1::Charge]) -> Object {
    METER_FIELDS.into_iter().fold(Object::new(), |object, (meter, quantity, cost)| {
        let charge = charges.iter().find(|charge| charge.meter == meter.name());
        let paid = charge.map_or(Value::from(Tai::ZERO), |charge| amount(&charge.amount_tai));
        object.with(quantity, charge.map_or(0, |charge| charge.quantity)).with(cost, paid)
    })
}

/// What an outcome's number stands for, as docs/codes.md names it.
fn outcome(code: u32) -> &'static str {
    let row = Rejection::TABLE.iter().find(|row| row.code == code);
    if code == 0 { "APPLIED" } else { row.map_or("UNKNOWN", |row| row.name) }
}

/// An amount of a message, or its text where it is none.
#[must_use]
pub fn amount(text: &str) -> Value {
    text.parse::<db3_primitives::Tai>().map_or_else(|_| Value::from(text), Value::from)
}

/// A bill.
#[must_use]
pub fn bill(bill: &BillView) -> Object {
    let leaf = &bill.bill;
    Object::new()
        .with("bill", format!("{}/{}/{}", leaf.shard, leaf.account, leaf.seq))
        .with("shard", leaf.shard.get())
        .with("account", leaf.account.to_string())
        .with("seq", leaf.seq)
        .with("height", leaf.height.get())
        .with("index", leaf.index)
        .with_some("block_time", bill.time)
        .with("epoch", bill.epoch)
        .with("kind", kind(leaf.kind))
        .with("reference", hex(&leaf.reference))
        .with_some("signer", bill.signer.map(|signer| signer.to_string()))
        .with("namespace", bill.namespace.as_str())
        .with("outcome_code", leaf.outcome_code)
        .with("outcome", outcome(leaf.outcome_code))
        .with("price_version", leaf.price_version)
        .with("charges", charges(&bill.charges))
        .with("fee_tai", leaf.fee)
        .with("cumulative_tai", leaf.cum_after)
        .with("payee", hex(&leaf.payee.to_bytes()))
        .with("status", Value::Enum(bill.status.as_str_name(), "BILL_STATUS_"))
        .with("leaf", hex(&leaf.to_bytes()))
}

/// A kind of bill.
#[must_use]
pub fn kind(kind: db3_primitives::BillKind) -> Value {
    let kind = match kind {
        db3_primitives::BillKind::Mutation => v1::BillKind::Mutation,
    };
    Value::Enum(kind.as_str_name(), "BILL_KIND_")
}

/// A statement.
#[must_use]
pub fn statement(statement: &StatementView) -> Object {
    let settled = statement.settled.as_ref();
    Object::new()
        .with("shard", statement.shard)
        .with("account", statement.account.to_string())
        .with_some("epoch", statement.epochs.map(|(first, _)| first))
        .with_some("last_epoch", statement.epochs.map(|(_, last)| last))
        .with("previous_cumulative_tai", statement.previous)
        .with("cumulative_tai", statement.cumulative)
        .with("amount_tai", statement.amount)
        .with("paid_tai", statement.paid())
        .with_some("written_off_tai", settled.map(|settled| settled.written_off).filter(|amount| !amount.is_zero()))
        .with("outstanding_tai", settled.map_or(db3_primitives::Tai::ZERO, |settled| settled.standing.outstanding))
        .with("status", Value::Enum(statement.status().as_str_name(), "BILL_STATUS_"))
        .with("arrived", settled.is_some())
        .with_some("received_height", settled.map(|settled| settled.received_height))
        .with_some("received_time", settled.and_then(|settled| settled.received_time))
        .with_some("debited_by", settled.and_then(|settled| settled.debited_by))
        .with_some("covered_by", settled.and_then(|settled| settled.covered_by))
        .with("index", statement.index)
        .with("verified", statement.verified)
}

/// Name of a stage, as in the proto files.
#[must_use]
pub fn stage(stage: db3_primitives::Stage) -> &'static str {
    match stage {
        db3_primitives::Stage::Clear => v1::AccountStage::Clear.as_str_name(),
        db3_primitives::Stage::Outstanding => v1::AccountStage::Outstanding.as_str_name(),
        db3_primitives::Stage::Delinquent => v1::AccountStage::Delinquent.as_str_name(),
    }
}

/// An epoch.
#[must_use]
pub fn epoch(shard: u32, epoch: &EpochView) -> Object {
    let message = &epoch.message;
    Object::new()
        .with("shard", shard)
        .with("epoch", message.epoch)
        .with("last_epoch", message.last_epoch.max(message.epoch))
        .with("status", Value::Enum(message.status().as_str_name(), "BILL_STATUS_"))
        .with_some("start_time", epoch.start())
        .with_some("end_time", epoch.end())
        .with("first_height", message.first_height)
        .with_some("last_height", Some(message.last_height).filter(|height| *height > 0))
        .with("bill_count", message.bill_count)
        .with("statement_count", message.statement_count)
        .with("total_tai", amount(&message.total_tai))
        .with("bills_root", hex(&message.bills_root))
        .with_some("previous", epoch.close.map(|close| hex(&close.previous)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_meter_has_fields_of_its_own_and_every_outcome_its_name() {
        let names: Vec<&str> = METER_FIELDS.iter().map(|(meter, ..)| meter.name()).collect();
        assert_eq!(names, Meter::ALL.map(Meter::name), "a new meter needs its fields");
        assert!(METER_FIELDS.iter().all(|(meter, quantity, cost)| {
            meter.name() == *quantity && cost.strip_suffix("_tai") == Some(*quantity)
        }));
        let charge = v1::Charge {
            meter: "operations".to_owned(),
            quantity: 3,
            unit_price_tai: "5".to_owned(),
            amount_tai: "15".to_owned(),
        };
        let fields = charge_fields(&[charge]);
        assert_eq!(fields.get("operations"), Some(&Value::from(3u64)));
        assert_eq!(fields.get("operations_tai"), Some(&Value::Tai(Tai::new(15))));
        assert_eq!(fields.get("bytes_in_tai"), Some(&Value::Tai(Tai::ZERO)));
        assert_eq!((outcome(0), outcome(303), outcome(9)), ("APPLIED", "VERSION_MISMATCH", "UNKNOWN"));
    }
}
