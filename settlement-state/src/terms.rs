//! What has to agree at the end of a block, one purse, line, payee or account at a time, and the sorted lists in which they
//! stand beside each other.

use db3_primitives::{LineLeaf, Tai};

/// A purse: what it held, what the journal says, what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PurseTerm {
    pub(crate) before: u128,
    pub(crate) came: u128,
    pub(crate) went: u128,
    pub(crate) after: u128,
}

/// A line's leaves before and after, and what the postings say of its sums; none where no posting has it. A leaf that is not
/// there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineTerm<'l> {
    pub(crate) before: Option<&'l LineLeaf>,
    pub(crate) after: Option<&'l LineLeaf>,
    pub(crate) posted: Option<Posted>,
}

/// From where to where sums went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from: u128,
    pub(crate) to: u128,
}

/// What postings say of one line, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Posted {
    pub(crate) debited: Stretch,
    /// Paid and written off.
    pub(crate) covered: Stretch,
    pub(crate) written_off: u128,
    /// One of them does not begin where the one before it ended.
    pub(crate) torn: bool,
}

/// A payee's income and what of it was paid out, by its leaf, and what the postings say of both: what they paid to it, and the
/// stretch of its income that payouts took; none where there was no payout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PayeeTerm {
    pub(crate) income: Stretch,
    pub(crate) paid_out: Stretch,
    pub(crate) paid: u128,
    pub(crate) payouts: Option<Stretch>,
    /// As in [`Posted`].
    pub(crate) torn: bool,
}

/// What an account holds above its limit (negative: what is free), and by how much seizures and write-offs move that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CreditTerm {
    pub(crate) before: i128,
    pub(crate) after: i128,
    pub(crate) involuntary: i128,
}

impl PurseTerm {
    pub(crate) fn balances(&self) -> bool {
        self.before.checked_add(self.came).and_then(|sum| sum.checked_sub(self.went)) == Some(self.after)
    }
}

impl Posted {
    /// Takes in what a later posting says of the same line.
    pub(crate) fn go_on(&mut self, later: &Self) {
        self.torn |= later.torn || later.debited.from != self.debited.to || later.covered.from != self.covered.to;
        self.debited.to = later.debited.to;
        self.covered.to = later.covered.to;
        self.written_off = self.written_off.saturating_add(later.written_off);
    }
}

impl LineTerm<'_> {
    pub(crate) fn balances(&self) -> bool {
        let sums = |line: Option<&LineLeaf>| {
            let sums = line.map(|line| [line.debited, line.paid, line.written_off].map(Tai::get));
            sums.unwrap_or_default()
        };
        let (before @ [debited, paid, written_off], after) = (sums(self.before), sums(self.after));
        let Some(posted) = self.posted else { return before == after };
        let Stretch { from, to } = posted.covered;
        let paid_to = to.checked_sub(from).and_then(|covered| covered.checked_sub(posted.written_off));
        let (paid_to, written_off_to) =
            (paid_to.and_then(|more| paid.checked_add(more)), written_off.checked_add(posted.written_off));
        !posted.torn
            && posted.debited.from == debited
            && paid.checked_add(written_off) == Some(from)
            && (Some(posted.debited.to), paid_to, written_off_to) == (Some(after[0]), Some(after[1]), Some(after[2]))
    }

    pub(crate) fn is_sound(&self) -> bool {
        let Some(after) = self.after else { return self.before.is_none() };
        after.is_ordered() && self.before.is_none_or(|before| before.reported <= after.reported)
    }

    /// By how much the line binds more of the limit than before: H − P − W, after less before.
    pub(crate) fn bound_more(&self) -> i128 {
        let bound = |line: Option<&LineLeaf>| signed(line.map_or(0, |line| line.bound().get()));
        bound(self.after).saturating_sub(bound(self.before))
    }
}

impl PayeeTerm {
    /// Income grows by what was paid to the payee.
    pub(crate) fn earns(&self) -> bool {
        self.income.from.checked_add(self.paid) == Some(self.income.to)
    }

