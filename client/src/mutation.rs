//! Building one mutation.

use db3_primitives::{Mutation, Namespace, Nonce, Operation, RecordKey, Rejection, TableName, Tai, Write};

use crate::client::Client;
use crate::order::Prepared;
use crate::signer::Signer;

/// A mutation being put together.
#[must_use = "a mutation does nothing until it is signed and sent"]
pub struct MutationBuilder<'c> {
    client: &'c Client,
    namespace: Result<Namespace, Rejection>,
    operations: Result<Vec<Operation>, Rejection>,
}

/// A mutation with somebody to sign it. It is signed when it is sent, with a nonce that nobody else holds.
pub type PreparedMutation<'c, S> = Prepared<'c, S, Mutation>;

impl<'c> MutationBuilder<'c> {
    pub(crate) fn new(client: &'c Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.parse(), operations: Ok(Vec::new()) }
    }

    /// Writes a record, whether or not it exists.
    pub fn put(self, table: &str, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> Self {
        self.write(table, key.as_ref(), value.into(), Operation::Put)
    }

    /// Writes a record that must not exist.
    pub fn insert(self, table: &str, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> Self {
        self.write(table, key.as_ref(), value.into(), Operation::Insert)
    }

    /// Writes a record that must exist.
    pub fn update(self, table: &str, key: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> Self {
        self.write(table, key.as_ref(), value.into(), Operation::Update)
    }

    /// Removes a record that must exist.
    pub fn delete(self, table: &str, key: impl AsRef<[u8]>) -> Self {
        let operation = || {
            let (table, key) = (table.parse()?, RecordKey::new(key.as_ref().to_vec())?);
            Ok(Operation::Delete { table, key, if_version: None })
        };
        self.push(operation())
    }

    /// Registers the namespace for the signer; only as the first operation.
    pub fn create_namespace(self) -> Self {
        self.push(Ok(Operation::CreateNamespace))
    }

    /// Creates a table. In one's own namespace the first write does that.
    pub fn create_table(self, table: &str) -> Self {
        self.push(table.parse().map(|table| Operation::CreateTable { table }))
    }

    /// The operation before this applies only if its record stands at this version; 0: only if there is none.
    pub fn if_version(mut self, version: u64) -> Self {
        if let Ok(operations) = &mut self.operations {
            match operations.last_mut() {
                Some(Operation::Put(write) | Operation::Insert(write) | Operation::Update(write)) => {
                    write.if_version = Some(version);
                }
                Some(Operation::Delete { if_version, .. }) => *if_version = Some(version),
                Some(Operation::CreateNamespace | Operation::CreateTable { .. }) | None => {
                    let detail = "if_version stands after no write or delete".to_owned();
                    self.operations = Err(Rejection::RequestInvalid { field: "if_version".to_owned(), detail });
                }
            }
        }
        self
    }

    /// Any operations, in order.
    pub fn operations(mut self, operations: Vec<Operation>) -> Self {
        if let Ok(known) = &mut self.operations {
            known.extend(operations);
        }
        self
    }

    /// Names who signs, and pays.
    pub fn sign<S: Signer + ?Sized>(self, signer: &'c S) -> PreparedMutation<'c, S> {
        let network = self.client.network().name.clone();
        let draft = self.namespace.and_then(|namespace| {
            Ok(Mutation {
                network,
                account: signer.address(),
                namespace,
                nonce: Nonce::new(1),
                expire_unix_secs: 0,
                max_fee: Tai::ZERO,
                operations: self.operations?,
            })
        });
        Prepared::new(self.client, draft, signer)
    }

    fn write(self, table: &str, key: &[u8], value: Vec<u8>, kind: impl FnOnce(Write) -> Operation) -> Self {
        let write = || {
            let (table, key): (TableName, _) = (table.parse()?, RecordKey::new(key.to_vec())?);
            Ok(kind(Write { table, key, value, if_version: None }))
        };
        self.push(write())
    }

    fn push(mut self, operation: Result<Operation, Rejection>) -> Self {
        self.operations = match (self.operations, operation) {
            (Ok(mut operations), Ok(operation)) => {
                operations.push(operation);
                Ok(operations)
            }
            (Ok(operations), Err(rejection)) => {
                Err(rejection.at_operation(u32::try_from(operations.len()).unwrap_or(u32::MAX)))
            }
            (Err(rejection), _) => Err(rejection),
        };
        self
    }
}
