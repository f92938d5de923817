//! Encoders of `db3.v1.MutationBody` and `db3.v1.TransactionBody`, written by hand from the field numbers of the proto files, so that the worked
//! examples stand on a real body without a protobuf library below the line.

use db3_primitives::{Mutation, Operation, Transaction, TransactionOperation, Write};

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

fn number(field: u64, value: u64) -> Vec<u8> {
    if value == 0 { Vec::new() } else { explicit_number(field, value) }
}

fn explicit_number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    if value.is_empty() { Vec::new() } else { message(field, value) }
}

fn message(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn put(write: &Write) -> Vec<u8> {
    [
        bytes(1, write.table.as_str().as_bytes()),
        bytes(2, write.key.as_bytes()),
        bytes(3, &write.value),
        write.if_version.map(|version| explicit_number(4, version)).unwrap_or_default(),
    ]
    .concat()
}

fn operation(operation: &Operation) -> Vec<u8> {
    match operation {
        Operation::Put(write) => message(1, &put(write)),
        Operation::Insert(write) => message(2, &put(write)),
        Operation::Update(write) => message(3, &put(write)),
        Operation::Delete { table, key, if_version } => {
            let version = if_version.map(|version| explicit_number(3, version)).unwrap_or_default();
            message(4, &[bytes(1, table.as_str().as_bytes()), bytes(2, key.as_bytes()), version].concat())
        }
        Operation::CreateNamespace => message(10, &[]),
        Operation::CreateTable { table } => message(11, &bytes(1, table.as_str().as_bytes())),
    }
}

/// The canonical body of a mutation.
pub fn encode(mutation: &Mutation) -> Vec<u8> {
    let mut body = [
        number(1, 1),
        bytes(2, mutation.network.as_str().as_bytes()),
        bytes(3, mutation.account.as_bytes()),
        bytes(4, mutation.namespace.as_str().as_bytes()),
        number(5, mutation.nonce.get()),
        number(6, mutation.expire_unix_secs),
        bytes(7, mutation.max_fee.to_string().as_bytes()),
    ]
    .concat();
    for step in &mutation.operations {
        body.extend(message(8, &operation(step)));
    }
    body
}

fn transaction_operation(operation: &TransactionOperation) -> Vec<u8> {
    let amount = |field, operation: &TransactionOperation| bytes(field, operation.amount().to_string().as_bytes());
    match operation {
        TransactionOperation::Transfer { to, .. } => {
            message(1, &[bytes(1, to.as_bytes()), amount(2, operation)].concat())
        }
        TransactionOperation::Deposit { to, .. } => {
            message(2, &[bytes(1, to.as_bytes()), amount(2, operation)].concat())
        }
        TransactionOperation::Withdraw { .. } => message(3, &amount(1, operation)),
        TransactionOperation::Allocate { shard, .. } => {
            message(4, &[number(1, u64::from(shard.get())), amount(2, operation)].concat())
        }
        TransactionOperation::Pay { .. } => message(5, &amount(1, operation)),
    }
}

/// The canonical body of a transaction.
pub fn encode_transaction(transaction: &Transaction) -> Vec<u8> {
    let mut body = [
        number(1, 1),
        bytes(2, transaction.network.as_str().as_bytes()),
        bytes(3, transaction.account.as_bytes()),
        number(4, transaction.nonce.get()),
        number(5, transaction.expire_unix_secs),
        bytes(6, transaction.max_fee.to_string().as_bytes()),
    ]
    .concat();
    for step in &transaction.operations {
        body.extend(message(7, &transaction_operation(step)));
    }
    body
}
