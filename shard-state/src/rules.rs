//! The credit rule of DESIGN.md, point 8, that a shard keeps: after its lease it charges nobody. It stands apart so that
//! a test can put a broken one in its place and see that it is caught; the design's is [`Rules::DESIGN`], and nothing
//! but a test takes another.

use db3_primitives::Epoch;

/// The shard's credit rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Whether the shard may charge in the open epoch under its lease: open ≤ lease.
    pub(crate) may_charge: fn(Epoch, Epoch) -> bool,
}

impl Rules {
    /// The rules of the design.
    pub(crate) const DESIGN: Self = Self { may_charge: |open, lease| open <= lease };
}
