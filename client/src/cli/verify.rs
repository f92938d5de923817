//! `db3 verify` and `db3 decode`: files checked and read offline.

use std::path::Path;

use super::args::FileArgs;
use super::failure::{Exit, Failure};
use super::render::{self, hex};
use super::session::Session;
use super::value::{Object, Value, shown};
use crate::console::OutputFormat;
use crate::{KeptProof, Shown};
use db3_primitives::{BlockTime, Operation, Rejection, SignedMutation};

/// `db3 verify`
pub fn verify(session: &Session, args: &FileArgs) -> Result<(), Failure> {
    let bytes = std::fs::read(&args.file).map_err(|error| Failure::file("read", &args.file, &error))?;
    let kept = KeptProof::from_json(&args.file.display().to_string(), &bytes)?;
    let network = match &session.global.network {
        Some(_) => session.network()?,
        // The proof names its network; which trust root that has, this machine knows.
        None => session.network_named(kept.network())?,
    };
    let proven = kept.verify(&network.file)?;
    let shown = match &proven.shown {
        Shown::Record(record) => Object::new().with("shows", "record").with("record", render::record(session, record)),
        Shown::Absent(key) => {
            render::bytes_field(Object::new().with("shows", "absence"), ("key", "key_hex"), key.as_bytes())
        }
        Shown::Range { from, to, complete, records } => {
            let object = render::bytes_field(Object::new().with("shows", "range"), ("from", "from_hex"), from);
            let object = render::bytes_field(object, ("to", "to_hex"), to).with("complete", *complete);
            let rows: Vec<Object> = records.iter().map(|record| render::record(session, record)).collect();
            object.with("record_count", u64::try_from(rows.len()).unwrap_or(u64::MAX)).with("records", rows)
        }
    };
    let mut object = Object::new()
        .with("verified", true)
        .with("network", proven.network.as_str())
        .with("chain_id", proven.chain_id.as_str())
        .with("height", proven.height)
        .with("time", proven.time)
        .with("root", hex(&proven.root))
        .with("namespace", proven.namespace.as_str())
        .with("table", proven.table.as_str());
    for (name, value) in shown.fields() {
        // A table shows one record's fields one below the other, and of a range how many there are.
        match value {
            Value::Object(record) if session.output.format == OutputFormat::Table => {
                for (name, value) in record.fields().iter().filter(|(name, _)| !matches!(*name, "namespace" | "table"))
                {
                    object = object.with(name, value.clone());
                }
            }
            Value::List(_) if session.output.format == OutputFormat::Table => {}
            value => object = object.with(name, value.clone()),
        }
    }
    session.output.object(&object)
}

/// `db3 decode`
pub fn decode(session: &Session, args: &FileArgs) -> Result<(), Failure> {
    let bytes = std::fs::read(&args.file).map_err(|error| Failure::file("read", &args.file, &error))?;
    let signed = read_signed(&args.file, &bytes)?;
    let mutation = signed.content.clone();
    let (id, scheme, length) = (signed.id, signed.envelope.scheme, signed.bytes);
    let text = db3_primitives::signing_text(&mutation, &signed.envelope.body);
    let verdict = signed.verify();
    let operations: Vec<Object> = mutation.operations.iter().map(operation).collect();
    let mut object = Object::new()
        .with("id", id.to_string())
        .with("kind", "mutation")
        .with("network", mutation.network.as_str())
        .with("account", mutation.account.to_string())
        .with("namespace", mutation.namespace.as_str())
        .with("nonce", mutation.nonce.get())
        .with("expire_time", BlockTime::from_secs(mutation.expire_unix_secs))
        .with("max_fee_tai", mutation.max_fee)
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
fn read_signed(path: &Path, bytes: &[u8]) -> Result<SignedMutation, Failure> {
    use base64::Engine as _;
    let first = match db3_proto::decode_mutation(bytes) {
        Ok(signed) => return Ok(signed),
        Err(rejection) => rejection,
    };
    if let Ok(text) = std::str::from_utf8(bytes) {
        let text = text.trim();
        let by_hex = hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok();
        let decoded = by_hex.or_else(|| base64::engine::general_purpose::STANDARD.decode(text).ok());
        if let Some(decoded) = decoded {
            return db3_proto::decode_mutation(&decoded)
                .map_err(|rejection| Failure::from(rejection).at(&path.display().to_string()));
        }
    }
    Err(Failure::from(first).at(&path.display().to_string()))
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
