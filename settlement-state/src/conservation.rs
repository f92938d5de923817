//! The check at the end of each block: what the leaves say and what the journal and the postings say is the same.
//!
//! It trusts nothing that execution added up on its way. For every purse, line, payee and account that the block
//! touched it takes the leaves before (those of the version that the block began with) and after, and holds them against the
//! journal's movements and the postings. Leaves, journal and postings are written each by itself where something moves, so
//! what one of them has wrong is not in the others. All come nearly in order, so they are sorted and read beside each other:
//! - **I5** the purses that changed hold together what they held; every purse changed by what came in less what went out; each
//!   posting is the sum of its lines; every line's debited, paid and written-off sums went where the postings say, from where
//!   they stood; every payee's income is what the postings paid to it, and its payouts follow each other;
//! - **I8** what an account holds above its limit did not grow, seizures and write-offs taken into account (`excess`);
//! - **I9** on every line P + W ≤ D ≤ R ≤ H, and no sum fell.

use std::collections::BTreeMap;
use std::fmt;

use db3_primitives::leaf::settlement::FEE_POOL;
use db3_primitives::{Address, LineLeaf, Posting, PostingKind, ShardId, Tai};

use crate::excess;
use crate::journal::{Movement, Purse};
use crate::ledger::Ledger;
use crate::table::Entry;
use crate::terms::{CreditTerm, LineTerm, PayeeTerm, Posted, PurseTerm, Stretch, United, beside};

/// A broken rule, and every term that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imbalance {
    rule: &'static str,
    terms: Vec<String>,
}

/// A line's key.
pub(crate) type LineKey = (Address, ShardId);

/// Everything that has to agree at the end of a block. The lists are in order of their keys, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Books<'l> {
    purses: Vec<(Purse, PurseTerm)>,
    lines: Vec<(LineKey, LineTerm<'l>)>,
    payees: BTreeMap<ShardId, PayeeTerm>,
    credits: Vec<(Address, CreditTerm)>,
    /// Postings whose amounts are not the sums of their lines.
    unsound: Vec<Posting>,
    supply: (u128, u128),
}

/// Whether the block balances.
pub(crate) fn check(ledger: &Ledger) -> Result<(), Imbalance> {
    Books::of(ledger).check()
}

fn plus(sum: &mut u128, amount: Tai) {
    *sum = sum.saturating_add(amount.get());
}

impl<'l> Books<'l> {
    fn of(ledger: &'l Ledger) -> Self {
        let mut books = Self::default();
        books.take_purses(ledger);
        books.take_leaves(ledger);
        books.take_postings(ledger);
        books.credits = excess::terms(ledger, &books.lines);
        books
    }

    /// Every purse that changed or that the journal names: what it held, what came and went, what it holds. One that did not
    /// change has no leaves here, and then nothing may have come of what the journal says.
    fn take_purses(&mut self, ledger: &Ledger) {
        let purses = &mut self.purses;
        purses.reserve(ledger.balances.len());
        let mut add = |purse: Purse, before: Tai, after: Tai| {
            if before != after {
                let term = PurseTerm { before: before.get(), after: after.get(), ..PurseTerm::default() };
                purses.push((purse, term));
            }
        };
        for (account, entry) in ledger.balances.entries() {
            let (before, after) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
            add(Purse::Balance(account), before.balance, after.balance);
        }
        // Purses are ordered by kind, so that collaterals come after all balances.
        for (account, entry) in ledger.balances.entries() {
            let (before, after) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
            add(Purse::Collateral(account), before.collateral, after.collateral);
        }
        for (shard, entry) in ledger.shards.entries() {
            let (before, after) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
            add(Purse::Pool(shard), before.pool, after.pool);
        }
        for ((), entry) in ledger.supply.entries() {
            let (before, after) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
            add(Purse::Fees, before.fee_pool, after.fee_pool);
        }
        let sum = |sum: &mut u128, more: &u128| *sum = sum.saturating_add(*more);
        let (mut went, mut came) = (United::new(sum), United::new(sum));
        for Movement { from, to, amount } in &ledger.journal {
            went.add(*from, &amount.get());
            came.add(*to, &amount.get());
        }
        let (went, came) = (went.finish(), came.finish());
        beside(&mut self.purses, went, |term, amount| term.went = amount);
        beside(&mut self.purses, came, |term, amount| term.came = amount);
    }

