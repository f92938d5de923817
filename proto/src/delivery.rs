//! Deliveries: their one encoding, and consensus transactions, each of which is a bundle of envelopes, one delivery, or one
//! decision of the chain's operators.
//!
//! A transaction that is a delivery: `Bundle { Delivery delivery = 2; }`, so 12 ‖ varint ‖ encoded `Delivery`.
//! Identifier of a delivery: SHA-256 of `"db3.v1.Delivery/id"` ‖ 0x00 ‖ encoded `Delivery`.
//!
//! Limits: the size before anything is read, the numbers of entries, headers and hashes before any is allocated. Whether a
//! delivery is true is for `db3_carry` to say.

use bytes::Bytes;
use db3_carry::{Delivery, HeaderUpdate};
use db3_governance::SignedProposal;
use db3_merkle_log::limits::RIGHT_HASHES_MAX;
use db3_primitives::limits::{DELIVERY_ENTRIES_MAX, DELIVERY_HEADERS_MAX, DELIVERY_TX_BYTES_MAX};
use db3_primitives::{ChainId, Identifier, Rejection, sha256};
use db3_state_tree::Proof;
use prost::Message as _;

use crate::bundle::{decode_bundle, element_bytes};
use crate::governance::{GOVERNANCE_TAG, decode_governance};
use crate::wire::{Field, Value, fields};
use crate::{ics23, v1};

/// What is hashed before an encoded delivery to give its identifier.
pub const DELIVERY_ID_TAG: &[u8] = b"db3.v1.Delivery/id\0";
/// Tag of `Bundle.delivery`: field 2, wire type 2.
const DELIVERY_TAG: u8 = 0x12;
const _: () = assert!(DELIVERY_ENTRIES_MAX == db3_merkle_log::limits::DELIVERY_ENTRIES_MAX);

/// What one consensus transaction holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockTx<'a> {
    /// Encoded envelopes.
    Bundle(Vec<&'a [u8]>),
    /// Entries of another chain's log.
    Delivery(Delivery),
    /// What operators decided.
    Governance(SignedProposal),
}

/// What a consensus transaction is, if it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxKind {
    /// A bundle of envelopes.
    Bundle,
    /// A delivery.
    Delivery,
    /// What operators decided.
    Governance,
}

impl TxKind {
    /// As the first byte says; nothing else is looked at.
    #[must_use]
    pub fn of(tx: &[u8]) -> Self {
        match tx.first() {
            Some(&DELIVERY_TAG) => Self::Delivery,
            Some(&GOVERNANCE_TAG) => Self::Governance,
            Some(_) | None => Self::Bundle,
        }
    }
}

/// Reads a consensus transaction of any kind; each has one encoding.
pub fn decode_tx(tx: &[u8]) -> Result<BlockTx<'_>, Rejection> {
    match TxKind::of(tx) {
        TxKind::Delivery => {
            check_size(tx.len())?;
            decode_delivery(only_part(tx).map_err(malformed)?).map(BlockTx::Delivery)
        }
        TxKind::Governance => {
            let refused = |detail: &str| Rejection::GovernanceMalformed { detail: detail.to_owned() };
            decode_governance(only_part(tx).map_err(refused)?).map(BlockTx::Governance)
        }
        TxKind::Bundle => decode_bundle(tx).map(BlockTx::Bundle),
    }
}

/// The one field that a transaction consists of, in its shortest encoding.
fn only_part(tx: &[u8]) -> Result<&[u8], &'static str> {
    let mut parts = fields(tx);
    let part = parts.next().and_then(Result::ok);
    match (part, parts.next()) {
        (Some(Field { value: Value::Bytes(part), .. }), None) if element_bytes(part.len()) == tx.len() => Ok(part),
        (Some(Field { value: Value::Bytes(_), .. }), None) => Err("the transaction is not in its shortest encoding"),
        _ => Err("the transaction holds more than one thing"),
    }
}

/// The consensus transaction that holds a delivery. The caller keeps it within the limits.
#[must_use]
pub fn encode_delivery_tx(delivery: &Delivery) -> Vec<u8> {
    let encoded = encode_delivery(delivery);
    let mut tx = Vec::with_capacity(element_bytes(encoded.len()));
    tx.push(DELIVERY_TAG);
    prost::encoding::encode_varint(encoded.len() as u64, &mut tx);
    tx.extend_from_slice(&encoded);
    tx
}

/// The canonical encoding of a delivery.
#[must_use]
pub fn encode_delivery(delivery: &Delivery) -> Vec<u8> {
    delivery_message(delivery).encode_to_vec()
}

/// The identifier of a delivery.
#[must_use]
pub fn delivery_id(delivery: &Delivery) -> Identifier {
    Identifier(sha256(&[DELIVERY_ID_TAG, &encode_delivery(delivery)]))
}

/// Reads an encoded delivery, which has one encoding.
pub fn decode_delivery(encoded: &[u8]) -> Result<Delivery, Rejection> {
    check_size(element_bytes(encoded.len()))?;
    scan(encoded)?;
    let message =
        v1::Delivery::decode(Bytes::copy_from_slice(encoded)).map_err(|error| malformed(error.to_string()))?;
    if message.encode_to_vec() != encoded {
        return Err(malformed("it holds unknown fields or is not in its shortest encoding"));
    }
    delivery(message)
}

