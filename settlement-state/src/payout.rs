//! What was paid to a pool goes to its recipients, by power: floors, and what they leave over to the treasury.

use db3_primitives::leaf::settlement::FEE_POOL;
use db3_primitives::{Address, Epoch, PayoutLeaf, PostingKind, PostingLine, ShardId, Tai, key};

use crate::journal::Purse;
use crate::ledger::Ledger;
use crate::portion;
use crate::settle::{self, Amounts};
use db3_primitives::fatal::damaged;

/// Pays out a pool and tells how many postings that took. An empty pool is left alone.
pub(crate) fn pay_out(ledger: &mut Ledger, pool: ShardId, epoch: Epoch) -> u64 {
    let (purse, amount, income) = if pool == FEE_POOL {
        let leaf = ledger.supply();
        (Purse::Fees, leaf.fee_pool, leaf.fee_income)
    } else {
        let leaf = ledger.shard(pool);
        (Purse::Pool(pool), leaf.pool, leaf.income)
    };
    if amount.is_zero() {
        return 0;
    }
    let mut paid_to = income.saturating_sub(amount);
    let mut postings = 0u64;
    for (recipient, share) in division(amount, &recipients(ledger, pool), ledger.chain.treasury) {
        let from = paid_to;
        paid_to = Tai::new(from.get().saturating_add(share.get()));
        ledger.transfer(purse, Purse::Balance(recipient), share);
        let line = PostingLine {
            shard: pool,
            debited_from: Tai::ZERO,
            debited_to: Tai::ZERO,
            covered_from: from,
            covered_to: paid_to,
        };
        let amounts = Amounts { debit: Tai::ZERO, paid: share, written_off: Tai::ZERO };
        let mut open = ledger.open(recipient);
        settle::append(ledger, PostingKind::Payout, epoch, &mut open, amounts, vec![line]);
        ledger.close(open);
        postings = postings.saturating_add(1);
    }
    postings
}

/// Who shares a pool.
pub(crate) fn recipients(ledger: &Ledger, pool: ShardId) -> PayoutLeaf {
    let key = key::payout(pool);
    let governed = ledger.governed.get(&key).and_then(Option::as_deref);
    match governed.or_else(|| ledger.base.get(&key)) {
        Some(leaf) => PayoutLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key)),
        None => PayoutLeaf::default(),
    }
}

/// Every recipient's floor, in order of address, and the rest for the treasury; nobody gets nothing.
fn division(amount: Tai, recipients: &PayoutLeaf, treasury: Address) -> Vec<(Address, Tai)> {
    let recipients = recipients.recipients();
    let whole = recipients.iter().fold(0u128, |sum, (_, power)| sum.saturating_add(u128::from(*power)));
    let mut shares: Vec<(Address, Tai)> = recipients
        .iter()
        .map(|(recipient, power)| (*recipient, portion::portion(amount, u128::from(*power), whole)))
        .collect();
    let given = shares.iter().fold(0u128, |sum, (_, share)| sum.saturating_add(share.get()));
    shares.push((treasury, Tai::new(amount.get().saturating_sub(given))));
    shares.retain(|(_, share)| !share.is_zero());
    shares
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_pool_is_divided_by_power_and_the_treasury_gets_the_rest() {
        let [a, b, treasury] = [1, 2, 9].map(|byte| Address::new([byte; 20]));
        let recipients = PayoutLeaf::new(&[(a, 2), (b, 1)]).unwrap();
        let tai = Tai::new;
        assert_eq!(division(tai(100), &recipients, treasury), [(a, tai(66)), (b, tai(33)), (treasury, tai(1))]);
        assert_eq!(division(tai(3), &recipients, treasury), [(a, tai(2)), (b, tai(1))]);
        assert_eq!(division(tai(1), &recipients, treasury), [(treasury, tai(1))]);
        assert_eq!(division(tai(5), &PayoutLeaf::default(), treasury), [(treasury, tai(5))]);
    }
}
