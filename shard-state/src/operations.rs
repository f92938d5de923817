//! What the operations of one mutation do, in their order, a later one seeing an earlier one; and what of it is
//! metered.
//!
//! Everything goes into the overlay's draft: the caller keeps it if all operations held, and discards it if one did
//! not. Nothing here looks at money, nonces or rights.

use std::collections::BTreeMap;

use db3_primitives::leaf::split_record;
use db3_primitives::{
    Height, Mutation, NamespaceLeaf, Operation, RecordHeader, RecordKey, Rejection, TableKind, TableLeaf, TableName,
    Write, key, stored,
};

use crate::effects::{ChangeKind, RecordChange};
use crate::overlay::Overlay;
use db3_primitives::fatal::damaged;

/// Where in time a block stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) height: Height,
    pub(crate) time_secs: u64,
}

/// What all operations together did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Sum of the lengths of the tree keys named by operations.
    pub(crate) key_bytes: u32,
    /// Growth of the state.
    pub(crate) bytes_stored: u32,
    /// For every operation the version written, or 0.
    pub(crate) versions: Vec<u64>,
    pub(crate) changes: Vec<RecordChange>,
}

/// Runs all operations on the draft. An error names the first precondition that did not hold.
pub(crate) fn run(overlay: &mut Overlay, mutation: &Mutation, at: Moment, index: u32) -> Result<Done, Rejection> {
    let own = mutation.namespace.own_address().is_some();
    let mut run = Run { overlay, mutation, own, at, index, tables: BTreeMap::new(), done: Done::default() };
    for (operation, position) in mutation.operations.iter().zip(0_u32..) {
        let key_bytes = stored::bytes(operation.tree_key_bytes(&mutation.namespace));
        run.done.key_bytes = run.done.key_bytes.saturating_add(key_bytes);
        let version = run.operation(operation, position)?;
        run.done.versions.push(version);
    }
    run.write_tables();
    Ok(run.done)
}

/// A table as the mutation sees it.
struct TableState {
    leaf: TableLeaf,
    changed: bool,
}

/// A mutation half done.
struct Run<'a> {
    overlay: &'a mut Overlay,
    mutation: &'a Mutation,
    /// Whether the namespace is the account's own, where tables come into being with their first record.
    own: bool,
    at: Moment,
    index: u32,
    tables: BTreeMap<&'a TableName, TableState>,
    done: Done,
}

/// What stands under a key.
struct Present {
    version: u64,
    leaf_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Put,
    Insert,
    Update,
}

impl<'a> Run<'a> {
    /// One operation; the version that it wrote, or 0.
    fn operation(&mut self, operation: &'a Operation, position: u32) -> Result<u64, Rejection> {
        match operation {
            Operation::Put(write) => self.write(Mode::Put, write, position),
            Operation::Insert(write) => self.write(Mode::Insert, write, position),
            Operation::Update(write) => self.write(Mode::Update, write, position),
            Operation::Delete { table, key, if_version } => self.delete(table, key, *if_version, position).map(|()| 0),
            Operation::CreateNamespace => self.create_namespace().map(|()| 0),
            Operation::CreateTable { table } => self.create_table(table, position).map(|()| 0),
        }
    }

    fn create_namespace(&mut self) -> Result<(), Rejection> {
        let Mutation { namespace, account, .. } = self.mutation;
        let key = key::namespace(namespace);
        if self.overlay.get(&key).is_some() {
            return Err(Rejection::NamespaceExists { namespace: namespace.clone() });
        }
        let leaf = NamespaceLeaf { owner: *account, created_height: self.at.height.get() };
        self.grow(stored::namespace(namespace));
        self.overlay.put(key, leaf.to_bytes());
        self.overlay.put(key::owned(account, namespace), key::OWNED_VALUE.to_vec());
        Ok(())
    }

    fn create_table(&mut self, table: &'a TableName, position: u32) -> Result<(), Rejection> {
        if self.table(table).is_some() {
            return Err(Rejection::TableExists { operation: position, table: table.clone() });
        }
        self.new_table(table);
        Ok(())
    }

