//! Keys of what governance keeps in the state of every chain that has operators.

use super::joined;
use crate::Height;

const EVIDENCE: &[u8] = b"evid/";
const PLAN: &[u8] = b"plan/";
const VALIDATOR_ADDRESS_BYTES: usize = 20;

/// Validators, their operators, and the number of the last governance transaction.
#[must_use]
pub fn governance() -> Vec<u8> {
    b"gov".to_vec()
}

/// A change that waits for its height: that height, and the sequence number of its transaction.
#[must_use]
pub fn plan(at_height: Height, sequence: u64) -> Vec<u8> {
    joined(&[PLAN, &at_height.get().to_be_bytes(), &sequence.to_be_bytes()])
}

/// What the keys of all scheduled changes begin with.
#[must_use]
pub fn plan_prefix() -> Vec<u8> {
    PLAN.to_vec()
}

/// The height and the sequence number that such a key names.
#[must_use]
pub fn split_plan(key: &[u8]) -> Option<(Height, u64)> {
    let (height, sequence) = key.strip_prefix(PLAN)?.split_first_chunk()?;
    Some((Height::new(u64::from_be_bytes(*height)), u64::from_be_bytes(sequence.try_into().ok()?)))
}

/// What a validator was proven to have done, by its Tendermint address (the first 20 bytes of SHA-256 of its key).
#[must_use]
pub fn evidence(validator: &[u8; VALIDATOR_ADDRESS_BYTES]) -> Vec<u8> {
    joined(&[EVIDENCE, validator])
}

/// What the keys of all such evidence begin with.
#[must_use]
pub fn evidence_prefix() -> Vec<u8> {
    EVIDENCE.to_vec()
}

/// The validator's address that such a key names.
#[must_use]
pub fn split_evidence(key: &[u8]) -> Option<[u8; VALIDATOR_ADDRESS_BYTES]> {
    key.strip_prefix(EVIDENCE)?.try_into().ok()
}
