//! `db3 put|insert|update|delete|mutate`, and sending for every other command that writes.

use std::io::Read;
use std::path::Path;

use db3_primitives::{Namespace, Operation, RecordKey, TableName, Write};
use serde::Deserialize;

use super::args::{DeleteArgs, MutateArgs, SendingArgs, WriteArgs};
use super::failure::Failure;
use super::send::{Sent, send_order};
use super::session::{ChosenNetwork, Session};
use super::{line_use, opening, receipt};

/// Which of the three writes.
#[derive(Clone, Copy, Debug)]
pub enum WriteKind {
    /// Whether or not it exists.
    Put,
    /// It must not exist.
    Insert,
    /// It must exist.
    Update,
}

impl WriteKind {
    fn operation(self, write: Write) -> Operation {
        match self {
            Self::Put => Operation::Put(write),
            Self::Insert => Operation::Insert(write),
            Self::Update => Operation::Update(write),
        }
    }
}

/// `db3 put|insert|update`
pub async fn write(session: &Session, kind: WriteKind, args: &WriteArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let (namespace, table) = session.table(&args.table, &network)?;
    let key = RecordKey::new(session.decode("key", &args.key)?)?;
    let write = Write { table, key, value: value(session, args)?, if_version: args.if_version };
    send(session, network, namespace, vec![kind.operation(write)], &args.sending).await
}

/// `db3 delete`
pub async fn delete(session: &Session, args: &DeleteArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let (namespace, table) = session.table(&args.table, &network)?;
    let key = RecordKey::new(session.decode("key", &args.key)?)?;
    let operation = Operation::Delete { table, key, if_version: args.if_version };
    send(session, network, namespace, vec![operation], &args.sending).await
}

/// `db3 mutate`
pub async fn mutate(session: &Session, args: &MutateArgs) -> Result<(), Failure> {
    let network = session.network()?;
    let named = args.namespace.as_deref().map(str::parse::<Namespace>).transpose()?;
    let text = read_text(&args.file)?;
    let mut operations = Vec::new();
    let mut namespace = named;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("{}:{}", args.file.display(), index.saturating_add(1));
        let step: Step = serde_json::from_str(line).map_err(|error| {
            let what = db3_genesis::json_fault(&error);
            let failure = Failure::input(format!("{place}:{}: {what}", error.column()), STEP_SHAPE);
            if what.starts_with("unknown variant") {
                let index = u32::try_from(operations.len()).unwrap_or(u32::MAX);
                return failure.numbered(db3_primitives::Rejection::OperationUnknown { index });
            }
            failure
        })?;
        let (of_step, operation) = step.operation(&place)?;
        if let Some(of_step) = of_step {
            match &namespace {
                Some(namespace) if *namespace != of_step => {
                    return Err(Failure::input(
                        format!("{place}: the table is in {of_step}, but the mutation is of {namespace}"),
                        "a mutation concerns one namespace; write two files",
                    ));
                }
                _ => namespace = Some(of_step),
            }
        }
        operations.push(operation);
    }
    if operations.is_empty() {
        let failure = Failure::input(format!("{} holds no operation", args.file.display()), STEP_SHAPE);
        return Err(failure.numbered(db3_primitives::Rejection::BatchEmpty));
    }
    let namespace = match namespace {
        Some(namespace) => namespace,
        None => Namespace::own(&session.account(&network)?.address),
    };
    send(session, network, namespace, operations, &args.sending).await
}

const STEP_SHAPE: &str = r#"write one object a line, such as {"op":"put","table":"notes","key":"a","value":"b"}"#;

/// One line of a file of operations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    op: StepKind,
    table: Option<String>,
    key: Option<String>,
    key_hex: Option<String>,
    value: Option<String>,
    value_hex: Option<String>,
    if_version: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StepKind {
    Put,
    Insert,
    Update,
    Delete,
    CreateTable,
    CreateNamespace,
}

impl StepKind {
    fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::CreateTable => "create_table",
            Self::CreateNamespace => "create_namespace",
        }
    }
}

