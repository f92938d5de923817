//! Records as callers get them.

use db3_primitives::{Address, BlockTime, Namespace, RecordHeader, RecordKey, TableName};

use crate::chain::StatePoint;

/// A record as it stands in the state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Namespace of the table.
    pub namespace: Namespace,
    /// Name of the table.
    pub table: TableName,
    /// Key, 1 to 256 bytes.
    pub key: RecordKey,
    /// Value.
    pub value: Vec<u8>,
    /// Version, at least 1, never repeated for a key.
    pub version: u64,
    /// Account that wrote it last.
    pub owner: Address,
    /// Height of the block that wrote it last.
    pub update_height: u64,
    /// Time of that block, full seconds.
    pub update_time: BlockTime,
}

/// Something read, and the state that it was read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer<T> {
    /// What was read.
    pub value: T,
    /// From which state.
    pub at: StatePoint,
}

impl Record {
    pub(crate) fn new(names: (&Namespace, &TableName, &RecordKey), header: &RecordHeader, value: Vec<u8>) -> Self {
        let (namespace, table, key) = names;
        Self {
            namespace: namespace.clone(),
            table: table.clone(),
            key: key.clone(),
            value,
            version: header.version,
            owner: header.owner,
            update_height: header.height,
            update_time: BlockTime::from_secs(header.time_secs),
        }
    }
}
