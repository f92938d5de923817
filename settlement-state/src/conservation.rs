//! The check at the end of each block: what the leaves say and what the journal and the postings say is the same.
//!
//! It trusts nothing that execution added up on its way. For every purse, line, payee and account that the block
//! touched it takes the leaves before and after, and holds them against the journal's movements and the postings. Both come
//! nearly in order, so they are sorted and read beside each other:
//! - **I5** every purse changed by what came in less what went out; every line's debited, paid and written-off sums grew
//!   by what the postings say; every payee's income is what the postings paid to it; each posting adds up; the supply is
//!   what it was;
//! - **I8** what an account holds above its limit did not grow, seizures and write-offs taken into account;
//! - **I9** on every line P + W ≤ D ≤ R ≤ H, and no sum fell.

use std::collections::BTreeMap;
use std::fmt;

use db3_primitives::leaf::settlement::FEE_POOL;
use db3_primitives::{Address, BalanceLeaf, LineLeaf, Posting, PostingKind, ShardId, Tai};

use crate::journal::{Movement, Purse};
use crate::ledger::Ledger;
use crate::objects::Balances;
use crate::reads::Reads;
use crate::sums;
use crate::table::{Entry, stored, stored_near};
use crate::terms::{CreditTerm, LineTerm, PayeeTerm, Posted, PurseTerm, United, beside};

/// A broken rule, and every term that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imbalance {
    rule: &'static str,
    terms: Vec<String>,
}