/// Reads a delivery that came as part of a larger message.
pub fn decode_delivery_message(message: v1::Delivery) -> Result<Delivery, Rejection> {
    check_size(element_bytes(message.encoded_len()))?;
    delivery(message)
}

/// A delivery as a message, for a request.
#[must_use]
pub fn delivery_message(delivery: &Delivery) -> v1::Delivery {
    let header = |header: &HeaderUpdate| v1::HeaderUpdate {
        tendermint_light_block: Bytes::copy_from_slice(&header.light_block),
        trusted_next_validators: header
            .trusted_next_validators
            .as_deref()
            .map_or_else(Bytes::new, Bytes::copy_from_slice),
    };
    v1::Delivery {
        source: delivery.source.as_str().to_owned(),
        start_index: delivery.log.start,
        entries: delivery.log.entries.iter().map(|entry| Bytes::copy_from_slice(entry)).collect(),
        size: delivery.log.size,
        right_hashes: delivery.log.right.iter().map(|hash| Bytes::copy_from_slice(hash)).collect(),
        headers: delivery.headers.iter().map(header).collect(),
        proof_height: delivery.proof_height,
        outbox_leaf: Bytes::copy_from_slice(&delivery.outbox_leaf),
        outbox_ics23_proof: delivery
            .proof
            .as_ref()
            .map_or_else(Bytes::new, |proof| ics23::to_bytes(&Proof::Exists(proof.clone())).into()),
    }
}

/// The numbers of entries, hashes and headers, before generated code makes room for them.
fn scan(encoded: &[u8]) -> Result<(), Rejection> {
    let (mut entries, mut hashes, mut headers) = (0_usize, 0_usize, 0_usize);
    for field in fields(encoded) {
        let counter = match field.map_err(|error| malformed(error.to_string()))?.number {
            3 => &mut entries,
            5 => &mut hashes,
            6 => &mut headers,
            _ => continue,
        };
        *counter = counter.saturating_add(1);
    }
    check_counts(entries, hashes, headers)
}

fn check_counts(entries: usize, hashes: usize, headers: usize) -> Result<(), Rejection> {
    for (what, count, max) in [
        ("entries", entries, DELIVERY_ENTRIES_MAX),
        ("right_hashes", hashes, RIGHT_HASHES_MAX),
        ("headers", headers, DELIVERY_HEADERS_MAX),
    ] {
        if count > max {
            return Err(malformed(format!("it has {count} {what}, at most {max} are allowed")));
        }
    }
    Ok(())
}

fn delivery(message: v1::Delivery) -> Result<Delivery, Rejection> {
    check_counts(message.entries.len(), message.right_hashes.len(), message.headers.len())?;
    let source = ChainId::parse(&message.source).map_err(|error| malformed(error.to_string()))?;
    if message.entries.is_empty() {
        check_headers_alone(&message)?;
    } else if message.proof_height == 0 || message.outbox_leaf.is_empty() || message.outbox_ics23_proof.is_empty() {
        return Err(malformed("it has entries, and not all of proof_height, outbox_leaf and outbox_ics23_proof"));
    }
    let right = message.right_hashes.iter().map(|hash| hash.as_ref().try_into()).collect::<Result<_, _>>();
    Ok(Delivery {
        source,
        headers: message.headers.into_iter().map(header).collect(),
        proof_height: message.proof_height,
        outbox_leaf: message.outbox_leaf.into(),
        proof: Some(message.outbox_ics23_proof)
            .filter(|proof| !proof.is_empty())
            .map(|proof| existence(&proof))
            .transpose()?,
        log: db3_merkle_log::Delivery {
            start: message.start_index,
            entries: message.entries.into_iter().map(Vec::from).collect(),
            size: message.size,
            right: right.map_err(|_| malformed("one of right_hashes has not 32 bytes"))?,
        },
    })
}

fn check_headers_alone(message: &v1::Delivery) -> Result<(), Rejection> {
    if message.headers.is_empty() {
        return Err(malformed("it has neither entries nor headers"));
    }
    let alone =
        v1::Delivery { source: message.source.clone(), headers: message.headers.clone(), ..v1::Delivery::default() };
    if alone == *message { Ok(()) } else { Err(malformed("it has no entries, and sets more than source and headers")) }
}

fn header(message: v1::HeaderUpdate) -> HeaderUpdate {
    HeaderUpdate {
        light_block: message.tendermint_light_block.into(),
        trusted_next_validators: Some(Vec::from(message.trusted_next_validators)).filter(|set| !set.is_empty()),
    }
}

fn existence(proof: &[u8]) -> Result<db3_state_tree::ExistenceProof, Rejection> {
    match ics23::from_bytes(proof) {
        Ok(Proof::Exists(proof)) => Ok(proof),
        Ok(Proof::Absent(_)) => Err(malformed("outbox_ics23_proof proves an absence")),
        Err(error) => Err(malformed(format!("outbox_ics23_proof: {error}"))),
    }
}

fn check_size(bytes: usize) -> Result<(), Rejection> {
    if bytes > DELIVERY_TX_BYTES_MAX {
        return Err(malformed(format!("it has {bytes} bytes, at most {DELIVERY_TX_BYTES_MAX} are allowed")));
    }
    Ok(())
}

fn malformed(detail: impl Into<String>) -> Rejection {
    Rejection::DeliveryMalformed { detail: detail.into() }
}