    fn take_leaves(&mut self, ledger: &'l Ledger) {
        for (shard, entry) in ledger.shards.entries() {
            let (before, after) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
            self.payee(shard, (before.income, before.pool), (after.income, after.pool));
        }
        for ((), entry) in ledger.supply.entries() {
            let (before, after) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
            self.payee(FEE_POOL, (before.fee_income, before.fee_pool), (after.fee_income, after.fee_pool));
            self.supply = (before.supply.get(), after.supply.get());
        }
        for movement in ledger.journal.iter().filter(|movement| movement.to == Purse::Fees) {
            plus(&mut self.payees.entry(FEE_POOL).or_default().paid, movement.amount);
        }
        let leaves = |(key, entry): (LineKey, &'l Entry<LineLeaf>)| {
            let (before, after) = (entry.before.as_ref(), entry.now.as_ref());
            (key, LineTerm { before, after, posted: None })
        };
        self.lines.reserve(ledger.lines.len());
        self.lines.extend(ledger.lines.entries().map(leaves));
    }

    /// A payee's income and pool before and after.
    fn payee(&mut self, payee: ShardId, before: (Tai, Tai), after: (Tai, Tai)) {
        let paid_out = |(income, pool): (Tai, Tai)| income.get().saturating_sub(pool.get());
        let term = PayeeTerm {
            income: Stretch { from: before.0.get(), to: after.0.get() },
            paid_out: Stretch { from: paid_out(before), to: paid_out(after) },
            ..PayeeTerm::default()
        };
        self.payees.insert(payee, term);
    }

    /// What the postings say of lines, beside the lines' leaves.
    fn take_postings(&mut self, ledger: &Ledger) {
        let mut rows = United::new(Posted::go_on);
        for posting in ledger.logs.postings() {
            self.take_posting(posting, &mut rows);
        }
        let rows = rows.finish();
        beside(&mut self.lines, rows, |term, posted| term.posted = Some(posted));
    }

    fn take_posting(&mut self, posting: &Posting, rows: &mut United<LineKey, Posted>) {
        let (mut debit, mut paid, mut written_off) = (0, 0, 0);
        for line in &posting.lines {
            plus(&mut debit, line.debit());
            let mut posted = Posted {
                debited: Stretch { from: line.debited_from.get(), to: line.debited_to.get() },
                covered: Stretch { from: line.covered_from.get(), to: line.covered_to.get() },
                ..Posted::default()
            };
            match posting.kind {
                PostingKind::Payout => {
                    plus(&mut paid, line.covered());
                    self.payees.entry(line.shard).or_default().pay_out(line.covered_from, line.covered_to);
                    continue;
                }
                PostingKind::WriteOff => {
                    plus(&mut written_off, line.covered());
                    posted.written_off = line.covered().get();
                }
                PostingKind::Round | PostingKind::Pay | PostingKind::Seize => {
                    plus(&mut paid, line.covered());
                    plus(&mut self.payees.entry(line.shard).or_default().paid, line.covered());
                }
            }
            rows.add((posting.account, line.shard), &posted);
        }
        if [posting.debit, posting.paid, posting.written_off].map(Tai::get) != [debit, paid, written_off] {
            self.unsound.push(posting.clone());
        }
    }

