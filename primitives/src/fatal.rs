//! What stops the node: the state would be wrong, or already is.
//!
//! Nothing that comes from outside leads here. What is refused has a [`crate::Rejection`]; what stands here is a broken rule of
//! ARCHITECTURE.md, or a leaf that the reading of a restored tree would not have accepted.

use std::fmt::Display;

use crate::hash::hex_text;

/// Stops with the rule that is broken and what is known of it.
///
/// # Panics
/// Always: going on would sign a wrong state.
#[cold]
#[track_caller]
#[expect(clippy::panic, reason = "going on would sign a wrong state; see the module's text")]
pub fn fatal(rule: &str, detail: impl Display) -> ! {
    panic!("{rule}: {detail}")
}

/// Stops because the stored leaf at a key does not decode.
///
/// # Panics
/// Always.
#[cold]
#[track_caller]
pub fn damaged(key: &[u8]) -> ! {
    fatal("state", format_args!("the leaf at key {} does not decode", hex_text(key)))
}
