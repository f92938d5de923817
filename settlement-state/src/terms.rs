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

/// A line's leaves before and after, and what the postings add to its sums. One that is not there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineTerm<'l> {
    pub(crate) before: Option<&'l LineLeaf>,
    pub(crate) after: Option<&'l LineLeaf>,
    pub(crate) posted: Posted,
}

/// What postings say of one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Posted {
    pub(crate) debited: u128,
    pub(crate) paid: u128,
    pub(crate) written_off: u128,
}

/// A payee's income, and what the postings pay to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PayeeTerm {
    pub(crate) before: u128,
    pub(crate) after: u128,
    pub(crate) paid: u128,
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

impl LineTerm<'_> {
    pub(crate) fn balances(&self) -> bool {
        let Posted { debited, paid, written_off } = self.posted;
        self.grows(debited, |line| line.debited)
            && self.grows(paid, |line| line.paid)
            && self.grows(written_off, |line| line.written_off)
    }

    fn grows(&self, by: u128, of: fn(&LineLeaf) -> Tai) -> bool {
        self.before.map_or(0, |line| of(line).get()).checked_add(by)
            == Some(self.after.map_or(0, |line| of(line).get()))
    }

    pub(crate) fn is_sound(&self) -> bool {
        let Some(after) = self.after else { return self.before.is_none() };
        after.is_ordered() && self.before.is_none_or(|before| before.reported <= after.reported)
    }
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
