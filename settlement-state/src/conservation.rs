//! The check at the end of each block: what the leaves say and what the journal and the postings say is the same.
//!
//! It trusts nothing that execution added up on its way. For every purse, line, payee and account that the block
//! touched it takes the leaves before and after, and holds them against the journal's movements and the postings:
//! - **I5** every purse changed by what came in less what went out; every line's debited, paid and written-off sums grew
//!   by what the postings say; every payee's income is what the postings paid to it; each posting adds up; the supply is
//!   what it was;
//! - **I8** what an account holds above its limit did not grow, seizures and write-offs taken into account;
//! - **I9** on every line P + W ≤ D ≤ R ≤ H, and no sum fell.

use std::collections::BTreeMap;
use std::fmt;

use db3_primitives::leaf::settlement::FEE_POOL;
use db3_primitives::{Address, BalanceLeaf, LineLeaf, Posting, PostingKind, ShardId, Tai};

use crate::journal::Purse;
use crate::ledger::{Ledger, stored_lines};
use crate::objects::Balances;
use crate::sums;
use crate::table::stored;

/// A broken rule, and every term that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imbalance {
    rule: &'static str,
    terms: Vec<String>,
}

/// A purse: what it held, what the journal says, what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PurseTerm {
    before: u128,
    came: u128,
    went: u128,
    after: u128,
}

/// A line's sums, and what the postings add to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LineTerm {
    before: LineLeaf,
    after: LineLeaf,
    debited: u128,
    paid: u128,
    written_off: u128,
}

/// A payee's income, and what the postings pay to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PayeeTerm {
    before: u128,
    after: u128,
    paid: u128,
}

/// What an account holds above its limit (negative: what is free), and by how much seizures and write-offs move that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CreditTerm {
    before: i128,
    after: i128,
    involuntary: i128,
}

/// Everything that has to agree at the end of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Books {
    purses: BTreeMap<Purse, PurseTerm>,
    lines: BTreeMap<(Address, ShardId), LineTerm>,
    payees: BTreeMap<ShardId, PayeeTerm>,
    credits: BTreeMap<Address, CreditTerm>,
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

impl Books {
    fn of(ledger: &Ledger) -> Self {
        let mut books = Self::default();
        books.take_leaves(ledger);
        for movement in &ledger.journal {
            plus(&mut books.purses.entry(movement.from).or_default().went, movement.amount);
            plus(&mut books.purses.entry(movement.to).or_default().came, movement.amount);
            if movement.to == Purse::Fees {
                plus(&mut books.payees.entry(FEE_POOL).or_default().paid, movement.amount);
            }
        }
        for posting in ledger.logs.postings() {
            books.take_posting(posting);
        }
        books.take_credits(ledger);
        books
    }

    fn take_leaves(&mut self, ledger: &Ledger) {
        for (account, entry) in ledger.balances.entries() {
            let (before, after) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
            self.purse(Purse::Balance(account), before.balance, after.balance);
            self.purse(Purse::Collateral(account), before.collateral, after.collateral);
        }
        for (shard, entry) in ledger.shards.entries() {
            let (before, after) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
            self.purse(Purse::Pool(shard), before.pool, after.pool);
            self.payee(shard, before.income, after.income);
        }
        for ((), entry) in ledger.supply.entries() {
            let (before, after) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
            self.purse(Purse::Fees, before.fee_pool, after.fee_pool);
            self.payee(FEE_POOL, before.fee_income, after.fee_income);
            self.supply = (before.supply.get(), after.supply.get());
        }
        for (key, entry) in ledger.lines.entries() {
            let (before, after) = (entry.before.unwrap_or_default(), entry.now.unwrap_or_default());
            self.lines.insert(key, LineTerm { before, after, ..LineTerm::default() });
        }
    }

    /// One that did not change is no term, unless the journal names it: then nothing may have come of that.
    fn purse(&mut self, purse: Purse, before: Tai, after: Tai) {
        if before == after {
            return;
        }
        self.purses.insert(purse, PurseTerm { before: before.get(), after: after.get(), ..PurseTerm::default() });
    }