    fn write(&mut self, mode: Mode, write: &'a Write, position: u32) -> Result<u64, Rejection> {
        let Write { table, key: record_key, value, if_version } = write;
        let key = key::record(&self.mutation.namespace, table, record_key);
        let floor = self.floor(table, position)?;
        let present = self.present(&key);
        match (mode, &present) {
            (Mode::Insert, Some(record)) => {
                return Err(Rejection::RecordExists { operation: position, version: record.version });
            }
            (Mode::Update, None) => return Err(Rejection::RecordNotFound { operation: position }),
            (Mode::Put, _) | (Mode::Insert, None) | (Mode::Update, Some(_)) => {}
        }
        check_version(*if_version, present.as_ref(), position)?;
        // 2^64 writes of one key are out of reach; saturating keeps the sum total.
        let version = present.as_ref().map_or(floor, |record| record.version).saturating_add(1);
        let header = RecordHeader {
            owner: self.mutation.account,
            version,
            height: self.at.height.get(),
            time_secs: self.at.time_secs,
        };
        let leaf = header.leaf(value);
        if let Some(record) = present {
            self.grow(stored::bytes(leaf.len().saturating_sub(record.leaf_bytes)));
        } else {
            if !self.tables.contains_key(table) {
                self.new_table(table);
            }
            self.grow(stored::record(&self.mutation.namespace, table, record_key, value));
        }
        self.overlay.put(key, leaf);
        self.changed(table, record_key, ChangeKind::Written { version });
        Ok(version)
    }

    fn delete(
        &mut self,
        table: &'a TableName,
        record_key: &RecordKey,
        if_version: Option<u64>,
        position: u32,
    ) -> Result<(), Rejection> {
        let key = key::record(&self.mutation.namespace, table, record_key);
        self.floor(table, position)?;
        let Some(record) = self.present(&key) else {
            return Err(Rejection::RecordNotFound { operation: position });
        };
        check_version(if_version, Some(&record), position)?;
        self.overlay.delete(key);
        if let Some(state) = self.tables.get_mut(table)
            && record.version > state.leaf.floor
        {
            state.leaf.floor = record.version;
            state.changed = true;
        }
        self.changed(table, record_key, ChangeKind::Deleted);
        Ok(())
    }

    /// The highest version that was ever deleted in a table; 0 in one that comes into being with its first record.
    fn floor(&mut self, table: &'a TableName, position: u32) -> Result<u64, Rejection> {
        let own = self.own;
        match self.table(table) {
            Some(state) => Ok(state.leaf.floor),
            None if own => Ok(0),
            None => Err(Rejection::TableNotFound { operation: position, table: table.clone() }),
        }
    }

    /// The table as it stands, read once per mutation.
    fn table(&mut self, table: &'a TableName) -> Option<&TableState> {
        if !self.tables.contains_key(table) {
            let key = key::table(&self.mutation.namespace, table);
            let leaf = self.overlay.get(&key)?;
            let leaf = TableLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key));
            self.tables.insert(table, TableState { leaf, changed: false });
        }
        self.tables.get(table)
    }

    fn new_table(&mut self, table: &'a TableName) {
        let leaf = TableLeaf { kind: TableKind::Plain, created_height: self.at.height.get(), floor: 0 };
        self.grow(stored::table(&self.mutation.namespace, table));
        self.overlay.put(key::table(&self.mutation.namespace, table), leaf.to_bytes());
        self.tables.insert(table, TableState { leaf, changed: false });
    }

    /// Writes the tables whose floor rose. Their leaves have one size, so nothing grows.
    fn write_tables(&mut self) {
        for (table, state) in &self.tables {
            if state.changed {
                self.overlay.put(key::table(&self.mutation.namespace, table), state.leaf.to_bytes());
            }
        }
    }

    fn present(&self, key: &[u8]) -> Option<Present> {
        let leaf = self.overlay.get(key)?;
        let (header, _) = split_record(leaf).unwrap_or_else(|| damaged(key));
        Some(Present { version: header.version, leaf_bytes: leaf.len() })
    }

    /// Meters growth.
    fn grow(&mut self, bytes: u32) {
        self.done.bytes_stored = self.done.bytes_stored.saturating_add(bytes);
    }

    fn changed(&mut self, table: &TableName, key: &RecordKey, kind: ChangeKind) {
        self.done.changes.push(RecordChange {
            index: self.index,
            namespace: self.mutation.namespace.clone(),
            table: table.clone(),
            key: key.clone(),
            kind,
        });
    }
}

/// Holds a condition on the version against what stands there; 0 means absent, in the condition and in the answer.
fn check_version(expected: Option<u64>, present: Option<&Present>, operation: u32) -> Result<(), Rejection> {
    let actual = present.map_or(0, |record| record.version);
    match expected {
        Some(expected) if expected != actual => Err(Rejection::VersionMismatch { operation, expected, actual }),
        Some(_) | None => Ok(()),
    }
}
