//! `db3.v1`, and the only crate that knows it: the generated messages and services, decoding of what comes from outside, and
//! conversions between messages and the words of `db3-primitives`.
//!
//! What is signed is canonical: [`decode_mutation`] and [`decode_transaction`] accept exactly one encoding of every body, so that a second encoding
//! can neither be charged for other bytes nor pass for a second mutation. Decoding is total: any bytes give a value or a numbered
//! [`Rejection`](db3_primitives::Rejection), within named limits of size, count and depth (see [`decode`]).
//!
//! The crate must never decide anything about state, and never do I/O: services are implemented and called elsewhere.

pub mod bundle;
pub mod convert;
pub mod decode;
pub mod delivery;
pub mod encode;
pub mod governance;
pub mod ics23;
mod signed;
pub mod status;
pub mod transaction;
mod wire;

/// Messages, clients and servers generated from `proto/db3/v1/*.proto`.
///
/// Fields of type `bytes` are [`bytes::Bytes`]: a message that was read holds on to the buffer that it was read from.
pub mod v1 {
    #![allow(clippy::all, clippy::pedantic, rustdoc::all, missing_docs, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/db3.v1.rs"));
}

pub use bundle::{decode_bundle, element_bytes, encode_bundle};
pub use decode::{decode_body, decode_envelope, decode_mutation};
pub use delivery::{
    BlockTx, TxKind, decode_delivery, decode_delivery_message, decode_tx, delivery_id, delivery_message,
    encode_delivery, encode_delivery_tx,
};
pub use encode::{encode_body, encode_envelope, envelope_bytes, envelope_message};
pub use governance::{decode_governance, decode_governance_message, encode_governance_tx, governance_message};
pub use transaction::{
    decode_transaction, decode_transaction_body, decode_transaction_envelope, encode_transaction_body,
};

/// Encoded `google.protobuf.FileDescriptorSet` of all files with their comments and imports, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/db3.v1.binpb"));