    fn payee(&mut self, payee: ShardId, before: Tai, after: Tai) {
        self.payees.insert(payee, PayeeTerm { before: before.get(), after: after.get(), paid: 0 });
    }

    fn take_posting(&mut self, posting: &Posting) {
        let (mut debit, mut covered) = (0, 0);
        for line in &posting.lines {
            plus(&mut debit, line.debit());
            plus(&mut covered, line.covered());
            if posting.kind == PostingKind::Payout {
                continue;
            }
            let term = self.lines.entry((posting.account, line.shard)).or_default();
            plus(&mut term.debited, line.debit());
            if posting.kind == PostingKind::WriteOff {
                plus(&mut term.written_off, line.covered());
            } else {
                plus(&mut term.paid, line.covered());
                plus(&mut self.payees.entry(line.shard).or_default().paid, line.covered());
            }
        }
        let sums = (posting.debit.get(), posting.paid.get().saturating_add(posting.written_off.get()));
        if sums != (debit, covered) {
            self.unsound.push(posting.clone());
        }
    }

    fn take_credits(&mut self, ledger: &Ledger) {
        for account in &ledger.credited {
            // Governance changes trust before anything else in a block: no step of the block did.
            let before = stored::<Balances>(&ledger.base, *account).unwrap_or_default();
            let before = BalanceLeaf { trust: trust_before(ledger, account, before.trust), ..before };
            let now = ledger.balance(*account).unwrap_or_default();
            let over = |leaf: &BalanceLeaf, held: Tai| {
                signed(held.get()).saturating_sub(signed(ledger.chain.limit(leaf.collateral, leaf.trust).get()))
            };
            let term = CreditTerm {
                before: over(&before, sums::held(&stored_lines(&ledger.base, account))),
                after: over(&now, sums::held(&ledger.lines_of(*account))),
                involuntary: 0,
            };
            self.credits.insert(*account, term);
        }
        for posting in ledger.logs.postings() {
            let Some(term) = self.credits.get_mut(&posting.account) else { continue };
            let covered = posting.paid.get().saturating_add(posting.written_off.get());
            let fall = match posting.kind {
                PostingKind::Round | PostingKind::Pay | PostingKind::Payout => continue,
                // ⌊f · C⌋ − ⌊f · (C − y)⌋ is at most ⌊f · y⌋ + 1.
                PostingKind::Seize => ledger.chain.limit(posting.paid, Tai::ZERO).get().saturating_add(1),
                PostingKind::WriteOff => {
                    let trust = stored::<Balances>(&ledger.base, posting.account).unwrap_or_default().trust;
                    trust_before(ledger, &posting.account, trust).get()
                }
            };
            term.involuntary = term.involuntary.saturating_add(signed(fall)).saturating_sub(signed(covered));
        }
    }

