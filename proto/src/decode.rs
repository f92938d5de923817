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
//! Nothing here looks at a signature's value: that is [`SignedMutation::verify`].

use bytes::Bytes;
use db3_primitives::limits::{MUTATION_BYTES_MAX, OPERATIONS_PER_MUTATION_MAX};
use db3_primitives::{
    Address, Mutation, Namespace, NetworkName, Nonce, Operation, RecordKey, Rejection, Scheme, SignedEnvelope,
    SignedMutation, TableName, Tai, Write,
};
use prost::Message as _;

use crate::encode::{BODY_VERSION, envelope_bytes};
use crate::v1;
use crate::wire::{Field, Value, fields};

const BODY_VERSION_FIELD: u32 = 1;
const BODY_OPERATIONS_FIELD: u32 = 8;
/// Field numbers of `Operation.kind`.
const OPERATION_KINDS: [u32; 6] = [1, 2, 3, 4, 10, 11];

/// Decodes an encoded `SignedEnvelope`. The result's signature is not verified yet.
pub fn decode_mutation(envelope: &[u8]) -> Result<SignedMutation, Rejection> {
    check_size(envelope.len())?;
    // One copy; the fields of all messages in it are slices of that.
    let message =
        v1::SignedEnvelope::decode(Bytes::copy_from_slice(envelope)).map_err(|error| envelope_malformed(&error))?;
    // Bytes that no signature covers must not be able to vary, since they are charged for.
    if message.encode_to_vec() != envelope {
        return Err(Rejection::EnvelopeMalformed {
            detail: "it holds unknown fields or is not in its shortest encoding".to_owned(),
        });
    }
    decode_envelope(message)
}

/// The same for an envelope that came as part of a larger message.
pub fn decode_envelope(message: v1::SignedEnvelope) -> Result<SignedMutation, Rejection> {
    let encoded = message.encoded_len();
    check_size(encoded)?;
    let scheme = Scheme::from_number(message.scheme)?;
    let signature = message.signature.as_ref().try_into().map_err(|_| Rejection::SignatureMalformed {
        detail: format!("it has {} bytes, not 65", message.signature.len()),
    })?;
    let mutation = decode_shared_body(&message.body)?;
    let envelope = SignedEnvelope { body: message.body.into(), scheme, signature };
    let bytes = u32::try_from(encoded).unwrap_or(u32::MAX);
    Ok(SignedMutation::new(mutation, envelope, bytes))
}

/// Decodes the body of a mutation: exactly the bytes that [`encode_body`](crate::encode_body) gives for the result.
pub fn decode_body(body: &[u8]) -> Result<Mutation, Rejection> {
    check_size(envelope_bytes(body.len()))?;
    decode_shared_body(&Bytes::copy_from_slice(body))
}

fn decode_shared_body(body: &Bytes) -> Result<Mutation, Rejection> {
    scan_body(body)?;
    let message = v1::MutationBody::decode(body.clone()).map_err(|error| body_malformed(&error))?;
    if message.encode_to_vec() != *body {
        return Err(Rejection::BodyNotCanonical);
    }
    let mutation = mutation(message)?;
    mutation.validate()?;
    Ok(mutation)
}

fn check_size(bytes: usize) -> Result<(), Rejection> {
    if bytes > MUTATION_BYTES_MAX {
        return Err(Rejection::MutationTooLarge { bytes: bytes as u64, max: MUTATION_BYTES_MAX as u64 });
    }
    Ok(())
}

/// What generated code would drop in silence, or allocate without limit. The version goes first: another one may mean anything.
fn scan_body(body: &[u8]) -> Result<(), Rejection> {
    let mut version = 0;
    let mut operations = 0_usize;
    for field in fields(body) {
        match field.map_err(|error| body_malformed(&error))? {
            Field { number: BODY_VERSION_FIELD, value: Value::Varint(number) } => {
                version = u32::try_from(number).unwrap_or(u32::MAX);
            }
            Field { number: BODY_OPERATIONS_FIELD, .. } => operations = operations.saturating_add(1),
            Field { .. } => {}
        }
    }
    if version != BODY_VERSION {
        return Err(Rejection::BodyVersionUnknown { version });
    }
    if operations > OPERATIONS_PER_MUTATION_MAX {
        return Err(Rejection::TooManyOperations { count: operations as u64, max: OPERATIONS_PER_MUTATION_MAX as u64 });
    }
    let operations = fields(body).filter_map(Result::ok).filter(|field| field.number == BODY_OPERATIONS_FIELD);
    (0..).zip(operations).try_for_each(|(index, operation)| scan_operation(index, operation))
}

fn scan_operation(index: u32, operation: Field<'_>) -> Result<(), Rejection> {
    let Value::Bytes(operation) = operation.value else {
        return Err(body_malformed(&"an operation is not a message"));
    };
    let mut kinds = 0_u32;
    for field in fields(operation) {
        let field = field.map_err(|error| body_malformed(&error))?;
        if !OPERATION_KINDS.contains(&field.number) {
            return Err(Rejection::OperationUnknown { index });
        }
        kinds = kinds.saturating_add(1);
    }
    match kinds {
        0 => Err(Rejection::OperationUnknown { index }),
        1 => Ok(()),
        _ => Err(Rejection::BodyNotCanonical),
    }
}

fn mutation(message: v1::MutationBody) -> Result<Mutation, Rejection> {
    let network = NetworkName::try_from(message.network)?;
    let account = account(&message.account)?;
    let namespace = namespace(&message.namespace)?;
    let max_fee = message
        .max_fee_tai
        .parse::<Tai>()
        .map_err(|_| Rejection::FeeLimitInvalid { text: db3_primitives::quote::quoted(&message.max_fee_tai) })?;
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

fn account(bytes: &[u8]) -> Result<Address, Rejection> {
    Address::from_slice(bytes).map_err(|_| Rejection::AccountInvalid { text: format!("{} bytes", bytes.len()) })
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

fn envelope_malformed(detail: &impl ToString) -> Rejection {
    Rejection::EnvelopeMalformed { detail: detail.to_string() }
}

fn body_malformed(detail: &impl ToString) -> Rejection {
    Rejection::BodyMalformed { detail: detail.to_string() }
}