impl Step {
    /// A field that is given and that the operation has no use for: whoever wrote it meant another operation.
    fn senseless(&self) -> Option<&'static str> {
        let takes = match self.op {
            StepKind::Put | StepKind::Insert | StepKind::Update => (true, true, true),
            StepKind::Delete => (true, true, false),
            StepKind::CreateTable => (true, false, false),
            StepKind::CreateNamespace => (false, false, false),
        };
        let (takes_table, takes_key, takes_value) = takes;
        let given = [
            ("table", !takes_table && self.table.is_some()),
            ("key", !takes_key && self.key.is_some()),
            ("key_hex", !takes_key && self.key_hex.is_some()),
            ("value", !takes_value && self.value.is_some()),
            ("value_hex", !takes_value && self.value_hex.is_some()),
            ("if_version", !takes_key && self.if_version.is_some()),
        ];
        given.into_iter().find(|(_, senseless)| *senseless).map(|(field, _)| field)
    }

    /// The operation, and the namespace that its table names.
    fn operation(self, place: &str) -> Result<(Option<Namespace>, Operation), Failure> {
        let at = |failure: Failure| failure.at(place);
        if let Some(field) = self.senseless() {
            return Err(Failure::input(format!("{place}: {} takes no {field}", self.op.name()), "leave it out"));
        }
        if matches!(self.op, StepKind::CreateNamespace) {
            return Ok((None, Operation::CreateNamespace));
        }
        let named = self
            .table
            .as_deref()
            .ok_or_else(|| Failure::input(format!("{place}: the table is missing"), STEP_SHAPE))?;
        let (namespace, table) = match named.split_once('/') {
            Some((namespace, table)) => {
                (Some(namespace.parse::<Namespace>().map_err(|error| at(error.into()))?), table)
            }
            None => (None, named),
        };
        let table: TableName = table.parse().map_err(|error: db3_primitives::Rejection| at(error.into()))?;
        if matches!(self.op, StepKind::CreateTable) {
            return Ok((namespace, Operation::CreateTable { table }));
        }
        let bytes = |what: &str, text: Option<String>, digits: Option<String>| match (text, digits) {
            (Some(text), None) => Ok(text.into_bytes()),
            (None, Some(digits)) => hex::decode(digits.strip_prefix("0x").unwrap_or(&digits))
                .map_err(|error| Failure::input(format!("{place}: {what}_hex is no hex: {error}"), STEP_SHAPE)),
            _ => Err(Failure::input(format!("{place}: give {what} or {what}_hex"), STEP_SHAPE)),
        };
        let key = RecordKey::new(bytes("key", self.key, self.key_hex)?).map_err(|error| at(error.into()))?;
        let if_version = self.if_version;
        let kind = match self.op {
            StepKind::Put => WriteKind::Put,
            StepKind::Insert => WriteKind::Insert,
            StepKind::Update => WriteKind::Update,
            StepKind::Delete | StepKind::CreateTable | StepKind::CreateNamespace => {
                return Ok((namespace, Operation::Delete { table, key, if_version }));
            }
        };
        let value = bytes("value", self.value, self.value_hex)?;
        Ok((namespace, kind.operation(Write { table, key, value, if_version })))
    }
}

/// Sends one mutation, or says what it would cost, and prints what became of it.
pub async fn send(
    session: &Session,
    network: ChosenNetwork,
    namespace: Namespace,
    operations: Vec<Operation>,
    sending: &SendingArgs,
) -> Result<(), Failure> {
    let signer = session.signer(&network)?;
    let client = session.client_of(network.file).await?;
    let shard = client.shard_of(&namespace).get();
    let prepare = || client.mutation(namespace.as_str()).operations(operations.clone()).sign(&signer);
    let sent = match send_order(session, prepare(), sending).await {
        Err(failure) => {
            opening::after_refusal(session, &client, &signer, shard, failure).await?;
            send_order(session, prepare(), sending).await?
        }
        Ok(sent) => sent,
    };
    if let Sent::Receipt(found) = sent {
        receipt::print(session, &found)?;
        line_use::warn_after_write(session, &client, signer.address(), shard).await;
    }
    Ok(())
}

fn value(session: &Session, args: &WriteArgs) -> Result<Vec<u8>, Failure> {
    match (&args.value, &args.value_file) {
        (_, Some(path)) => std::fs::read(path).map_err(|error| Failure::file("read", path, &error)),
        (Some(text), None) if text == "-" => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            read.map(|_| bytes).map_err(|error| {
                Failure::input(format!("cannot read standard input: {error}"), "give the value as an argument")
            })
        }
        (Some(text), None) => session.decode("value", text),
        (None, None) => {
            Err(Failure::input("the value is missing", "give it as an argument, or with --value-file FILE"))
        }
    }
}

/// A file's text; `-` is standard input.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        read.map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = bytes.map_err(|error| Failure::file("read", path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let good = String::from_utf8_lossy(good);
        let line = good.lines().count().saturating_add(usize::from(good.is_empty() || good.ends_with('\n')));
        let column = good.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
        Failure::input(
            format!("{}:{line}:{column}: the file is no UTF-8 text", path.display()),
            "convert it to UTF-8, for example with iconv",
        )
    })
}
