//! One consensus transaction: many encoded envelopes, `Bundle { repeated bytes mutations = 1; }`.
//!
//! A bundle has one encoding as well. What stands in it is only cut apart here; each element goes through
//! [`decode_mutation`](crate::decode_mutation).

use db3_primitives::Rejection;
use db3_primitives::limits::{BUNDLE_BYTES_MAX, BUNDLE_MUTATIONS_MAX, MUTATION_BYTES_MAX};

use crate::wire::{Field, Value, fields, varint_bytes};

/// Tag of `Bundle.mutations`: field 1, wire type 2.
const MUTATION_TAG: u8 = 0x0a;

/// Encodes a bundle of encoded envelopes. The caller keeps it within the limits.
#[must_use]
pub fn encode_bundle<E: AsRef<[u8]>>(envelopes: impl IntoIterator<Item = E>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for envelope in envelopes {
        let envelope = envelope.as_ref();
        bytes.reserve(element_bytes(envelope.len()));
        bytes.push(MUTATION_TAG);
        prost::encoding::encode_varint(envelope.len() as u64, &mut bytes);
        bytes.extend_from_slice(envelope);
    }
    bytes
}

/// Length that an encoded envelope of `envelope_bytes` bytes adds to a bundle.
#[must_use]
pub const fn element_bytes(envelope_bytes: usize) -> usize {
    envelope_bytes.saturating_add(varint_bytes(envelope_bytes as u64)).saturating_add(1)
}

/// Cuts a bundle into its encoded envelopes: at least one, within the limits of size and number, and in the one encoding.
pub fn decode_bundle(bytes: &[u8]) -> Result<Vec<&[u8]>, Rejection> {
    if bytes.len() > BUNDLE_BYTES_MAX {
        return Err(malformed(format!("the bundle has {} bytes, at most {BUNDLE_BYTES_MAX} are allowed", bytes.len())));
    }
    let mut envelopes = Vec::new();
    let mut canonical_bytes = 0_usize;
    for field in fields(bytes) {
        let field = field.map_err(|error| malformed(format!("the bundle: {error}")))?;
        let envelope = element(field)?;
        if envelopes.len() >= BUNDLE_MUTATIONS_MAX {
            return Err(malformed(format!("the bundle holds more than {BUNDLE_MUTATIONS_MAX} mutations")));
        }
        canonical_bytes = canonical_bytes.saturating_add(element_bytes(envelope.len()));
        envelopes.push(envelope);
    }
    if envelopes.is_empty() {
        return Err(malformed("the bundle holds no mutation".to_owned()));
    }
    // Tags and lengths can only be written longer, never shorter or in another order.
    if canonical_bytes != bytes.len() {
        return Err(malformed("the bundle is not in its shortest encoding".to_owned()));
    }
    Ok(envelopes)
}

fn element(field: Field<'_>) -> Result<&[u8], Rejection> {
    match field {
        Field { number: 1, value: Value::Bytes(envelope) } if envelope.len() <= MUTATION_BYTES_MAX => Ok(envelope),
        Field { number: 1, value: Value::Bytes(envelope) } => {
            Err(Rejection::MutationTooLarge { bytes: envelope.len() as u64, max: MUTATION_BYTES_MAX as u64 })
        }
        Field { number, .. } => Err(malformed(format!("the bundle has an unknown field {number}"))),
    }
}

fn malformed(detail: String) -> Rejection {
    Rejection::EnvelopeMalformed { detail }
}
