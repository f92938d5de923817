//! The three hashes of the tree, as ICS-23's `tendermint` spec has them. It must never offer another.
//!
//! Inner nodes and short leaves are most of the work, so they go to the compression function directly: 65 bytes are always
//! two blocks, and what fits four is padded in one place.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The root of the empty tree: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// SHA-256's initial state (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const LEAF_TAG: u8 = 0x00;
const INNER_TAG: u8 = 0x01;
/// Length of an inner node's preimage in bits, as it stands at the end of the padding.
const INNER_BITS: u16 = 65 * 8;

/// The hash of a value, as it stands in its leaf's preimage.
#[must_use]
pub fn value_hash(value: &[u8]) -> Hash {
    digest(&[value])
}

/// The hash of a leaf from its key and the hash of its value.
pub(crate) fn leaf_hash(key: &[u8], value_hash: &Hash) -> Hash {
    let low = u8::try_from(key.len() & 0x7f).unwrap_or_default();
    match u8::try_from(key.len() >> 7) {
        Ok(0) => digest(&[&[LEAF_TAG, low], key, &[32], value_hash]),
        // Keys have at most 512 bytes, so a varint of two bytes reaches.
        Ok(high) => digest(&[&[LEAF_TAG, low | 0x80, high], key, &[32], value_hash]),
        Err(_) => digest(&[&[LEAF_TAG, 0xff, 0xff], key, &[32], value_hash]),
    }
}

/// Bytes of a short message with its padding: four blocks.
const SHORT_BYTES: usize = 256;

/// SHA-256 of the parts, one after the other.
fn digest(parts: &[&[u8]]) -> Hash {
    short_digest(parts).unwrap_or_else(|| {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().into()
    })
}

/// The same where the message with its padding fits [`SHORT_BYTES`]: a 1 bit, zeros, and the length in bits as the last
/// eight bytes of a block (FIPS 180-4, 5.1.1).
fn short_digest(parts: &[&[u8]]) -> Option<Hash> {
    let mut message = [0; SHORT_BYTES];
    let mut used = 0_usize;
    for part in parts {
        let end = used.checked_add(part.len())?;
        message.get_mut(used..end)?.copy_from_slice(part);
        used = end;
    }
    let padded = used.checked_add(9)?.next_multiple_of(64);
    *message.get_mut(used)? = 0x80;
    let bits = u64::try_from(used).ok()?.checked_mul(8)?;
    message.get_mut(padded.checked_sub(8)?..padded)?.copy_from_slice(&bits.to_be_bytes());
    let mut state = INITIAL;
    compress256(&mut state, message.get(..padded)?.as_chunks().0);
    Some(bytes_of(state))
}

fn bytes_of(state: [u32; 8]) -> Hash {
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

/// The hash of an inner node from its children's.
pub(crate) fn inner_hash(left: &Hash, right: &Hash) -> Hash {
    InnerMessage::new(left, right).hash()
}

/// What is hashed for an inner node, padded as SHA-256 wants it.
///
/// Made apart from the hash, because the processor hashes faster when the bytes were not written just before.
pub(crate) struct InnerMessage([u8; 128]);

impl InnerMessage {
    pub(crate) fn new(left: &Hash, right: &Hash) -> Self {
        let mut message = [0; 128];
        message[0] = INNER_TAG;
        message[1..33].copy_from_slice(left);
        message[33..65].copy_from_slice(right);
        message[65] = 0x80;
        message[126..128].copy_from_slice(&INNER_BITS.to_be_bytes());
        Self(message)
    }

    pub(crate) fn hash(&self) -> Hash {
        let mut state = INITIAL;
        compress256(&mut state, self.0.as_chunks().0);
        bytes_of(state)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    #[test]
    fn an_inner_hash_is_that_of_its_65_bytes() {
        let (left, right) = (value_hash(b"left"), value_hash(b"right"));
        let preimage = [&[1_u8][..], &left, &right].concat();
        assert_eq!(inner_hash(&left, &right), value_hash(&preimage));
    }

    #[test]
    fn a_message_of_any_length_has_its_sha_256() {
        let message: Vec<u8> = (0..=255).cycle().take(600).collect();
        for len in 0..message.len() {
            let (left, right) = message[..len].split_at(len / 3);
            assert_eq!(digest(&[left, right]), Hash::from(Sha256::digest(&message[..len])), "{len} bytes");
        }
    }

    #[test]
    fn a_leaf_hash_has_the_length_of_its_key_as_a_varint() {
        for (len, varint) in [(1, &[1_u8][..]), (127, &[127]), (128, &[0x80, 1]), (512, &[0x80, 4])] {
            let key = vec![7; len];
            let preimage = [&[0][..], varint, &key, &[32], &value_hash(b"v")].concat();
            assert_eq!(leaf_hash(&key, &value_hash(b"v")), value_hash(&preimage));
        }
    }

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(value_hash(b""), EMPTY_ROOT);
    }
}
