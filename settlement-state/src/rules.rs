//! The credit rules of DESIGN.md, point 8, in the few places where a slip would let an account spend the same credit
//! twice. They stand here together so that tests can put a broken one in the place of each and see that it is caught;
//! the design's are [`Rules::DESIGN`], and nothing but a test takes others.

use db3_primitives::{Cut, Epoch, LineLeaf, Tai};

/// The credit rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// What a line counts against the limit, as a cumulative sum: H.
    pub(crate) counted: fn(&LineLeaf) -> Tai,
    /// H after a raise to a ceiling: max(H, v).
    pub(crate) held_after_raise: fn(&LineLeaf, Tai) -> Tai,
    /// H after a cut was confirmed: max(R, K).
    pub(crate) held_after_cut: fn(&LineLeaf) -> Tai,
    /// Whether a shard that closed an epoch, with so many of our entries applied, knows of a cut, or can no longer
    /// charge by what it knew before: index < cursor, or the lease at that time ≤ the closed epoch.
    pub(crate) is_confirmed: fn(Cut, u64, Option<Epoch>) -> bool,
    /// The lease that a cut remembers: the one issued when the cut was.
    pub(crate) remembered_lease: fn(Epoch) -> Epoch,
    /// Whether a withdrawal leaves the limit at or above what the lines hold.
    pub(crate) may_withdraw: fn(Withdrawal) -> bool,
    /// How much of a seized payment comes back as credit: nothing.
    pub(crate) renewed_by_seizure: fn(Tai) -> Tai,
}

/// What a withdrawal would leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Withdrawal {
    /// Σ (H − P − W).
    pub(crate) held: Tai,
    /// Σ (R − P − W): what is owed already.
    #[cfg_attr(not(test), expect(dead_code, reason = "only a broken rule, in a test, looks at it"))]
    pub(crate) owed: Tai,
    /// The limit afterwards.
    pub(crate) limit: Tai,
}

impl Rules {
    /// The rules of the design.
    pub(crate) const DESIGN: Self = Self {
        counted: |line| line.held,
        held_after_raise: |line, ceiling| line.held.max(ceiling),
        held_after_cut: |line| line.reported.max(line.ceiling),
        is_confirmed: |cut, cursor, last| cut.index < cursor || last.is_some_and(|last| cut.lease <= last),
        remembered_lease: |issued| issued,
        may_withdraw: |after| after.held <= after.limit,
        renewed_by_seizure: |_| Tai::ZERO,
    };
}