    fn check(&self) -> Result<(), Imbalance> {
        let broken = |rule| Err(Imbalance { rule, terms: self.terms() });
        if self.supply.0 != self.supply.1 {
            return broken("I5: the supply is constant");
        }
        if !self.purses.values().all(PurseTerm::balances) {
            return broken("I5: a purse changes by what comes in less what goes out");
        }
        if !self.unsound.is_empty() {
            return broken("I5: a posting is the sum of its lines");
        }
        if !self.lines.values().all(LineTerm::balances) {
            return broken("I5: debited, paid and written-off sums grow by the postings");
        }
        if !self.payees.values().all(|term| term.before.checked_add(term.paid) == Some(term.after)) {
            return broken("I5: a payee's income is what the postings paid to it");
        }
        if !self.lines.values().all(LineTerm::is_sound) {
            return broken("I9: P + W ≤ D ≤ R ≤ H, and no sum falls");
        }
        if !self.credits.values().all(CreditTerm::is_sound) {
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
            let LineTerm { before, after, debited, paid, written_off } = term;
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

impl PurseTerm {
    fn balances(&self) -> bool {
        self.before.checked_add(self.came).and_then(|sum| sum.checked_sub(self.went)) == Some(self.after)
    }
}

impl LineTerm {
    fn balances(&self) -> bool {
        let grows = |before: Tai, by: u128, after: Tai| before.get().checked_add(by) == Some(after.get());
        let Self { before, after, debited, paid, written_off } = self;
        grows(before.debited, *debited, after.debited)
            && grows(before.paid, *paid, after.paid)
            && grows(before.written_off, *written_off, after.written_off)
    }

    fn is_sound(&self) -> bool {
        self.after.is_ordered() && self.before.reported <= self.after.reported
    }
}

impl CreditTerm {
    /// Rounds come first in a block, so seizures and write-offs move what there was, and nothing after them goes above
    /// that or above the limit.
    fn is_sound(&self) -> bool {
        self.after <= self.before.saturating_add(self.involuntary).max(0)
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
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    const ACCOUNT: Address = Address::new([1; 20]);
    const SHARD: ShardId = ShardId::new(2);

    fn line(reported: u128, debited: u128, paid: u128) -> LineLeaf {
        let [reported, debited, paid] = [reported, debited, paid].map(Tai::new);
        LineLeaf { held: Tai::new(100), reported, debited, paid, ..LineLeaf::default() }
    }

    /// An account pays 5 of the 7 that are debited.
    fn balanced() -> Books {
        let mut books = Books { supply: (50, 50), ..Books::default() };
        let purse = |before, came, went, after| PurseTerm { before, came, went, after };
        books.purses.insert(Purse::Balance(ACCOUNT), purse(5, 0, 5, 0));
        books.purses.insert(Purse::Pool(SHARD), purse(1, 5, 0, 6));
        let term = LineTerm { before: line(7, 0, 0), after: line(7, 7, 5), debited: 7, paid: 5, written_off: 0 };
        books.lines.insert((ACCOUNT, SHARD), term);
        books.payees.insert(SHARD, PayeeTerm { before: 3, after: 8, paid: 5 });
        books.credits.insert(ACCOUNT, CreditTerm { before: -3, after: 0, involuntary: 0 });
        books
    }

    fn broken(change: impl FnOnce(&mut Books)) -> String {
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
        let text = broken(|books| books.purses.get_mut(&Purse::Pool(SHARD)).unwrap().after = 7);
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
        fn term(books: &mut Books) -> &mut LineTerm {
            books.lines.get_mut(&(ACCOUNT, SHARD)).unwrap()
        }
        assert!(broken(|books| books.supply.1 = 51).starts_with("I5: the supply"));
        assert!(broken(|books| term(books).paid = 4).starts_with("I5: debited"));
        assert!(broken(|books| term(books).written_off = 1).starts_with("I5: debited"));
        assert!(broken(|books| term(books).debited = 6).starts_with("I5: debited"));
        assert!(broken(|books| books.payees.get_mut(&SHARD).unwrap().paid = 6).starts_with("I5: a payee"));
        assert!(broken(|books| term(books).after.reported = Tai::new(6)).starts_with("I9"));
        assert!(broken(|books| term(books).after.held = Tai::new(6)).starts_with("I9"));
        assert!(broken(|books| term(books).before.reported = Tai::new(8)).starts_with("I9"));
        assert!(broken(|books| books.credits.get_mut(&ACCOUNT).unwrap().after = 1).starts_with("I8"));
    }

    #[test]
    fn an_excess_may_stay_and_may_grow_only_by_what_was_involuntary() {
        let sound = |before, after, involuntary| CreditTerm { before, after, involuntary }.is_sound();
        assert!(sound(5, 5, 0) && !sound(5, 6, 0));
        assert!(sound(5, 9, 4) && !sound(5, 10, 4));
        assert!(sound(-5, 0, 0) && !sound(-5, 1, 0));
        assert!(sound(-5, 0, 3) && !sound(-5, 1, 3));
    }
}
