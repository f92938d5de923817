//! A mutation as decoded from its signed body, and the rules that need no state.
//!
//! That the body's bytes are canonical is proven where protobuf is known, not here.

use crate::limits::{OPERATIONS_PER_MUTATION_MAX, PAIR_BYTES_MAX};
use crate::name::count;
use crate::{Address, Namespace, NetworkName, Nonce, RecordKey, Rejection, TableName, Tai, key};

/// An atomic batch of operations on one namespace, paid by `account`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// The network that it is for.
    pub network: NetworkName,
    /// The account that pays, and signs.
    pub account: Address,
    /// The namespace that it changes.
    pub namespace: Namespace,
    /// Its number within (account, namespace), from 1.
    pub nonce: Nonce,
    /// It may stand in a block whose time is before this Unix second.
    pub expire_unix_secs: u64,
    /// The most that it may cost.
    pub max_fee: Tai,
    /// What it does, in order; all of it or nothing.
    pub operations: Vec<Operation>,
}

/// One step of a mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Writes a record, whether or not it exists.
    Put(Write),
    /// Writes a record that must not exist.
    Insert(Write),
    /// Writes a record that must exist.
    Update(Write),
    /// Removes a record that must exist.
    Delete {
        /// The table.
        table: TableName,
        /// The record's key.
        key: RecordKey,
        /// The version that the record must have.
        if_version: Option<u64>,
    },
    /// Registers the mutation's namespace for the account; first operation only.
    CreateNamespace,
    /// Creates a plain table.
    CreateTable {
        /// The table.
        table: TableName,
    },
}

/// What a writing operation writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The table.
    pub table: TableName,
    /// The record's key.
    pub key: RecordKey,
    /// The record's new value; it may be empty.
    pub value: Vec<u8>,
    /// The version that the record must have; `Some(0)`: it must be absent.
    pub if_version: Option<u64>,
}

impl Operation {
    /// The table that it touches, if it touches one.
    #[must_use]
    pub fn table(&self) -> Option<&TableName> {
        match self {
            Self::Put(write) | Self::Insert(write) | Self::Update(write) => Some(&write.table),
            Self::Delete { table, .. } | Self::CreateTable { table } => Some(table),
            Self::CreateNamespace => None,
        }
    }

    /// Bytes of the tree keys that it is charged for: the record's, the table's, or the namespace's with its place in
    /// the index by owner.
    #[must_use]
    pub fn tree_key_bytes(&self, namespace: &Namespace) -> usize {
        match self {
            Self::Put(write) | Self::Insert(write) | Self::Update(write) => {
                key::record_bytes(namespace, &write.table, write.key.as_bytes().len())
            }
            Self::Delete { table, key, .. } => key::record_bytes(namespace, table, key.as_bytes().len()),
            Self::CreateNamespace => key::namespace_bytes(namespace).saturating_add(key::owned_bytes(namespace)),
            Self::CreateTable { table } => key::table_bytes(namespace, table),
        }
    }

    fn validate(&self, index: u32, mutation: &Mutation) -> Result<(), Rejection> {
        match self {
            Self::CreateNamespace if index != 0 => Err(Rejection::OperationMisplaced { index }),
            Self::CreateNamespace if mutation.namespace.own_address().is_some() => {
                Err(Rejection::NamespaceReserved { name: mutation.namespace.clone() })
            }
            Self::Put(write) | Self::Insert(write) | Self::Update(write) => write.validate(index),
            Self::CreateNamespace | Self::Delete { .. } | Self::CreateTable { .. } => Ok(()),
        }
    }
}

impl Write {
    fn validate(&self, index: u32) -> Result<(), Rejection> {
        let bytes = self.key.as_bytes().len().saturating_add(self.value.len());
        if bytes > PAIR_BYTES_MAX {
            return Err(Rejection::PairTooLarge { operation: index, bytes: count(bytes), max: count(PAIR_BYTES_MAX) });
        }
        Ok(())
    }
}

impl Mutation {
    /// The rules that need no state, in this order: an empty batch, too many operations, nonce 0; then for each
    /// operation a misplaced or forbidden `CreateNamespace`, and a pair that is too large. Lengths of names and keys
    /// hold by their types.
    pub fn validate(&self) -> Result<(), Rejection> {
        let operations = self.operations.len();
        if operations == 0 {
            return Err(Rejection::BatchEmpty);
        }
        if operations > OPERATIONS_PER_MUTATION_MAX {
            let max = count(OPERATIONS_PER_MUTATION_MAX);
            return Err(Rejection::TooManyOperations { count: count(operations), max });
        }
        if self.nonce.get() == 0 {
            return Err(Rejection::NonceZero);
        }
        (0..).zip(&self.operations).try_for_each(|(index, operation)| operation.validate(index, self))
    }
}
