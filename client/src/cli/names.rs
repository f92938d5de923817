//! `db3 namespace` and `db3 table`.

use db3_primitives::{Namespace, Operation};

use super::args::{NamespaceCommand, TableCommand};
use super::failure::{Exit, Failure};
use super::session::Session;
use super::value::{Object, Value};
use super::write::send;
use crate::NamespaceInfo;

/// `db3 namespace`
pub async fn namespace(session: &Session, command: &NamespaceCommand) -> Result<(), Failure> {
    let network = session.network()?;
    match command {
        NamespaceCommand::Create { name, sending } => {
            send(session, network, name.parse()?, vec![Operation::CreateNamespace], sending).await
        }
        NamespaceCommand::Show { name } => {
            let client = session.client_of(network.file).await?;
            let answer = client.namespace(name).await?;
            let Some(info) = &answer.value else {
                return Err(Failure::new(
                    Exit::Absent,
                    format!(
                        "there is no namespace {name} (proven, at height {} of {})",
                        answer.at.height, answer.at.chain_id
                    ),
                    format!("register it with db3 namespace create {name}"),
                ));
            };
            session.output.object(&super::render::at(describe(info), &answer.at))
        }
        NamespaceCommand::List => {
            let account = session.account(&network)?;
            let client = session.client_of(network.file).await?;
            let mut list = session.output.list(&["name", "owner", "shard", "create_height"]);
            for info in client.account(account.address).namespaces().await? {
                list.push(&describe(&info))?;
            }
            let own = Namespace::own(&account.address);
            list.finish(&format!("no registered namespaces; {own} is the account's own, without registration"))
        }
    }
}

fn describe(info: &NamespaceInfo) -> Object {
    Object::new()
        .with("name", info.name.as_str())
        .with("owner", info.owner.to_string())
        .with("slot", u32::from(info.name.slot().get()))
        .with("shard", info.shard)
        .with_some("create_height", info.create_height)
}

/// `db3 table`
pub async fn table(session: &Session, command: &TableCommand) -> Result<(), Failure> {
    let network = session.network()?;
    match command {
        TableCommand::Create { table, sending } => {
            let (namespace, table) = session.table(table, &network)?;
            send(session, network, namespace, vec![Operation::CreateTable { table }], sending).await
        }
        TableCommand::Show { table: text } => {
            let (namespace, table) = session.table(text, &network)?;
            let client = session.client_of(network.file).await?;
            let answer = client.tables(namespace.as_str()).await?;
            let found = answer.value.iter().find(|info| info.name == table);
            let Some(info) = found else {
                return Err(Failure::new(
                    Exit::Absent,
                    format!(
                        "there is no table {text} (proven, at height {} of {})",
                        answer.at.height, answer.at.chain_id
                    ),
                    "in one's own namespace the first write makes it; elsewhere db3 table create does",
                ));
            };
            let object = Object::new()
                .with("namespace", info.namespace.as_str())
                .with("name", info.name.as_str())
                .with("kind", Value::Enum("TABLE_KIND_PLAIN", "TABLE_KIND_"))
                .with("create_height", info.create_height);
            session.output.object(&super::render::at(object, &answer.at))
        }
        TableCommand::List { namespace } => {
            let namespace = match namespace {
                Some(name) => name.parse()?,
                None => Namespace::own(&session.account(&network)?.address),
            };
            let client = session.client_of(network.file).await?;
            let answer = client.tables(namespace.as_str()).await?;
            let mut list = session.output.list(&["namespace", "name", "kind", "create_height"]);
            for info in &answer.value {
                list.push(
                    &Object::new()
                        .with("namespace", info.namespace.as_str())
                        .with("name", info.name.as_str())
                        .with("kind", Value::Enum("TABLE_KIND_PLAIN", "TABLE_KIND_"))
                        .with("create_height", info.create_height),
                )?;
            }
            list.finish(&format!(
                "no tables in {namespace} (proven, at height {} of {})",
                answer.at.height, answer.at.chain_id
            ))
        }
    }
}
