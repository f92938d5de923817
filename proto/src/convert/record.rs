//! Records.

use bytes::Bytes;
use db3_primitives::{Hash32, Namespace, RecordHeader, RecordKey, TableName, key};

use super::time::timestamp_of_secs;
use super::view::{ViewError, same};
use crate::v1;

const RECORD: &str = "record";

/// A record with its value.
#[must_use]
pub fn record_message(
    namespace: &Namespace,
    table: &TableName,
    key: &[u8],
    header: &RecordHeader,
    value: &[u8],
) -> v1::Record {
    v1::Record {
        value: Bytes::copy_from_slice(value),
        owner: Bytes::copy_from_slice(header.owner.as_bytes()),
        version: header.version,
        update_time: Some(timestamp_of_secs(header.time_secs)),
        update_height: header.height,
        stored_header: header.to_bytes().into(),
        ..record_name_message(namespace, table, key)
    }
}

/// A record by its key alone, with the hash of its leaf value.
#[must_use]
pub fn record_key_message(namespace: &Namespace, table: &TableName, key: &[u8], value_hash: &Hash32) -> v1::Record {
    v1::Record { value_hash: Bytes::copy_from_slice(value_hash), ..record_name_message(namespace, table, key) }
}

/// A record's names alone.
#[must_use]
pub fn record_name_message(namespace: &Namespace, table: &TableName, key: &[u8]) -> v1::Record {
    v1::Record {
        namespace: namespace.as_str().to_owned(),
        table: table.as_str().to_owned(),
        key: Bytes::copy_from_slice(key),
        ..v1::Record::default()
    }
}

/// What a received record says about its leaf in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordLeaf {
    /// Header and leaf value, header first.
    Whole {
        /// The header.
        header: RecordHeader,
        /// The leaf value.
        leaf: Vec<u8>,
    },
    /// SHA-256 of the leaf value.
    Hash(Hash32),
}

/// A received record whose decoded view agrees with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedRecord {
    /// Namespace.
    pub namespace: Namespace,
    /// Table.
    pub table: TableName,
    /// Key.
    pub key: RecordKey,
    /// Its leaf.
    pub leaf: RecordLeaf,
}

impl CheckedRecord {
    /// The record's key in the state tree.
    #[must_use]
    pub fn tree_key(&self) -> Vec<u8> {
        key::record(&self.namespace, &self.table, &self.key)
    }

    /// The record's value; `None` where only its hash is known.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        match &self.leaf {
            RecordLeaf::Whole { leaf, .. } => leaf.get(RecordHeader::BYTES..),
            RecordLeaf::Hash(_) => None,
        }
    }
}

/// Reads a received record. A proof of `tree_key()` and its leaf proves all that is returned.
pub fn checked_record(message: &v1::Record) -> Result<CheckedRecord, ViewError> {
    let name = ViewError::name(RECORD);
    let namespace = Namespace::try_from(message.namespace.as_str()).map_err(&name)?;
    let table = TableName::try_from(message.table.as_str()).map_err(&name)?;
    let key = RecordKey::new(message.key.to_vec()).map_err(&name)?;
    let differs = ViewError::Differs { what: RECORD };
    let leaf = if message.value_hash.is_empty() {
        let header = RecordHeader::from_bytes(&message.stored_header).map_err(ViewError::leaf(RECORD))?;
        let wanted = record_message(&namespace, &table, key.as_bytes(), &header, &message.value);
        same(RECORD, message, &wanted)?;
        let leaf = header.leaf(&message.value);
        RecordLeaf::Whole { header, leaf }
    } else {
        let hash = message.value_hash.as_ref().try_into().map_err(|_| differs)?;
        let wanted = record_key_message(&namespace, &table, key.as_bytes(), &hash);
        same(RECORD, message, &wanted)?;
        RecordLeaf::Hash(hash)
    };
    Ok(CheckedRecord { namespace, table, key, leaf })
}
