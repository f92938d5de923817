//! From bytes of a signed envelope to a mutation, or to the number of what is wrong with them.
//!
//! The checks form one ladder, in this order:
//! 1. the envelope: size, wire format, one encoding; scheme; length of the signature;
//! 2. the body, read without its schema: wire format, version, number of operations, kind of each;
//! 3. the body, read by its schema: wire format, one encoding (decode, encode, compare);
//! 4. each field: network, account, namespace, fee limit; of each operation table and key;
//! 5. the rules that need no state, [`Mutation::validate`].
//!
//! Limits: the envelope's size before anything is read, the number of operations before any is allocated. A body is three
//! messages deep; deeper ones do not exist in the schema, and generated code stops at 100.
//!
//! The first three rungs are those of every kind of body and stand in `signed`. Nothing here looks at a signature's value: that
//! is [`SignedMutation::verify`](db3_primitives::Signed::verify).

use bytes::Bytes;
use db3_primitives::limits::{MUTATION_BYTES_MAX, OPERATIONS_PER_MUTATION_MAX};
use db3_primitives::{
    Mutation, Namespace, NetworkName, Nonce, Operation, RecordKey, Rejection, SignedMutation, TableName, Write,
};

use crate::encode::envelope_bytes;
use crate::signed::{Rules, account, check_size, fee_limit, open_envelope, read_body, read_envelope};
use crate::v1;

/// What is decoded, and its limits.
const RULES: Rules = Rules {
    envelope_bytes_max: MUTATION_BYTES_MAX,
    operations_max: OPERATIONS_PER_MUTATION_MAX,
    operations_field: 8,
    operation_kinds: &[1, 2, 3, 4, 10, 11],
};

/// Decodes an encoded `SignedEnvelope`. The result's signature is not verified yet.
pub fn decode_mutation(envelope: &[u8]) -> Result<SignedMutation, Rejection> {
    decode_envelope(read_envelope(envelope, &RULES)?)
}

/// The same for an envelope that came as part of a larger message.
pub fn decode_envelope(message: v1::SignedEnvelope) -> Result<SignedMutation, Rejection> {
    open_envelope(message, &RULES, decode_shared_body)
}

/// Decodes the body of a mutation: exactly the bytes that [`encode_body`](crate::encode_body) gives for the result.
pub fn decode_body(body: &[u8]) -> Result<Mutation, Rejection> {
    check_size(envelope_bytes(body.len()), &RULES)?;
    decode_shared_body(&Bytes::copy_from_slice(body))
}

fn decode_shared_body(body: &Bytes) -> Result<Mutation, Rejection> {
    let mutation = mutation(read_body(body, &RULES)?)?;
    mutation.validate()?;
    Ok(mutation)
}

fn mutation(message: v1::MutationBody) -> Result<Mutation, Rejection> {
    let network = NetworkName::try_from(message.network)?;
    let account = account(&message.account)?;
    let namespace = namespace(&message.namespace)?;
    let max_fee = fee_limit(&message.max_fee_tai)?;
    let mut tables = Tables { last: None };
    let operations = (0..)
        .zip(message.operations)
        .map(|(index, message)| tables.operation(index, message))
        .collect::<Result<_, _>>()?;
    Ok(Mutation {
        network,
        account,
        namespace,
        nonce: Nonce::new(message.nonce),
        expire_unix_secs: message.expire_unix_secs,
        max_fee,
        operations,
    })
}

/// An account's own namespace is written in lower case in a body, though people may type it in any.
fn namespace(text: &str) -> Result<Namespace, Rejection> {
    let namespace = Namespace::try_from(text)?;
    if namespace.as_str() != text {
        return Err(Rejection::BodyNotCanonical);
    }
    Ok(namespace)
}

/// Reads operations. Most mutations name one table again and again, so its checked name is kept for the next operation.
struct Tables {
    last: Option<TableName>,
}

impl Tables {
    fn operation(&mut self, index: u32, message: v1::Operation) -> Result<Operation, Rejection> {
        use v1::operation::Kind;
        Ok(match message.kind {
            Some(Kind::Put(put)) => Operation::Put(self.write(index, put)?),
            Some(Kind::Insert(put)) => Operation::Insert(self.write(index, put)?),
            Some(Kind::Update(put)) => Operation::Update(self.write(index, put)?),
            Some(Kind::Delete(delete)) => Operation::Delete {
                table: self.table(index, &delete.table)?,
                key: key(index, delete.key)?,
                if_version: delete.if_version,
            },
            Some(Kind::CreateNamespace(v1::CreateNamespace {})) => Operation::CreateNamespace,
            Some(Kind::CreateTable(create)) => Operation::CreateTable { table: self.table(index, &create.table)? },
            None => return Err(Rejection::OperationUnknown { index }),
        })
    }

    fn write(&mut self, index: u32, put: v1::PutRecord) -> Result<Write, Rejection> {
        Ok(Write {
            table: self.table(index, &put.table)?,
            key: key(index, put.key)?,
            value: put.value.into(),
            if_version: put.if_version,
        })
    }

    fn table(&mut self, index: u32, name: &str) -> Result<TableName, Rejection> {
        if let Some(last) = self.last.as_ref().filter(|last| last.as_str() == name) {
            return Ok(last.clone());
        }
        let table = TableName::try_from(name).map_err(|rejection| rejection.at_operation(index))?;
        Ok(self.last.insert(table).clone())
    }
}

fn key(index: u32, bytes: Bytes) -> Result<RecordKey, Rejection> {
    RecordKey::new(bytes.into()).map_err(|rejection| rejection.at_operation(index))
}