/// A line's key.
type LineKey = (Address, ShardId);

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
        books.take_credits(ledger);
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
            self.payee(shard, before.income, after.income);
        }
        for ((), entry) in ledger.supply.entries() {
            let (before, after) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
            self.payee(FEE_POOL, before.fee_income, after.fee_income);
            self.supply = (before.supply.get(), after.supply.get());
        }
        for movement in ledger.journal.iter().filter(|movement| movement.to == Purse::Fees) {
            plus(&mut self.payees.entry(FEE_POOL).or_default().paid, movement.amount);
        }
        let leaves = |(key, entry): (LineKey, &'l Entry<LineLeaf>)| {
            let (before, after) = (entry.before.as_ref(), entry.now.as_ref());
            (key, LineTerm { before, after, posted: Posted::default() })
        };
        self.lines.reserve(ledger.lines.len());
        self.lines.extend(ledger.lines.entries().map(leaves));
    }

    fn payee(&mut self, payee: ShardId, before: Tai, after: Tai) {
        self.payees.insert(payee, PayeeTerm { before: before.get(), after: after.get(), paid: 0 });
    }

    /// What the postings say of lines, beside the lines' leaves.
    fn take_postings(&mut self, ledger: &Ledger) {
        let mut rows = United::new(|sum: &mut Posted, more: &Posted| {
            sum.debited = sum.debited.saturating_add(more.debited);
            sum.paid = sum.paid.saturating_add(more.paid);
            sum.written_off = sum.written_off.saturating_add(more.written_off);
        });
        for posting in ledger.logs.postings() {
            self.take_posting(posting, &mut rows);
        }
        let rows = rows.finish();
        beside(&mut self.lines, rows, |term, posted| term.posted = posted);
    }

    fn take_posting(&mut self, posting: &Posting, rows: &mut United<LineKey, Posted>) {
        let (mut debit, mut covered) = (0, 0);
        for line in &posting.lines {
            plus(&mut debit, line.debit());
            plus(&mut covered, line.covered());
            let (debited, amount) = (line.debit().get(), line.covered().get());
            let posted = match posting.kind {
                PostingKind::Payout => continue,
                PostingKind::WriteOff => Posted { debited, paid: 0, written_off: amount },
                PostingKind::Round | PostingKind::Pay | PostingKind::Seize => {
                    plus(&mut self.payees.entry(line.shard).or_default().paid, line.covered());
                    Posted { debited, paid: amount, written_off: 0 }
                }
            };
            rows.add((posting.account, line.shard), &posted);
        }
        let sums = (posting.debit.get(), posting.paid.get().saturating_add(posting.written_off.get()));
        if sums != (debit, covered) {
            self.unsound.push(posting.clone());
        }
    }

    fn take_credits(&mut self, ledger: &Ledger) {
        let mut reads = Reads::of(&ledger.base);
        for (account, ()) in ledger.credited.iter() {
            // Governance changes trust before anything else in a block: no step of the block did.
            let before = stored_near::<Balances>(&mut reads.balances, account).unwrap_or_default();
            let before = BalanceLeaf { trust: trust_before(ledger, &account, before.trust), ..before };
            let now = ledger.balances.get_near(&mut reads.balances, account).unwrap_or_default();
            let over = |leaf: &BalanceLeaf, held: Tai| {
                signed(held.get()).saturating_sub(signed(ledger.chain.limit(leaf.collateral, leaf.trust).get()))
            };
            let stored = reads.lines_of(&account);
            let held = sums::held(&stored);
            let term = CreditTerm {
                before: over(&before, held),
                after: over(&now, sums::held(&ledger.written_over(account, stored))),
                involuntary: 0,
            };
            self.credits.push((account, term));
        }
        for posting in ledger.logs.postings() {
            let fall = match posting.kind {
                PostingKind::Round | PostingKind::Pay | PostingKind::Payout => continue,
                // ⌊f · C⌋ − ⌊f · (C − y)⌋ is at most ⌊f · y⌋ + 1.
                PostingKind::Seize => ledger.chain.limit(posting.paid, Tai::ZERO).get().saturating_add(1),
                PostingKind::WriteOff => {
                    let trust = stored::<Balances>(&ledger.base, posting.account).unwrap_or_default().trust;
                    trust_before(ledger, &posting.account, trust).get()
                }
            };
            let place = self.credits.binary_search_by_key(&posting.account, |(account, _)| *account);
            let Some((_, term)) = place.ok().and_then(|at| self.credits.get_mut(at)) else { continue };
            let covered = posting.paid.get().saturating_add(posting.written_off.get());
            term.involuntary = term.involuntary.saturating_add(signed(fall)).saturating_sub(signed(covered));
        }
    }

    fn check(&self) -> Result<(), Imbalance> {
        let broken = |rule| Err(Imbalance { rule, terms: self.terms() });
        if self.supply.0 != self.supply.1 {
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
        if !self.payees.values().all(|term| term.before.checked_add(term.paid) == Some(term.after)) {
            return broken("I5: a payee's income is what the postings paid to it");
        }
        if !self.lines.iter().all(|(_, term)| term.is_sound()) {
            return broken("I9: P + W ≤ D ≤ R ≤ H, and no sum falls");
        }
        if !self.credits.iter().all(|(_, term)| term.is_sound()) {
            return broken("I8: no voluntary step raises what is held above the limit");
        }
        Ok(())
    }

    fn terms(&self) -> Vec<String> {
        let mut terms = vec![format!("supply {} -> {}", self.supply.0, self.supply.1)];
        terms.extend(self.purses.iter().map(|(purse, term)| {
            format!("{purse}: {} + {} - {} -> {}", term.before, term.came, term.went, term.after)
        }));
        terms.extend(self.lines.iter().map(|((account, shard), term)| {
            let LineTerm { before, after, posted: Posted { debited, paid, written_off } } = term;
            format!(
                "line of {account} on shard {shard}: debited + {debited}, paid + {paid}, written off + {written_off}, \
                 {before:?} -> {after:?}"
            )
        }));
        terms.extend(self.payees.iter().map(|(payee, term)| {
            format!("income of payee {payee}: {} + {} -> {}", term.before, term.paid, term.after)
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

/// An account's trust after governance and before everything else in the block.
fn trust_before(ledger: &Ledger, account: &Address, stored: Tai) -> Tai {
    ledger.trusted.get(account).copied().unwrap_or(stored)
}

fn signed(amount: u128) -> i128 {
    i128::try_from(amount).unwrap_or(i128::MAX)
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

    /// An account pays 5 of the 7 that are debited.
    fn balanced() -> Books<'static> {
        let mut books = Books { supply: (50, 50), ..Books::default() };
        let purse = |before, came, went, after| PurseTerm { before, came, went, after };
        books.purses.push((Purse::Balance(ACCOUNT), purse(5, 0, 5, 0)));
        books.purses.push((Purse::Pool(SHARD), purse(1, 5, 0, 6)));
        let posted = Posted { debited: 7, paid: 5, written_off: 0 };
        books.lines.push(((ACCOUNT, SHARD), LineTerm { before: Some(&BEFORE), after: Some(&AFTER), posted }));
        books.payees.insert(SHARD, PayeeTerm { before: 3, after: 8, paid: 5 });
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
        let text = broken(|books| books.purses[1].1.after = 7);
        assert!(text.starts_with("I5: a purse changes by what comes in less what goes out: 6 terms"), "{text}");
        for term in [
            "supply 50 -> 50",
            "pool of shard 2: 1 + 5 - 0 -> 7",
            "balance of 0x0101010101010101010101010101010101010101: 5 + 0 - 5 -> 0",
            "line of 0x0101010101010101010101010101010101010101 on shard 2: debited + 7, paid + 5",
            "income of payee 2: 3 + 5 -> 8",
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
        assert!(broken(|books| books.supply.1 = 51).starts_with("I5: the supply"));
        assert!(broken(|books| term(books).posted.paid = 4).starts_with("I5: debited"));
        assert!(broken(|books| term(books).posted.written_off = 1).starts_with("I5: debited"));
        assert!(broken(|books| term(books).posted.debited = 6).starts_with("I5: debited"));
        assert!(broken(|books| term(books).after = None).starts_with("I5: debited"));
        assert!(broken(|books| books.payees.get_mut(&SHARD).unwrap().paid = 6).starts_with("I5: a payee"));
        assert!(broken(|books| term(books).after = Some(&LESS_REPORTED)).starts_with("I9"));
        assert!(broken(|books| term(books).after = Some(&LESS_HELD)).starts_with("I9"));
        assert!(broken(|books| term(books).before = Some(&MORE_REPORTED)).starts_with("I9"));
        assert!(broken(|books| books.credits[0].1.after = 1).starts_with("I8"));
    }
}
