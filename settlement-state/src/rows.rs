//! Rows by key, made for keys that mostly come in order: those stand at the end of a list; the others in a map beside it.
//! Blocks write accounts in order of address, tens of thousands of them, and then a map alone costs several times as much.
//! The list grows by chunks, because one long vector would be moved to fresh memory again and again. Any order gives the
//! same rows.

use std::collections::BTreeMap;
use std::iter::Peekable;

/// Rows of a chunk.
const CHUNK_ROWS: usize = 64;

/// See the module's text. A key stands in one of the two.
#[derive(Debug)]
pub(crate) struct Rows<K, R> {
    /// Ascending; no chunk is empty.
    run: Vec<Vec<(K, R)>>,
    /// Keys that came after a higher one.
    late: BTreeMap<K, R>,
}

impl<K: Ord + Copy, R> Rows<K, R> {
    pub(crate) const fn new() -> Self {
        Self { run: Vec::new(), late: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.run.iter().map(Vec::len).sum::<usize>().saturating_add(self.late.len())
    }

    /// Whether a key is above all that there are: what is late came after a higher one.
    pub(crate) fn are_below(&self, key: &K) -> bool {
        self.run.last().and_then(|chunk| chunk.last()).is_none_or(|(last, _)| last < key)
    }

    /// Chunk and place of a key in the run.
    fn place(&self, key: &K) -> Option<(usize, usize)> {
        let at = self.run.partition_point(|chunk| chunk.last().is_some_and(|(last, _)| last < key));
        let place = self.run.get(at)?.binary_search_by(|(other, _)| other.cmp(key)).ok()?;
        Some((at, place))
    }

    pub(crate) fn get(&self, key: &K) -> Option<&R> {
        if self.are_below(key) {
            return None;
        }
        match self.place(key) {
            Some((chunk, at)) => self.run.get(chunk)?.get(at).map(|(_, row)| row),
            None => self.late.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut R> {
        match self.place(key) {
            Some((chunk, at)) => self.run.get_mut(chunk)?.get_mut(at).map(|(_, row)| row),
            None => self.late.get_mut(key),
        }
    }

    /// Changes the row of a key, or the one that is made for it, and tells what the change tells.
    pub(crate) fn update<T>(&mut self, key: K, make: impl FnOnce() -> R, change: impl FnOnce(&mut R) -> T) -> T {
        if self.are_below(&key) {
            let mut row = make();
            let told = change(&mut row);
            self.push(key, row);
            return told;
        }
        let place = self.place(&key);
        match place.and_then(|(chunk, at)| self.run.get_mut(chunk)?.get_mut(at)) {
            Some((_, row)) => change(row),
            None => change(self.late.entry(key).or_insert_with(make)),
        }
    }

    fn push(&mut self, key: K, row: R) {
        if let Some(chunk) = self.run.last_mut().filter(|chunk| chunk.len() < CHUNK_ROWS) {
            chunk.push((key, row));
        } else {
            let mut chunk = Vec::with_capacity(CHUNK_ROWS);
            chunk.push((key, row));
            self.run.push(chunk);
        }
    }

    /// All rows, in order of key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &R)> {
        Merged { run: self.run.iter().flatten().peekable(), late: self.late.iter().peekable() }
    }

    /// The rows from a key on, in order.
    pub(crate) fn iter_from(&self, key: K) -> impl Iterator<Item = (K, &R)> {
        let first = match self.run.last().and_then(|chunk| chunk.last()) {
            Some((last, _)) if key <= *last => {
                self.run.partition_point(|chunk| chunk.last().is_some_and(|(last, _)| *last < key))
            }
            Some(_) | None => self.run.len(),
        };
        let (head, rest) = match self.run.get(first..) {
            Some([head, rest @ ..]) => (head.get(head.partition_point(|(other, _)| *other < key)..), rest),
            Some([]) | None => (None, [].as_slice()),
        };
        let run = head.unwrap_or_default().iter().chain(rest.iter().flatten());
        Merged { run: run.peekable(), late: self.late.range(key..).peekable() }
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
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_in_any_order_are_those_of_a_map(keys in prop::collection::vec(0..250_u8, 0..400), sorted in any::<bool>(), from in 0..250_u8) {
            let (mut rows, mut map, mut keys) = (Rows::new(), BTreeMap::new(), keys);
            if sorted {
                keys.sort_unstable();
            }
            for (number, key) in keys.iter().enumerate() {
                rows.update(*key, || 0, |row| *row += number);
                *map.entry(*key).or_insert(0) += number;
            }
            if let (Some(row), Some(expected)) = (rows.get_mut(&from), map.get_mut(&from)) {
                (*row, *expected) = (7, 7);
            }
            prop_assert_eq!(rows.len(), map.len());
            prop_assert!(rows.iter().eq(map.iter().map(|(key, row)| (*key, row))));
            prop_assert!(rows.iter_from(from).eq(map.range(from..).map(|(key, row)| (*key, row))));
            for key in 0..250 {
                prop_assert_eq!(rows.get(&key), map.get(&key));
            }
        }
    }
}
