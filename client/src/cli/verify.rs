//! `db3 verify`: a kept proof checked offline.

use super::args::FileArgs;
use super::failure::Failure;
use super::render::{self, hex};
use super::session::Session;
use super::value::{Object, Value};
use crate::console::OutputFormat;
use crate::{KeptProof, Shown};

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