    fn check(&self) -> Result<(), Imbalance> {
        let broken = |rule| Err(Imbalance { rule, terms: self.terms() });
        if !self.supply_is_constant() {
            return broken("I5: the supply is constant");
        }
        if !self.purses.iter().all(|(_, term)| term.balances()) {
            return broken("I5: a purse changes by what comes in less what goes out");
        }
        if !self.unsound.is_empty() {
            return broken("I5: a posting is the sum of its lines");
        }
        if !self.lines.iter().all(|(_, term)| term.balances()) {
            return broken("I5: debited, paid and written-off sums grow by the postings");
        }
        if !self.payees.values().all(PayeeTerm::earns) {
            return broken("I5: a payee's income is what the postings paid to it");
        }
        if !self.payees.values().all(PayeeTerm::pays_out) {
            return broken("I5: payouts follow each other, and are what left the pool");
        }
        if !self.lines.iter().all(|(_, term)| term.is_sound()) {
            return broken("I9: P + W ≤ D ≤ R ≤ H, and no sum falls");
        }
        if !self.credits.iter().all(|(_, term)| term.is_sound()) {
            return broken("I8: no voluntary step raises what is held above the limit");
        }
        Ok(())
    }

    /// Nothing but genesis makes money: the leaf of the supply stays, and so does what the purses hold that changed.
    fn supply_is_constant(&self) -> bool {
        let sum =
            |of: fn(&PurseTerm) -> u128| self.purses.iter().try_fold(0u128, |sum, (_, term)| sum.checked_add(of(term)));
        let (before, after) = (sum(|term| term.before), sum(|term| term.after));
        self.supply.0 == self.supply.1 && before.is_some() && before == after
    }

