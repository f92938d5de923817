//! How far a sum has come: what settlement made of a bill or a statement, from the account's proven line alone.

use db3_primitives::{LineLeaf, Tai};
use db3_proto::v1::BillStatus;

/// What became of a stretch of an account's spending on a shard: from just above one cumulative sum up to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// How far it has come; never open, which is for the shard to say.
    pub status: BillStatus,
    /// How much of it is debited.
    pub debited: Tai,
    /// How much of it is paid or written off.
    pub covered: Tai,
    /// How much of it is debited and neither.
    pub outstanding: Tai,
}

impl Standing {
    /// Of what was spent above `from`, up to `to`.
    #[must_use]
    pub fn of(line: &LineLeaf, from: Tai, to: Tai) -> Self {
        let amount = to.saturating_sub(from);
        let within = |sum: Tai| sum.min(to).saturating_sub(from);
        let (debited, covered) = (within(line.debited), within(line.covered()));
        let status = if amount > Tai::ZERO && covered == amount || amount.is_zero() && line.covered() >= to {
            BillStatus::Paid
        } else if debited > Tai::ZERO {
            BillStatus::Outstanding
        } else {
            BillStatus::Closed
        };
        Self { status, debited, covered, outstanding: debited.saturating_sub(covered) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn line(debited: u128, paid: u128, written_off: u128) -> LineLeaf {
        let (debited, paid, written_off) = (Tai::new(debited), Tai::new(paid), Tai::new(written_off));
        LineLeaf { debited, paid, written_off, reported: debited, held: debited, ..LineLeaf::default() }
    }

    #[test]
    fn a_bill_is_closed_then_outstanding_then_paid() {
        let of = |line: LineLeaf| Standing::of(&line, Tai::new(100), Tai::new(150));
        assert_eq!(of(line(100, 100, 0)).status, BillStatus::Closed);
        assert_eq!(of(line(150, 100, 0)).status, BillStatus::Outstanding);
        let part = of(line(180, 90, 20));
        assert_eq!(
            (part.status, part.covered, part.outstanding),
            (BillStatus::Outstanding, Tai::new(10), Tai::new(40))
        );
        assert_eq!(of(line(180, 150, 0)).status, BillStatus::Paid);
        let free = Standing::of(&line(100, 100, 0), Tai::new(100), Tai::new(100));
        assert_eq!(free.status, BillStatus::Paid, "what cost nothing is paid with what came before it");
    }

    proptest! {
        #[test]
        fn stretches_add_up_to_the_line(cuts in proptest::collection::btree_set(1u128..1_000, 1..12), debited in 0u128..1_000, covered in 0u128..1_000) {
            let end = *cuts.last().unwrap();
            let debited = debited.min(end);
            let covered = covered.min(debited);
            let line = line(debited, covered, 0);
            let mut from = 0;
            let (mut sum_debited, mut sum_covered) = (0, 0);
            for to in cuts {
                let standing = Standing::of(&line, Tai::new(from), Tai::new(to));
                sum_debited += standing.debited.get();
                sum_covered += standing.covered.get();
                from = to;
            }
            prop_assert_eq!((sum_debited, sum_covered), (debited, covered));
        }
    }
}
