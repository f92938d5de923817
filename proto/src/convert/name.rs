//! Namespaces and tables.

use bytes::Bytes;
use db3_primitives::{Namespace, NamespaceLeaf, ShardId, TableKind, TableLeaf, TableName};

use super::view::{ViewError, same};
use crate::v1;

const NAMESPACE: &str = "namespace";
const TABLE: &str = "table";

/// A namespace by its leaf, or an account's own, which has none. `None`: it is neither, so it does not exist.
#[must_use]
pub fn namespace_message(name: &Namespace, leaf: Option<&NamespaceLeaf>, shard: ShardId) -> Option<v1::Namespace> {
    let owner = name.own_address().or_else(|| leaf.map(|leaf| leaf.owner))?;
    Some(v1::Namespace {
        name: name.as_str().to_owned(),
        owner: Bytes::copy_from_slice(owner.as_bytes()),
        slot: u32::from(name.slot().get()),
        shard: shard.get(),
        create_height: leaf.map_or(0, |leaf| leaf.created_height),
        stored: leaf.map_or_else(Bytes::new, |leaf| leaf.to_bytes().into()),
    })
}

/// The leaf that a namespace's bytes hold; `None` for an account's own.
pub fn checked_namespace(
    message: &v1::Namespace,
    shard: ShardId,
) -> Result<(Namespace, Option<NamespaceLeaf>), ViewError> {
    let name = Namespace::try_from(message.name.as_str()).map_err(ViewError::name(NAMESPACE))?;
    let leaf = if message.stored.is_empty() {
        None
    } else {
        Some(NamespaceLeaf::from_bytes(&message.stored).map_err(ViewError::leaf(NAMESPACE))?)
    };
    match namespace_message(&name, leaf.as_ref(), shard) {
        Some(wanted) => same(NAMESPACE, message, &wanted)?,
        None => return Err(ViewError::Differs { what: NAMESPACE }),
    }
    Ok((name, leaf))
}

/// A table.
#[must_use]
pub fn table_message(namespace: &Namespace, name: &TableName, leaf: &TableLeaf) -> v1::Table {
    let kind = match leaf.kind {
        TableKind::Plain => v1::TableKind::Plain,
    };
    v1::Table {
        namespace: namespace.as_str().to_owned(),
        name: name.as_str().to_owned(),
        kind: kind.into(),
        create_height: leaf.created_height,
        stored: leaf.to_bytes().into(),
    }
}

/// The name and leaf that a table's bytes hold.
pub fn checked_table(message: &v1::Table, namespace: &Namespace) -> Result<(TableName, TableLeaf), ViewError> {
    let name = TableName::try_from(message.name.as_str()).map_err(ViewError::name(TABLE))?;
    let leaf = TableLeaf::from_bytes(&message.stored).map_err(ViewError::leaf(TABLE))?;
    same(TABLE, message, &table_message(namespace, &name, &leaf))?;
    Ok((name, leaf))
}
