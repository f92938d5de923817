//! Decisions of a chain's operators: the one encoding of a signed proposal, and of the consensus transaction that holds it.
//!
//! A transaction that is one: `Bundle { SignedGovernance governance = 3; }`, so 1a ‖ varint ‖ encoded `SignedGovernance`.
//! What the body says is encoded by hand, and `db3_governance` knows how.

use bytes::Bytes;
use db3_governance::{Proposal, Signature, SignedProposal};
use db3_primitives::limits::{GOVERNANCE_SIGNATURES_MAX, GOVERNANCE_TX_BYTES_MAX};
use db3_primitives::{Rejection, Scheme};
use prost::Message as _;

use crate::bundle::element_bytes;
use crate::v1;
use crate::wire::fields;

/// Tag of `Bundle.governance`: field 3, wire type 2.
pub(crate) const GOVERNANCE_TAG: u8 = 0x1a;
/// Field number of the signatures.
const SIGNATURES_FIELD: u32 = 2;

/// A signed proposal as a message, for a request.
#[must_use]
pub fn governance_message(signed: &SignedProposal) -> v1::SignedGovernance {
    let signature = |signature: &Signature| v1::GovernanceSignature {
        scheme: u32::try_from(signature.scheme.number()).unwrap_or_default(),
        signature: Bytes::copy_from_slice(&signature.bytes),
    };
    v1::SignedGovernance {
        body: signed.proposal.to_bytes().into(),
        signatures: signed.signatures.iter().map(signature).collect(),
    }
}

/// The consensus transaction that holds a signed proposal. The caller keeps it within the limits.
#[must_use]
pub fn encode_governance_tx(signed: &SignedProposal) -> Vec<u8> {
    let encoded = governance_message(signed).encode_to_vec();
    let mut tx = Vec::with_capacity(element_bytes(encoded.len()));
    tx.push(GOVERNANCE_TAG);
    prost::encoding::encode_varint(encoded.len() as u64, &mut tx);
    tx.extend_from_slice(&encoded);
    tx
}

/// Reads an encoded signed proposal, which has one encoding.
pub fn decode_governance(encoded: &[u8]) -> Result<SignedProposal, Rejection> {
    check_size(element_bytes(encoded.len()))?;
    let mut signatures = 0_usize;
    for field in fields(encoded) {
        if field.map_err(|error| malformed(error.to_string()))?.number == SIGNATURES_FIELD {
            signatures = signatures.saturating_add(1);
        }
    }
    check_signatures(signatures)?;
    let message =
        v1::SignedGovernance::decode(Bytes::copy_from_slice(encoded)).map_err(|error| malformed(error.to_string()))?;
    if message.encode_to_vec() != encoded {
        return Err(malformed("it holds unknown fields or is not in its shortest encoding"));
    }
    signed(&message)
}

/// Reads a signed proposal that came as part of a larger message.
pub fn decode_governance_message(message: &v1::SignedGovernance) -> Result<SignedProposal, Rejection> {
    check_size(element_bytes(message.encoded_len()))?;
    check_signatures(message.signatures.len())?;
    signed(message)
}

fn signed(message: &v1::SignedGovernance) -> Result<SignedProposal, Rejection> {
    let proposal = Proposal::from_bytes(&message.body)?;
    let signature = |signature: &v1::GovernanceSignature| {
        let scheme = Scheme::from_number(i32::try_from(signature.scheme).unwrap_or(i32::MAX))?;
        let bytes = signature.signature.as_ref().try_into();
        let bytes = bytes.map_err(|_| Rejection::SignatureMalformed {
            detail: format!("it has {} bytes, not 65", signature.signature.len()),
        })?;
        Ok(Signature { scheme, bytes })
    };
    Ok(SignedProposal { proposal, signatures: message.signatures.iter().map(signature).collect::<Result<_, _>>()? })
}

fn check_size(bytes: usize) -> Result<(), Rejection> {
    if bytes > GOVERNANCE_TX_BYTES_MAX {
        return Err(malformed(format!("it has {bytes} bytes, at most {GOVERNANCE_TX_BYTES_MAX} are allowed")));
    }
    Ok(())
}

fn check_signatures(count: usize) -> Result<(), Rejection> {
    if count > GOVERNANCE_SIGNATURES_MAX {
        return Err(malformed(format!("it has {count} signatures, at most {GOVERNANCE_SIGNATURES_MAX} are allowed")));
    }
    Ok(())
}

fn malformed(detail: impl Into<String>) -> Rejection {
    Rejection::GovernanceMalformed { detail: detail.into() }
}