    /// What payouts took is what left the pool, from where the last payout ended.
    pub(crate) fn pays_out(&self) -> bool {
        !self.torn && self.paid_out == self.payouts.unwrap_or(Stretch { to: self.paid_out.from, ..self.paid_out })
    }

    /// Takes in what a payout says.
    pub(crate) fn pay_out(&mut self, from: Tai, to: Tai) {
        let (from, to) = (from.get(), to.get());
        self.torn |= self.payouts.is_some_and(|earlier| earlier.to != from);
        self.payouts = Some(Stretch { from: self.payouts.map_or(from, |earlier| earlier.from), to });
    }
}

/// An amount as one that can be below zero.
pub(crate) fn signed(amount: u128) -> i128 {
    i128::try_from(amount).unwrap_or(i128::MAX)
}

impl CreditTerm {
    /// Rounds come first in a block, so seizures and write-offs move what there was, and nothing after them goes above
    /// that or above the limit.
    pub(crate) fn is_sound(&self) -> bool {
        self.after <= self.before.saturating_add(self.involuntary).max(0)
    }
}

/// Rows of keys that come mostly in order, made one for each key. What has the key of the row before it takes no room.
pub(crate) struct United<K, T> {
    rows: Vec<(K, T)>,
    ascending: bool,
    unite: fn(&mut T, &T),
}

impl<K: Ord, T> United<K, T> {
    pub(crate) fn new(unite: fn(&mut T, &T)) -> Self {
        Self { rows: Vec::new(), ascending: true, unite }
    }

    pub(crate) fn add(&mut self, key: K, value: &T)
    where
        T: Copy,
    {
        match self.rows.last_mut() {
            Some((last, kept)) if *last == key => (self.unite)(kept, value),
            last => {
                self.ascending &= last.is_none_or(|(last, _)| *last < key);
                self.rows.push((key, *value));
            }
        }
    }

    /// The rows, in order of key.
    pub(crate) fn finish(self) -> Vec<(K, T)> {
        let Self { mut rows, ascending, unite } = self;
        if !ascending {
            rows.sort_by(|(left, _), (right, _)| left.cmp(right));
            rows.dedup_by(|(key, later), (kept, earlier)| {
                let same = key == kept;
                if same {
                    unite(earlier, later);
                }
                same
            });
        }
        rows
    }
}

/// Writes what one sorted list says beside what another knows under the same keys. A key that is not there gets a term with
/// nothing else, which no check lets pass unless it says nothing.
pub(crate) fn beside<K: Ord + Copy, T: Default, V>(
    terms: &mut Vec<(K, T)>,
    said: Vec<(K, V)>,
    set: impl Fn(&mut T, V),
) {
    let mut unknown = Vec::new();
    let mut known = terms.iter_mut().peekable();
    for (key, value) in said {
        while known.next_if(|(other, _)| *other < key).is_some() {}
        if let Some((_, term)) = known.peek_mut().filter(|(other, _)| *other == key) {
            set(term, value);
        } else {
            let mut term = T::default();
            set(&mut term, value);
            unknown.push((key, term));
        }
    }
    if !unknown.is_empty() {
        terms.append(&mut unknown);
        terms.sort_by_key(|(key, _)| *key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_key_are_one() {
        let united = |rows: &[(u8, u8)]| {
            let mut united = United::new(|sum, more| *sum += more);
            for (key, value) in rows {
                united.add(*key, value);
            }
            united.finish()
        };
        assert_eq!(united(&[(2, 1), (1, 10), (2, 2), (3, 5), (2, 4)]), [(1, 10), (2, 7), (3, 5)]);
        assert_eq!(united(&[(1, 1), (1, 2), (2, 3), (2, 4), (9, 5)]), [(1, 3), (2, 7), (9, 5)]);
        assert_eq!(united(&[]), []);
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
