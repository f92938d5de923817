//! `db3 decode`: what a signed mutation or transaction says, and who signed it; offline.

use std::path::Path;

use db3_primitives::{
    BlockTime, Body, Operation, Rejection, Signed, SignedMutation, SignedTransaction, TransactionOperation,
};

use super::args::FileArgs;
use super::failure::{Exit, Failure};
use super::render;
use super::session::Session;
use super::value::{Object, Value, shown};
use crate::console::OutputFormat;

/// What a file holds.
enum Decoded {
    Mutation(SignedMutation),
    Transaction(SignedTransaction),
}

/// `db3 decode`
pub fn decode(session: &Session, args: &FileArgs) -> Result<(), Failure> {
    let bytes = std::fs::read(&args.file).map_err(|error| Failure::file("read", &args.file, &error))?;
    match read_signed(&args.file, &bytes)? {
        Decoded::Mutation(signed) => {
            let about = Object::new().with("namespace", signed.content.namespace.as_str());
            let operations = signed.content.operations.iter().map(operation).collect();
            show(session, signed, "mutation", &about, operations)
        }
        Decoded::Transaction(signed) => {
            let operations = signed.content.operations.iter().map(money_operation).collect();
            show(session, signed, "transaction", &Object::new(), operations)
        }
    }
}

fn show<B: Body>(
    session: &Session,
    signed: Signed<B>,
    kind: &'static str,
    about: &Object,
    operations: Vec<Object>,
) -> Result<(), Failure> {
    let content = signed.content.clone();
    let (id, scheme, length) = (signed.id, signed.envelope.scheme, signed.bytes);
    let text = content.signing_text(&signed.envelope.body);
    let verdict = signed.verify();
    let mut object = Object::new()
        .with("id", id.to_string())
        .with("kind", kind)
        .with("network", content.network().as_str())
        .with("account", content.account().to_string())
        .with_all(about)
        .with("nonce", content.nonce().get())
        .with("expire_time", BlockTime::from_secs(content.expire_unix_secs()))
        .with("max_fee_tai", content.max_fee())
        .with("scheme", format!("{scheme:?}").to_lowercase())
        .with("bytes", length)
        .with("operations", operations)
        .with("signing_text", text)
        .with("signature_valid", verdict.is_ok());
    if let Err((_, Rejection::SignerMismatch { recovered, .. })) = &verdict {
        object = object.with("signer", recovered.to_string());
    }
    print_decoded(session, &object)?;
    match verdict {
        Ok(_) => Ok(()),
        Err((_, rejection)) => Err(Failure::new(Exit::Proof, rejection.to_string(), rejection.remedy())),
    }
}

/// What was signed; in a table its operations stand one below the other, and the text that a wallet shows as it is.
fn print_decoded(session: &Session, object: &Object) -> Result<(), Failure> {
    if session.output.format != OutputFormat::Table {
        return session.output.object(object);
    }
    let mut fields = Object::new();
    for (name, value) in object.fields().iter().filter(|(name, _)| !matches!(*name, "operations" | "signing_text")) {
        fields = fields.with(name, value.clone());
    }
    session.output.object(&fields)?;
    session.output.raw(b"\n")?;
    let Some(Value::List(operations)) = object.get("operations") else { return Ok(()) };
    let operations = || {
        operations.iter().filter_map(|operation| match operation {
            Value::Object(operation) => Some(operation),
            _ => None,
        })
    };
    let mut columns: Vec<&'static str> = Vec::new();
    for (name, _) in operations().flat_map(Object::fields) {
        if !columns.contains(name) {
            columns.push(name);
        }
    }
    let mut list = session.output.list(&columns);
    operations().try_for_each(|operation| list.push(operation))?;
    list.finish("no operations")?;
    let Some(Value::Text(text)) = object.get("signing_text") else { return Ok(()) };
    let lines: Vec<String> = text.lines().map(|line| format!("  {}", shown(line))).collect();
    session.output.raw(format!("\nsigned text\n{}\n", lines.join("\n")).as_bytes())
}

/// The bytes as they are, or as hex or base64 text.
fn read_signed(path: &Path, bytes: &[u8]) -> Result<Decoded, Failure> {
    use base64::Engine as _;
    let first = match read_envelope(bytes) {
        Ok(decoded) => return Ok(decoded),
        Err(rejection) => rejection,
    };
    if let Ok(text) = std::str::from_utf8(bytes) {
        let text = text.trim();
        let by_hex = hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok();
        let bytes = by_hex.or_else(|| base64::engine::general_purpose::STANDARD.decode(text).ok());
        if let Some(bytes) = bytes {
            return read_envelope(&bytes).map_err(|rejection| Failure::from(rejection).at(&path.display().to_string()));
        }
    }
    Err(Failure::from(first).at(&path.display().to_string()))
}

/// The two kinds of bodies differ in the type of field 4, so that no envelope is both.
fn read_envelope(bytes: &[u8]) -> Result<Decoded, Rejection> {
    match db3_proto::decode_mutation(bytes) {
        Ok(signed) => Ok(Decoded::Mutation(signed)),
        Err(rejection) => match db3_proto::decode_transaction(bytes) {
            Ok(signed) => Ok(Decoded::Transaction(signed)),
            Err(_) => Err(rejection),
        },
    }
}

fn money_operation(operation: &TransactionOperation) -> Object {
    match operation {
        TransactionOperation::Transfer { to, amount } => {
            Object::new().with("op", "transfer").with("to", to.to_string()).with("amount_tai", *amount)
        }
        TransactionOperation::Deposit { to, amount } => {
            Object::new().with("op", "deposit").with("to", to.to_string()).with("amount_tai", *amount)
        }
        TransactionOperation::Withdraw { amount } => Object::new().with("op", "withdraw").with("amount_tai", *amount),
        TransactionOperation::Allocate { shard, want } => {
            Object::new().with("op", "allocate").with("shard", shard.get()).with("amount_tai", *want)
        }
        TransactionOperation::Pay { amount } => Object::new().with("op", "pay").with("amount_tai", *amount),
    }
}

fn operation(operation: &Operation) -> Object {
    let write = |name: &str, write: &db3_primitives::Write| {
        let object = Object::new().with("op", name).with("table", write.table.as_str());
        let object = render::bytes_field(object, ("key", "key_hex"), write.key.as_bytes());
        render::bytes_field(object, ("value", "value_hex"), &write.value).with_some("if_version", write.if_version)
    };
    match operation {
        Operation::Put(put) => write("put", put),
        Operation::Insert(insert) => write("insert", insert),
        Operation::Update(update) => write("update", update),
        Operation::Delete { table, key, if_version } => {
            let object = Object::new().with("op", "delete").with("table", table.as_str());
            render::bytes_field(object, ("key", "key_hex"), key.as_bytes()).with_some("if_version", *if_version)
        }
        Operation::CreateNamespace => Object::new().with("op", "create_namespace"),
        Operation::CreateTable { table } => Object::new().with("op", "create_table").with("table", table.as_str()),
    }
}
