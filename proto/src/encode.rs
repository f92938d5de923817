//! The one encoding of a mutation's body and of its envelope: what is signed, hashed and charged for.

use bytes::Bytes;
use db3_primitives::{Mutation, Operation, SignedEnvelope, Write};
use prost::Message as _;

use crate::v1;
use crate::wire::varint_bytes;

/// Version of `MutationBody` that this crate writes and reads.
pub const BODY_VERSION: u32 = 1;

/// Length of r ‖ s ‖ v.
pub const SIGNATURE_BYTES: usize = 65;

/// The canonical encoding of a mutation: the body that is signed.
#[must_use]
pub fn encode_body(mutation: &Mutation) -> Vec<u8> {
    body_message(mutation).encode_to_vec()
}

/// The canonical encoding of a signed envelope.
#[must_use]
pub fn encode_envelope(envelope: &SignedEnvelope) -> Vec<u8> {
    envelope_message(envelope).encode_to_vec()
}

/// A signed envelope as a message, for a request.
#[must_use]
pub fn envelope_message(envelope: &SignedEnvelope) -> v1::SignedEnvelope {
    v1::SignedEnvelope {
        body: Bytes::copy_from_slice(&envelope.body),
        scheme: envelope.scheme.number(),
        signature: Bytes::copy_from_slice(&envelope.signature),
    }
}

/// Length of an encoded envelope around a non-empty body of `body_bytes` bytes: what admission charges bytes for, whatever
/// the scheme.
#[must_use]
pub const fn envelope_bytes(body_bytes: usize) -> usize {
    const SCHEME_FIELD: usize = 2;
    const SIGNATURE_FIELD: usize = 2 + SIGNATURE_BYTES;
    (SCHEME_FIELD + SIGNATURE_FIELD + 1).saturating_add(varint_bytes(body_bytes as u64)).saturating_add(body_bytes)
}

/// A mutation as a message.
fn body_message(mutation: &Mutation) -> v1::MutationBody {
    v1::MutationBody {
        version: BODY_VERSION,
        network: mutation.network.as_str().to_owned(),
        account: Bytes::copy_from_slice(mutation.account.as_bytes()),
        namespace: mutation.namespace.as_str().to_owned(),
        nonce: mutation.nonce.get(),
        expire_unix_secs: mutation.expire_unix_secs,
        max_fee_tai: mutation.max_fee.to_string(),
        operations: mutation.operations.iter().map(operation_message).collect(),
    }
}

fn operation_message(operation: &Operation) -> v1::Operation {
    use v1::operation::Kind;
    let kind = match operation {
        Operation::Put(write) => Kind::Put(put_message(write)),
        Operation::Insert(write) => Kind::Insert(put_message(write)),
        Operation::Update(write) => Kind::Update(put_message(write)),
        Operation::Delete { table, key, if_version } => Kind::Delete(v1::DeleteRecord {
            table: table.as_str().to_owned(),
            key: Bytes::copy_from_slice(key.as_bytes()),
            if_version: *if_version,
        }),
        Operation::CreateNamespace => Kind::CreateNamespace(v1::CreateNamespace {}),
        Operation::CreateTable { table } => Kind::CreateTable(v1::CreateTable { table: table.as_str().to_owned() }),
    };
    v1::Operation { kind: Some(kind) }
}

fn put_message(write: &Write) -> v1::PutRecord {
    v1::PutRecord {
        table: write.table.as_str().to_owned(),
        key: Bytes::copy_from_slice(write.key.as_bytes()),
        value: Bytes::copy_from_slice(&write.value),
        if_version: write.if_version,
    }
}
