//! [`Range`]: records in order of key, from both ends.

use std::iter::FusedIterator;
use std::ptr;

use crate::cursor::Cursor;

/// Iterator over the records of a key range, in order of key; made by [`Tree::range`](crate::Tree::range) and
/// [`Tree::prefix`](crate::Tree::prefix).
#[must_use]
pub struct Range<'t> {
    /// The next record from either end; both or neither.
    ends: Option<(Cursor<'t>, Cursor<'t>)>,
}

impl<'t> Range<'t> {
    pub(crate) fn empty() -> Self {
        Self { ends: None }
    }

    /// The records from one leaf to another, both included; none if the first lies after the last.
    pub(crate) fn between(first: Option<Cursor<'t>>, last: Option<Cursor<'t>>) -> Self {
        let ends = first.zip(last).filter(|(first, last)| first.leaf().key() <= last.leaf().key());
        Self { ends }
    }
}

fn meet(first: &Cursor<'_>, last: &Cursor<'_>) -> bool {
    ptr::eq(first.leaf(), last.leaf())
}

impl<'t> Iterator for Range<'t> {
    type Item = (&'t [u8], &'t [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (first, last) = self.ends.take()?;
        let record = first.leaf().record();
        if !meet(&first, &last) {
            self.ends = first.next().map(|next| (next, last));
        }
        Some(record)
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (first, last) = self.ends.take()?;
        let record = last.leaf().record();
        if !meet(&first, &last) {
            self.ends = last.previous().map(|previous| (first, previous));
        }
        Some(record)
    }
}

impl FusedIterator for Range<'_> {}
