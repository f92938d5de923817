//! The check at the end of each block: what the bills say and what the accounts say is the same, account by account
//! and in sum (rules I1 and I2).
//!
//! It trusts nothing that execution added up on its way: it adds up the bills again and holds them against the
//! accounts before and after.

use std::collections::BTreeMap;
use std::fmt;

use db3_primitives::{AccountLeaf, Address, Bill, Tai};

/// What one account's sums did in a block, and what its bills say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) account: Address,
    pub(crate) spent_before: Tai,
    pub(crate) spent_after: Tai,
    pub(crate) count_before: u64,
    pub(crate) count_after: u64,
    /// What the newest delivered line says.
    pub(crate) ceiling_before: Tai,
    pub(crate) ceiling: Tai,
    /// Sum of the account's bills in this block; none if it does not fit.
    pub(crate) billed: Option<Tai>,
    pub(crate) bills: u64,
}

/// Everything that has to agree at the end of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) terms: Vec<Term>,
    /// Mutations that were applied or failed in this block.
    pub(crate) executed: u64,
    /// Bills of this block.
    pub(crate) bills: u64,
    /// Growth of the epoch's log of bills in this block.
    pub(crate) logged: u64,
    /// Growth of the epoch's sum in this block.
    pub(crate) added: Option<Tai>,
}

/// Books that do not balance; the text lists every term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imbalance<'a> {
    rule: &'static str,
    books: &'a Books,
}

impl Books {
    /// From the accounts before and after the block, and its bills.
    pub(crate) fn of<'a>(
        accounts: impl Iterator<Item = (&'a Address, &'a AccountLeaf, &'a AccountLeaf)>,
        bills: &[Bill],
        executed: u64,
        logged: u64,
        added: Option<Tai>,
    ) -> Self {
        let mut sums: BTreeMap<Address, (Option<Tai>, u64)> = BTreeMap::new();
        for bill in bills {
            let (billed, count) = sums.entry(bill.account).or_insert((Some(Tai::ZERO), 0));
            *billed = billed.and_then(|sum| sum.checked_add(bill.fee));
            *count = count.saturating_add(1);
        }
        let mut terms: Vec<Term> = accounts
            .map(|(account, before, after)| {
                let (billed, bills) = sums.remove(account).unwrap_or((Some(Tai::ZERO), 0));
                Term {
                    account: *account,
                    spent_before: before.spent,
                    spent_after: after.spent,
                    count_before: before.bill_count,
                    count_after: after.bill_count,
                    ceiling_before: before.ceiling,
                    ceiling: after.ceiling,
                    billed,
                    bills,
                }
            })
            .collect();
        // A bill to an account whose sums did not move is a term as well, and unbalances.
        terms.extend(sums.into_iter().map(|(account, (billed, bills))| Term {
            account,
            spent_before: Tai::ZERO,
            spent_after: Tai::ZERO,
            count_before: 0,
            count_after: 0,
            ceiling_before: Tai::ZERO,
            ceiling: Tai::ZERO,
            billed,
            bills,
        }));
        let bills = u64::try_from(bills.len()).unwrap_or(u64::MAX);
        Self { terms, executed, bills, logged, added }
    }

    /// Whether all of it agrees.
    pub(crate) fn check(&self) -> Result<(), Imbalance<'_>> {
        let broken = |rule| Err(Imbalance { rule, books: self });
        if self.bills != self.executed || self.logged != self.executed {
            return broken("I1: every executed mutation writes exactly one bill");
        }
        for term in &self.terms {
            if term.spent_before.checked_add(term.billed.unwrap_or(Tai::MAX)) != Some(term.spent_after)
                || term.count_before.checked_add(term.bills) != Some(term.count_after)
            {
                return broken("I2: new bills are the change of the sums");
            }
            if term.ceiling_before != term.ceiling {
                return broken("I8: only a delivered line moves a ceiling");
            }
            if term.bills > 0 && term.spent_after > term.ceiling {
                return broken("I2: no charge passes the ceiling");
            }
        }
        let total = self.terms.iter().try_fold(Tai::ZERO, |sum, term| sum.checked_add(term.billed?));
        if total.is_none() || total != self.added {
            return broken("I2: the epoch's sum grows by the new bills");
        }
        Ok(())
    }
}

impl fmt::Display for Imbalance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Books { terms, executed, bills, logged, added } = self.books;
        writeln!(
            f,
            "{}: executed {executed}, bills {bills}, logged {logged}, epoch's sum + {} tai, {} accounts:",
            self.rule,
            sum(*added),
            terms.len()
        )?;
        for term in terms {
            writeln!(
                f,
                "  {}: spent {} -> {} of {} (was {}) tai, {} bills of {} tai, count {} -> {}",
                term.account,
                term.spent_before,
                term.spent_after,
                term.ceiling,
                term.ceiling_before,
                term.bills,
                sum(term.billed),
                term.count_before,
                term.count_after
            )?;
        }
        Ok(())
    }
}

fn sum(amount: Option<Tai>) -> String {
    amount.map_or_else(|| "more than 2^128".to_owned(), |tai| tai.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    fn term(number: u8) -> Term {
        Term {
            account: Address::new([number; 20]),
            spent_before: Tai::new(10),
            spent_after: Tai::new(17),
            count_before: 1,
            count_after: 3,
            ceiling_before: Tai::new(17),
            ceiling: Tai::new(17),
            billed: Some(Tai::new(7)),
            bills: 2,
        }
    }

    fn balanced() -> Books {
        Books { terms: vec![term(1), term(2)], executed: 4, bills: 4, logged: 4, added: Some(Tai::new(14)) }
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
        let text = broken(|books| books.terms[1].spent_after = Tai::new(16));
        assert!(text.starts_with("I2: new bills are the change of the sums: executed 4, bills 4, logged 4"), "{text}");
        for number in [1, 2] {
            assert!(text.contains(&Address::new([number; 20]).to_string()), "{text}");
        }
        assert!(text.contains("spent 10 -> 16 of 17 (was 17) tai, 2 bills of 7 tai, count 1 -> 3"), "{text}");
    }

    #[test]
    fn every_single_wrong_figure_is_found() {
        assert!(broken(|books| books.executed = 5).starts_with("I1"));
        assert!(broken(|books| books.bills = 3).starts_with("I1"));
        assert!(broken(|books| books.logged = 3).starts_with("I1"));
        assert!(broken(|books| books.terms[0].count_after = 2).starts_with("I2"));
        assert!(broken(|books| books.terms[0].spent_before = Tai::new(9)).starts_with("I2"));
        assert!(broken(|books| books.terms[0].billed = None).starts_with("I2"));
        assert!(broken(|books| books.terms[0].ceiling = Tai::new(18)).starts_with("I8: only a delivered line"));
        let passed = broken(|books| {
            (books.terms[0].ceiling_before, books.terms[0].ceiling) = (Tai::new(16), Tai::new(16));
        });
        assert!(passed.starts_with("I2: no charge"), "{passed}");
        assert!(broken(|books| books.added = Some(Tai::new(13))).starts_with("I2: the epoch's"));
        assert!(broken(|books| books.added = None).starts_with("I2: the epoch's"));
        assert!(broken(|books| books.terms.truncate(1)).starts_with("I2: the epoch's"));
    }
}
