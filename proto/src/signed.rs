//! What all signed bodies share on the way from bytes: the envelope, and a body that has one encoding.

use bytes::Bytes;
use db3_primitives::quote::quoted;
use db3_primitives::{Address, Body, Rejection, Scheme, Signed, SignedEnvelope, Tai};
use prost::Message;

use crate::encode::BODY_VERSION;
use crate::v1;
use crate::wire::{Field, Value, fields};

const BODY_VERSION_FIELD: u32 = 1;

/// How one kind of body is read.
pub struct Rules {
    /// Longest encoded envelope.
    pub envelope_bytes_max: usize,
    /// Most operations.
    pub operations_max: usize,
    /// Field number of the operations in the body.
    pub operations_field: u32,
    /// Field numbers of the `kind` of an operation.
    pub operation_kinds: &'static [u32],
}

/// Reads an encoded envelope, which has one encoding: bytes that no signature covers must not be able to vary, since they are
/// charged for.
pub fn read_envelope(envelope: &[u8], rules: &Rules) -> Result<v1::SignedEnvelope, Rejection> {
    check_size(envelope.len(), rules)?;
    // One copy; the fields of all messages in it are slices of that.
    let message =
        v1::SignedEnvelope::decode(Bytes::copy_from_slice(envelope)).map_err(|error| envelope_malformed(&error))?;
    if message.encode_to_vec() != envelope {
        return Err(envelope_malformed(&"it holds unknown fields or is not in its shortest encoding"));
    }
    Ok(message)
}

/// From an envelope to what was signed; `decode_body` reads its body.
pub fn open_envelope<B: Body>(
    message: v1::SignedEnvelope,
    rules: &Rules,
    decode_body: impl Fn(&Bytes) -> Result<B, Rejection>,
) -> Result<Signed<B>, Rejection> {
    let encoded = message.encoded_len();
    check_size(encoded, rules)?;
    let scheme = Scheme::from_number(message.scheme)?;
    let signature = message.signature.as_ref().try_into().map_err(|_| Rejection::SignatureMalformed {
        detail: format!("it has {} bytes, not 65", message.signature.len()),
    })?;
    let content = decode_body(&message.body)?;
    let envelope = SignedEnvelope { body: message.body.into(), scheme, signature };
    Ok(Signed::new(content, envelope, u32::try_from(encoded).unwrap_or(u32::MAX)))
}

/// Refuses an envelope that is too long.
pub fn check_size(bytes: usize, rules: &Rules) -> Result<(), Rejection> {
    let max = rules.envelope_bytes_max;
    if bytes > max {
        return Err(Rejection::MutationTooLarge { bytes: bytes as u64, max: max as u64 });
    }
    Ok(())
}

/// Reads a body by its schema: exactly the bytes that encoding the result gives.
pub fn read_body<M: Message + Default>(body: &Bytes, rules: &Rules) -> Result<M, Rejection> {
    scan_body(body, rules)?;
    let message = M::decode(body.clone()).map_err(|error| body_malformed(&error))?;
    if message.encode_to_vec() != *body {
        return Err(Rejection::BodyNotCanonical);
    }
    Ok(message)
}

/// What generated code would drop in silence, or allocate without limit. The version goes first: another one may mean anything.
fn scan_body(body: &[u8], rules: &Rules) -> Result<(), Rejection> {
    let mut version = 0;
    let mut operations = 0_usize;
    for field in fields(body) {
        match field.map_err(|error| body_malformed(&error))? {
            Field { number: BODY_VERSION_FIELD, value: Value::Varint(number) } => {
                version = u32::try_from(number).unwrap_or(u32::MAX);
            }
            Field { number, .. } if number == rules.operations_field => operations = operations.saturating_add(1),
            Field { .. } => {}
        }
    }
    if version != BODY_VERSION {
        return Err(Rejection::BodyVersionUnknown { version });
    }
    if operations > rules.operations_max {
        return Err(Rejection::TooManyOperations { count: operations as u64, max: rules.operations_max as u64 });
    }
    let operations = fields(body).filter_map(Result::ok).filter(|field| field.number == rules.operations_field);
    (0..).zip(operations).try_for_each(|(index, operation)| scan_operation(index, operation, rules))
}

fn scan_operation(index: u32, operation: Field<'_>, rules: &Rules) -> Result<(), Rejection> {
    let Value::Bytes(operation) = operation.value else {
        return Err(body_malformed(&"an operation is not a message"));
    };
    let mut kinds = 0_u32;
    for field in fields(operation) {
        let field = field.map_err(|error| body_malformed(&error))?;
        if !rules.operation_kinds.contains(&field.number) {
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

/// An account in a body.
pub fn account(bytes: &[u8]) -> Result<Address, Rejection> {
    Address::from_slice(bytes).map_err(|_| Rejection::AccountInvalid { text: format!("{} bytes", bytes.len()) })
}

/// The fee limit of a body.
pub fn fee_limit(text: &str) -> Result<Tai, Rejection> {
    text.parse().map_err(|_| Rejection::FeeLimitInvalid { text: quoted(text) })
}

fn envelope_malformed(detail: &impl ToString) -> Rejection {
    Rejection::EnvelopeMalformed { detail: detail.to_string() }
}

fn body_malformed(detail: &impl ToString) -> Rejection {
    Rejection::BodyMalformed { detail: detail.to_string() }
}
