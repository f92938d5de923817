//! An account's bills on one shard, newest first, without a gap: each is numbered one below the one before and ends at the
//! sum at which that one began; what the shard's proven state says of the account fixes number and sum of the newest; the
//! first of all begins at nothing. Pure.

use db3_primitives::{Address, Bill, Tai};

/// See the module's text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BillRun {
    shard: u32,
    pub account: Address,
    /// How many bills there are, proven; more may have come since.
    pub count: u64,
    /// What they come to, proven.
    spent: Tai,
    /// Number of the oldest bill so far, and the sum before it.
    oldest: Option<(u64, Tai)>,
}

impl BillRun {
    pub fn new(shard: u32, account: Address, count: u64, spent: Tai) -> Self {
        Self { shard, account, count, spent, oldest: None }
    }

    /// Number of the oldest bill so far.
    pub fn oldest(&self) -> Option<u64> {
        self.oldest.map(|(seq, _)| seq)
    }

    /// Takes the next older bill.
    pub fn follow(&mut self, bill: &Bill) -> Result<(), String> {
        if bill.shard.get() != self.shard || bill.account != self.account {
            return Err(format!("bill {}/{}/{} is of another account or shard", bill.shard, bill.account, bill.seq));
        }
        if let Some((newer, before)) = self.oldest {
            if bill.seq.checked_add(1) != Some(newer) {
                return Err(format!("before bill {newer} of shard {} comes bill {}", self.shard, bill.seq));
            }
            if bill.cum_after != before {
                return Err(format!(
                    "bill {} of shard {} ends at {} tai, and the next begins at {before}",
                    bill.seq, self.shard, bill.cum_after
                ));
            }
        }
        let fits = match bill.seq.cmp(&self.count) {
            std::cmp::Ordering::Less => bill.cum_after <= self.spent,
            std::cmp::Ordering::Equal => bill.cum_after == self.spent,
            std::cmp::Ordering::Greater => bill.cum_after >= self.spent,
        };
        if !fits {
            return Err(format!(
                "bill {} of shard {} ends at {} tai, and the {} bills that there are come to {} (proven)",
                bill.seq, self.shard, bill.cum_after, self.count, self.spent
            ));
        }
        let before = bill.cum_after.checked_sub(bill.fee);
        match before {
            Some(before) if bill.seq > 0 && (bill.seq > 1 || before.is_zero()) => {
                self.oldest = Some((bill.seq, before));
                Ok(())
            }
            _ => Err(format!(
                "bill {} of shard {} costs {} tai and ends at {}: they do not add up",
                bill.seq, self.shard, bill.fee, bill.cum_after
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
    use db3_primitives::{BillKind, Height, Metered, Payee, ShardId};
    use proptest::prelude::*;

    use super::*;

    fn bills(fees: &[u128]) -> Vec<Bill> {
        let mut sum = 0;
        let bill = |(seq, fee): (u64, &u128)| {
            sum += fee;
            Bill {
                shard: ShardId::new(1),
                height: Height::new(seq),
                index: 0,
                account: Address::new([1; 20]),
                payee: Payee::ValidatorPool,
                kind: BillKind::Mutation,
                reference: [0; 32],
                outcome_code: 0,
                metered: Metered::default(),
                price_version: 1,
                fee: Tai::new(*fee),
                seq,
                cum_after: Tai::new(sum),
            }
        };
        (1..).zip(fees).map(bill).collect()
    }

    fn walk(count: u64, spent: u128, newest_first: &[Bill]) -> Result<BillRun, String> {
        let mut run = BillRun::new(1, Address::new([1; 20]), count, Tai::new(spent));
        newest_first.iter().try_for_each(|bill| run.follow(bill))?;
        Ok(run)
    }

    proptest! {
        #[test]
        fn all_bills_in_order_are_a_run_and_with_one_left_out_or_changed_they_are_not(
            fees in proptest::collection::vec(1u128..1_000, 2..20), newer in 0usize..3, at in any::<proptest::sample::Index>(), other in 1u128..9,
        ) {
            let all = bills(&fees);
            let proven = all.len().saturating_sub(newer).max(1);
            let (count, spent) = (proven as u64, all[proven - 1].cum_after.get());
            let mut listed: Vec<Bill> = all.iter().rev().cloned().collect();
            prop_assert_eq!(walk(count, spent, &listed).unwrap().oldest(), Some(1));
            let at = at.index(listed.len());
            let kept = listed.clone();
            listed[at].fee = Tai::new(listed[at].fee.get() + other);
            prop_assert!(walk(count, spent, &listed).is_err(), "a fee is changed");
            listed.clone_from(&kept);
            listed[at].cum_after = Tai::new(listed[at].cum_after.get() + other);
            // A newer bill than the proven ones may end anywhere, but then it does not begin where they end.
            prop_assert!(walk(count, spent, &listed).is_err(), "a sum is changed");
            listed.clone_from(&kept);
            listed[at].account = Address::new([2; 20]);
            prop_assert!(walk(count, spent, &listed).is_err(), "a stranger's bill");
            listed = kept;
            listed.remove(at);
            let run = walk(count, spent, &listed);
            // What is left out at either end is for the listing to notice, by the numbers.
            let ends = at == 0 || at == listed.len();
            prop_assert_eq!(run.is_ok(), ends);
        }
    }
}
