//! The window of used nonces of one account on one namespace: replay protection that needs no order.
//!
//! Every nonce ≤ `base` is used. Of the 4 096 nonces above it any may be used, each once, in any order; what is further
//! is refused. `base` moves up over the run of used ones, so a well-behaved window is eight bytes.
//!
//! Encoding: base (8, big endian) ‖ bitmap (0–512). Bit `i` of the bitmap, the bit of value `1 << (i % 8)` of byte
//! `i / 8`, stands for nonce `base + 1 + i`. The bitmap has no trailing zero byte, and its bit 0 is clear (else base
//! would be higher): one window has one encoding.

use crate::decode::{DecodeError, Reader};
use crate::limits::{NONCE_BITMAP_BYTES_MAX, NONCE_WINDOW};
use crate::{Nonce, Rejection};

/// The used nonces of one account on one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NonceWindow {
    base: u64,
    /// Trimmed of trailing zero bytes; bit 0 of byte 0 is clear.
    bitmap: Vec<u8>,
}

impl NonceWindow {
    /// A window in which nothing is used.
    #[must_use]
    pub const fn new() -> Self {
        Self { base: 0, bitmap: Vec::new() }
    }

    /// Every nonce up to this one is used.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.base
    }

    /// Which nonces above the base are used; see the module.
    #[must_use]
    pub fn bitmap(&self) -> &[u8] {
        &self.bitmap
    }

    /// Whether a nonce is used.
    #[must_use]
    pub fn is_used(&self, nonce: Nonce) -> bool {
        match self.place(nonce) {
            Some((byte, mask)) => self.bitmap.get(byte).is_some_and(|bits| bits & mask != 0),
            None => nonce.get() <= self.base,
        }
    }

    /// Whether a nonce may be used now: not 0, not used, and not beyond the window.
    pub fn check(&self, nonce: Nonce) -> Result<(), Rejection> {
        if nonce.get() == 0 {
            return Err(Rejection::NonceZero);
        }
        if nonce > self.highest_allowed() {
            return Err(Rejection::NonceTooFar { nonce, highest: self.highest_allowed() });
        }
        if self.is_used(nonce) {
            return Err(Rejection::NonceUsed { nonce, next: self.next() });
        }
        Ok(())
    }

    /// Uses a nonce, or changes nothing and says why not.
    pub fn use_nonce(&mut self, nonce: Nonce) -> Result<(), Rejection> {
        self.check(nonce)?;
        if let Some((byte, mask)) = self.place(nonce) {
            if byte >= self.bitmap.len() {
                self.bitmap.resize(byte.saturating_add(1), 0);
            }
            if let Some(bits) = self.bitmap.get_mut(byte) {
                *bits |= mask;
            }
        }
        self.advance();
        Ok(())
    }

    /// The highest nonce that is used; 0 if none is.
    #[must_use]
    pub fn highest(&self) -> Nonce {
        let top = self.bitmap.len().checked_sub(1).and_then(|last| {
            let bits = self.bitmap.get(last)?.checked_ilog2()?;
            u64::try_from(last).ok()?.checked_mul(8)?.checked_add(u64::from(bits))?.checked_add(1)
        });
        Nonce::new(self.base.saturating_add(top.unwrap_or(0)))
    }

    /// The highest nonce that may be used now.
    #[must_use]
    pub const fn highest_allowed(&self) -> Nonce {
        Nonce::new(self.base.saturating_add(NONCE_WINDOW))
    }

    /// The lowest nonce that is not used.
    #[must_use]
    pub const fn next(&self) -> Nonce {
        Nonce::new(self.base.saturating_add(1))
    }

    /// The encoding, 8 to 520 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.base.to_be_bytes().as_slice(), &self.bitmap].concat()
    }

    /// Reads the encoding; anything but the one encoding of a window is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("nonce window", bytes);
        let base = reader.u64()?;
        let invalid = reader.invalid("bitmap");
        let window = Self { base, bitmap: reader.rest().to_vec() };
        let canonical = window.bitmap.len() <= NONCE_BITMAP_BYTES_MAX
            && window.bitmap.first().is_none_or(|bits| bits & 1 == 0)
            && window.bitmap.last().is_none_or(|bits| *bits != 0)
            && (window.bitmap.is_empty() || window.highest().get() < u64::MAX);
        if canonical { Ok(window) } else { Err(invalid) }
    }

    /// The byte and the mask of a nonce's bit, if it lies above the base and within the window.
    fn place(&self, nonce: Nonce) -> Option<(usize, u8)> {
        let index = nonce.get().checked_sub(self.base)?.checked_sub(1)?;
        if index >= NONCE_WINDOW {
            return None;
        }
        let byte = usize::try_from(index.div_euclid(8)).ok()?;
        Some((byte, 1u8.checked_shl(u32::try_from(index.rem_euclid(8)).ok()?)?))
    }

    /// Moves the base over the run of used nonces and shifts the bitmap to match.
    fn advance(&mut self) {
        let whole = self.bitmap.iter().take_while(|bits| **bits == u8::MAX).count();
        self.bitmap.drain(..whole);
        let rest = self.bitmap.first().map_or(0, |bits| bits.trailing_ones());
        if rest > 0 {
            let mut carry = 0;
            for bits in self.bitmap.iter_mut().rev() {
                let shifted = u16::from_be_bytes([carry, *bits]).wrapping_shr(rest);
                carry = *bits;
                *bits = shifted.to_be_bytes()[1];
            }
        }
        while self.bitmap.last() == Some(&0) {
            self.bitmap.pop();
        }
        let run = u64::try_from(whole).unwrap_or(0).saturating_mul(8).saturating_add(u64::from(rest));
        self.base = self.base.saturating_add(run);
    }
}
