//! Rows by key, made for keys that mostly come in order: those stand in one vector, at its end; the others in a map beside
//! it. Blocks write accounts in order of address, a hundred thousand of them, and then a map alone costs several times as
//! much as the vector. Any order gives the same rows.

use std::collections::BTreeMap;
use std::iter::Peekable;

/// See the module's text. A key stands in one of the two.
#[derive(Debug)]
pub(crate) struct Rows<K, R> {
    /// Ascending.
    run: Vec<(K, R)>,
    /// Keys that came after a higher one.
    late: BTreeMap<K, R>,
}

/// Where a key stands, or would.
enum Place {
    Run(usize),
    End,
    Late,
}

impl<K: Ord + Copy, R> Rows<K, R> {
    pub(crate) const fn new() -> Self {
        Self { run: Vec::new(), late: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.run.len().saturating_add(self.late.len())
    }

    fn place(&self, key: &K) -> Place {
        match self.run.last() {
            Some((last, _)) if key <= last => match self.run.binary_search_by(|(other, _)| other.cmp(key)) {
                Ok(at) => Place::Run(at),
                Err(_) => Place::Late,
            },
            Some(_) | None => Place::End,
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&R> {
        match self.place(key) {
            Place::Run(at) => self.run.get(at).map(|(_, row)| row),
            Place::End => None,
            Place::Late => self.late.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut R> {
        match self.place(key) {
            Place::Run(at) => self.run.get_mut(at).map(|(_, row)| row),
            Place::End => None,
            Place::Late => self.late.get_mut(key),
        }
    }

    pub(crate) fn get_or_insert_with(&mut self, key: K, row: impl FnOnce() -> R) -> &mut R {
        match self.place(&key) {
            Place::Late => self.late.entry(key).or_insert_with(row),
            Place::End => &mut self.run.push_mut((key, row())).1,
            Place::Run(at) => match self.run.get_mut(at) {
                Some((_, found)) => found,
                // Never: the place was found in the run.
                None => self.late.entry(key).or_insert_with(row),
            },
        }
    }

    /// All rows, in order of key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &R)> {
        Merged { run: self.run.iter().peekable(), late: self.late.iter().peekable() }
    }

    /// The rows from a key on, in order.
    pub(crate) fn iter_from(&self, key: K) -> impl Iterator<Item = (K, &R)> {
        let from = self.run.partition_point(|(other, _)| *other < key);
        let run = self.run.get(from..).unwrap_or_default();
        Merged { run: run.iter().peekable(), late: self.late.range(key..).peekable() }
    }
}

/// Two ascending lists as one; no key is in both.
struct Merged<A: Iterator, B: Iterator> {
    run: Peekable<A>,
    late: Peekable<B>,
}

impl<'r, K, R, A, B> Iterator for Merged<A, B>
where
    K: Ord + Copy + 'r,
    R: 'r,
    A: Iterator<Item = &'r (K, R)>,
    B: Iterator<Item = (&'r K, &'r R)>,
{
    type Item = (K, &'r R);

    fn next(&mut self) -> Option<Self::Item> {
        let late_is_next = match (self.run.peek(), self.late.peek()) {
            (Some((run, _)), Some((late, _))) => *late < run,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if late_is_next {
            self.late.next().map(|(key, row)| (*key, row))
        } else {
            self.run.next().map(|(key, row)| (*key, row))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_in_any_order_are_those_of_a_map(keys in prop::collection::vec(0..60_u8, 0..80), from in 0..60_u8) {
            let (mut rows, mut map) = (Rows::new(), BTreeMap::new());
            for (number, key) in keys.iter().enumerate() {
                *rows.get_or_insert_with(*key, || 0) += number;
                *map.entry(*key).or_insert(0) += number;
            }
            if let (Some(row), Some(expected)) = (rows.get_mut(&from), map.get_mut(&from)) {
                (*row, *expected) = (7, 7);
            }
            prop_assert_eq!(rows.len(), map.len());
            prop_assert!(rows.iter().eq(map.iter().map(|(key, row)| (*key, row))));
            prop_assert!(rows.iter_from(from).eq(map.range(from..).map(|(key, row)| (*key, row))));
            for key in 0..60 {
                prop_assert_eq!(rows.get(&key), map.get(&key));
            }
        }
    }
}
