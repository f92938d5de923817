//! The bits of a key, and positions among them.
//!
//! Every byte of a key counts nine bits, a 1 and then the byte, most significant bit first; after the last byte comes a
//! 0. [`BitPos`] packs a position as `byte index << 4 | place in the byte (0..=8)`, so positions compare in order and
//! need no division. It must never hold a position beyond [`KEY_BYTES_MAX`] bytes, except [`BitPos::NONE`].

use std::cmp::min;

/// Longest key in bytes; the shortest is one byte.
pub const KEY_BYTES_MAX: usize = 512;

/// Most inner nodes between the root and a leaf: one for every bit in which keys can differ.
pub const PATH_STEPS_MAX: usize = 9 * KEY_BYTES_MAX;

const _: () = assert!(KEY_BYTES_MAX < (u16::MAX >> 4) as usize);

/// A position among the bits of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BitPos(u16);

impl BitPos {
    /// Above every position: where keys do not differ.
    pub(crate) const NONE: Self = Self(u16::MAX);
}

/// The bit of `key` at `pos`; 0 from the key's end on.
#[inline]
pub(crate) fn bit(key: &[u8], pos: BitPos) -> bool {
    let Some(&byte) = key.get(usize::from(pos.0 >> 4)) else {
        return false;
    };
    let nine_bits = 0x100 | u32::from(byte);
    nine_bits.wrapping_shr(8_u32.wrapping_sub(u32::from(pos.0 & 15))) & 1 == 1
}

/// Where two keys first differ; [`BitPos::NONE`] if they are equal.
///
/// The shorter key must have at most [`KEY_BYTES_MAX`] bytes.
pub(crate) fn first_difference(a: &[u8], b: &[u8]) -> BitPos {
    if a == b {
        return BitPos::NONE;
    }
    let differing = a.iter().zip(b).enumerate().find(|(_, (x, y))| x != y);
    let (byte, place) = match differing {
        Some((byte, (x, y))) => (byte, (x ^ y).leading_zeros().saturating_add(1)),
        None => (min(a.len(), b.len()), 0),
    };
    // A byte index above the maximum cannot occur; it would be `NONE` rather than a wrong position.
    u16::try_from(byte.saturating_mul(16).saturating_add(place as usize)).map_or(BitPos::NONE, BitPos)
}

/// The smallest key above all keys that begin with `prefix`; `None` if there is none, because `prefix` is empty or all
/// of its bytes are 0xff.
///
/// ```
/// assert_eq!(db3_state_tree::prefix_end(b"rec/"), Some(b"rec0".to_vec()));
/// ```
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_the_order_of_the_bits() {
        assert_eq!(first_difference(b"a", b"a"), BitPos::NONE);
        assert_eq!(first_difference(b"a", b"ab"), BitPos(1 << 4));
        assert_eq!(first_difference(b"a\x00", b"a\x80"), BitPos((1 << 4) | 1));
        assert_eq!(first_difference(b"a\x00", b"a\x01"), BitPos((1 << 4) | 8));
    }

    #[test]
    fn a_key_has_a_one_before_each_byte_and_a_zero_at_its_end() {
        let bits: Vec<bool> = (0..=8).map(|place| bit(b"\xa5", BitPos(place))).collect();
        assert_eq!(bits, [true, true, false, true, false, false, true, false, true]);
        assert!(!bit(b"\xa5", BitPos(1 << 4)));
    }

    #[test]
    fn a_prefix_of_high_bytes_has_no_end() {
        assert_eq!(prefix_end(b""), None);
        assert_eq!(prefix_end(b"\xff\xff"), None);
        assert_eq!(prefix_end(b"a\xff"), Some(b"b".to_vec()));
    }
}
