//! Sums over the lines of one account, in DESIGN.md's letters. Ceilings are at most 2^96 and shards at most 1 024, so no
//! sum comes near 2^128.

use db3_primitives::{LineLeaf, ShardId, Tai};

fn total(lines: &[(ShardId, LineLeaf)], of: impl Fn(&LineLeaf) -> Tai) -> Tai {
    Tai::new(lines.iter().fold(0, |sum, (_, line)| sum.saturating_add(of(line).get())))
}

/// Σ (H − P − W): how much of the limit is bound.
pub(crate) fn held(lines: &[(ShardId, LineLeaf)]) -> Tai {
    total(lines, LineLeaf::bound)
}

/// Σ (D − P − W): what is debited and not paid.
pub(crate) fn outstanding(lines: &[(ShardId, LineLeaf)]) -> Tai {
    total(lines, LineLeaf::outstanding)
}

/// Σ (R − D): what the next round will debit.
pub(crate) fn unsettled(lines: &[(ShardId, LineLeaf)]) -> Tai {
    total(lines, LineLeaf::unsettled)
}

/// Σ (R − P − W): what is owed, debited or not.
pub(crate) fn owed(lines: &[(ShardId, LineLeaf)]) -> Tai {
    total(lines, |line| line.reported.saturating_sub(line.covered()))
}
