//! Keys of what a chain keeps about the chains that it hears from and speaks to.

use super::{joined, text};
use crate::ChainId;

const OUTBOX: &[u8] = b"outbox/";
const ACKNOWLEDGED: &[u8] = b"acked/";
const INBOX: &[u8] = b"inbox/";
const CLIENT: &[u8] = b"client/";
const PEER: &[u8] = b"peer/";

/// The outbox to a chain; its value is the frontier of its log.
#[must_use]
pub fn outbox(destination: &ChainId) -> Vec<u8> {
    joined(&[OUTBOX, destination.as_str().as_bytes()])
}

/// What the keys of all outboxes begin with.
#[must_use]
pub fn outbox_prefix() -> Vec<u8> {
    OUTBOX.to_vec()
}

/// The destination that an outbox key names.
#[must_use]
pub fn split_outbox(key: &[u8]) -> Option<ChainId> {
    chain_of(OUTBOX, key)
}

/// How much of the outbox to a chain that chain says it has applied, an [`crate::AcknowledgedLeaf`].
#[must_use]
pub fn acknowledged(destination: &ChainId) -> Vec<u8> {
    joined(&[ACKNOWLEDGED, destination.as_str().as_bytes()])
}

/// The destination that such a key names.
#[must_use]
pub fn split_acknowledged(key: &[u8]) -> Option<ChainId> {
    chain_of(ACKNOWLEDGED, key)
}

/// The inbox from a chain; its value is the frontier of what was applied of its log.
#[must_use]
pub fn inbox(source: &ChainId) -> Vec<u8> {
    joined(&[INBOX, source.as_str().as_bytes()])
}

/// What the keys of all inboxes begin with.
#[must_use]
pub fn inbox_prefix() -> Vec<u8> {
    INBOX.to_vec()
}

/// The source that an inbox key names.
#[must_use]
pub fn split_inbox(key: &[u8]) -> Option<ChainId> {
    chain_of(INBOX, key)
}

/// The light client of a chain.
#[must_use]
pub fn client(source: &ChainId) -> Vec<u8> {
    joined(&[CLIENT, source.as_str().as_bytes()])
}

/// What the keys of all light clients begin with.
#[must_use]
pub fn client_prefix() -> Vec<u8> {
    CLIENT.to_vec()
}

/// The chain that a light client's key names.
#[must_use]
pub fn split_client(key: &[u8]) -> Option<ChainId> {
    chain_of(CLIENT, key)
}

/// What genesis says about a chain that this one hears from: its trust root, and how it is verified.
#[must_use]
pub fn peer(source: &ChainId) -> Vec<u8> {
    joined(&[PEER, source.as_str().as_bytes()])
}

/// What the keys of all peers begin with.
#[must_use]
pub fn peer_prefix() -> Vec<u8> {
    PEER.to_vec()
}

/// The chain that a peer's key names.
#[must_use]
pub fn split_peer(key: &[u8]) -> Option<ChainId> {
    chain_of(PEER, key)
}

fn chain_of(prefix: &[u8], key: &[u8]) -> Option<ChainId> {
    ChainId::parse(text(key.strip_prefix(prefix)?)?).ok()
}