    fn terms(&self) -> Vec<String> {
        let mut terms = vec![format!("supply {} -> {}", self.supply.0, self.supply.1)];
        terms.extend(self.purses.iter().map(|(purse, term)| {
            format!("{purse}: {} + {} - {} -> {}", term.before, term.came, term.went, term.after)
        }));
        terms.extend(self.lines.iter().map(|((account, shard), term)| {
            let LineTerm { before, after, posted } = term;
            format!("line of {account} on shard {shard}: {posted:?}, {before:?} -> {after:?}")
        }));
        terms.extend(self.payees.iter().map(|(payee, term)| {
            let PayeeTerm { income, paid_out, paid, payouts, .. } = term;
            format!(
                "income of payee {payee}: {} + {paid} -> {}, paid out {} -> {}, by postings {payouts:?}",
                income.from, income.to, paid_out.from, paid_out.to
            )
        }));
        terms.extend(self.credits.iter().map(|(account, term)| {
            format!(
                "{account} held less limit: {} -> {}, of that involuntary at most {}",
                term.before, term.after, term.involuntary
            )
        }));
        terms.extend(self.unsound.iter().map(|posting| format!("unsound: {posting:?}")));
        terms
    }
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} terms", self.rule, self.terms.len())?;
        self.terms.iter().try_for_each(|term| writeln!(f, "  {term}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    const ACCOUNT: Address = Address::new([1; 20]);
    const SHARD: ShardId = ShardId::new(2);

    const fn line(reported: u128, debited: u128, paid: u128) -> LineLeaf {
        LineLeaf {
            want: Tai::ZERO,
            ceiling: Tai::ZERO,
            held: Tai::new(100),
            cut: None,
            reported: Tai::new(reported),
            debited: Tai::new(debited),
            paid: Tai::new(paid),
            written_off: Tai::ZERO,
        }
    }

    static BEFORE: LineLeaf = line(7, 0, 0);
    static AFTER: LineLeaf = line(7, 7, 5);

    const fn from(from: u128, to: u128) -> Stretch {
        Stretch { from, to }
    }

    /// An account pays 5 of the 7 that are debited, and the pool pays out the 1 that it had.
    fn balanced() -> Books<'static> {
        let mut books = Books { supply: (50, 50), ..Books::default() };
        let purse = |before, came, went, after| PurseTerm { before, came, went, after };
        books.purses.push((Purse::Balance(ACCOUNT), purse(5, 1, 5, 1)));
        books.purses.push((Purse::Pool(SHARD), purse(1, 5, 1, 5)));
        let posted = Some(Posted { debited: from(0, 7), covered: from(0, 5), ..Posted::default() });
        books.lines.push(((ACCOUNT, SHARD), LineTerm { before: Some(&BEFORE), after: Some(&AFTER), posted }));
        let mut payee = PayeeTerm { income: from(3, 8), paid_out: from(2, 3), paid: 5, ..PayeeTerm::default() };
        payee.pay_out(Tai::new(2), Tai::new(3));
        books.payees.insert(SHARD, payee);
        books.credits.push((ACCOUNT, CreditTerm { before: -3, after: 0, involuntary: 0 }));
        books
    }

    fn broken(change: impl FnOnce(&mut Books<'static>)) -> String {
        let mut books = balanced();
        change(&mut books);
        books.check().unwrap_err().to_string()
    }

    #[test]
    fn balanced_books_pass() {
        assert_eq!(balanced().check(), Ok(()));
    }

    #[test]
    fn a_failure_names_the_rule_and_lists_every_term() {
        let text = broken(|books| books.purses[1].1.went = 2);
        assert!(text.starts_with("I5: a purse changes by what comes in less what goes out: 6 terms"), "{text}");
        for term in [
            "supply 50 -> 50",
            "pool of shard 2: 1 + 5 - 2 -> 5",
            "balance of 0x0101010101010101010101010101010101010101: 5 + 1 - 5 -> 1",
            "line of 0x0101010101010101010101010101010101010101 on shard 2: Some(Posted",
            "income of payee 2: 3 + 5 -> 8, paid out 2 -> 3",
            "held less limit: -3 -> 0",
        ] {
            assert!(text.contains(term), "{term} is missing: {text}");
        }
    }

    #[test]
    fn every_single_wrong_figure_is_found() {
        static LESS_REPORTED: LineLeaf = line(6, 7, 5);
        static MORE_REPORTED: LineLeaf = line(8, 0, 0);
        static LESS_HELD: LineLeaf = LineLeaf { held: Tai::new(6), ..line(7, 7, 5) };
        fn term<'b>(books: &'b mut Books<'static>) -> &'b mut LineTerm<'static> {
            &mut books.lines[0].1
        }
        fn posted<'b>(books: &'b mut Books<'static>) -> &'b mut Posted {
            term(books).posted.as_mut().unwrap()
        }
        fn payee<'b>(books: &'b mut Books<'static>) -> &'b mut PayeeTerm {
            books.payees.get_mut(&SHARD).unwrap()
        }
        assert!(broken(|books| books.supply.1 = 51).starts_with("I5: the supply"));
        assert!(broken(|books| books.purses[0].1.after = 2).starts_with("I5: the supply"));
        assert!(broken(|books| posted(books).covered.to = 4).starts_with("I5: debited"));
        assert!(broken(|books| posted(books).covered = from(1, 6)).starts_with("I5: debited"));
        assert!(broken(|books| posted(books).written_off = 1).starts_with("I5: debited"));
        assert!(broken(|books| posted(books).debited.to = 6).starts_with("I5: debited"));
        assert!(broken(|books| posted(books).debited.from = 1).starts_with("I5: debited"));
        assert!(broken(|books| posted(books).torn = true).starts_with("I5: debited"));
        assert!(broken(|books| term(books).posted = None).starts_with("I5: debited"));
        assert!(broken(|books| term(books).after = None).starts_with("I5: debited"));
        assert!(broken(|books| payee(books).paid = 6).starts_with("I5: a payee"));
        assert!(broken(|books| payee(books).paid_out.to = 4).starts_with("I5: payouts"));
        assert!(broken(|books| payee(books).payouts = None).starts_with("I5: payouts"));
        assert!(broken(|books| payee(books).pay_out(Tai::new(1), Tai::new(3))).starts_with("I5: payouts"));
        assert!(broken(|books| term(books).after = Some(&LESS_REPORTED)).starts_with("I9"));
        assert!(broken(|books| term(books).after = Some(&LESS_HELD)).starts_with("I9"));
        assert!(broken(|books| term(books).before = Some(&MORE_REPORTED)).starts_with("I9"));
        assert!(broken(|books| books.credits[0].1.after = 1).starts_with("I8"));
    }
}
