//! What stops the node: the state would be wrong, or already is.
//!
//! Nothing that comes from outside leads here. A transaction or an entry that is refused has a [`db3_primitives::Rejection`]; what
//! stands here is a broken rule (I4, I5, I8, I9) or a leaf that [`crate::SettlementState::from_tree`] would not have accepted.

use std::fmt::Display;

use db3_primitives::hash::hex_text;

/// Stops with the rule that is broken and what is known of it.
#[cold]
#[track_caller]
#[expect(clippy::panic, reason = "going on would sign a wrong state; see the module's text")]
pub(crate) fn fatal(rule: &str, detail: impl Display) -> ! {
    panic!("{rule}: {detail}")
}

/// Stops because a stored leaf does not decode.
#[cold]
#[track_caller]
pub(crate) fn damaged(key: &[u8]) -> ! {
    fatal("state", format_args!("the leaf at key {} does not decode", hex_text(key)))
}
