//! Who is due, in order of address: the marks of single accounts (`due/`) and the lists of those that shards stated
//! (`dues/`), read beside each other. An account that stands in several of them comes once.
//!
//! A round goes on after the account where it stopped, so a list may hold accounts before that, which were stated while the
//! round was beyond them: those stay for the next. Lists stand under the address that was their first when they were made,
//! so the ones that can hold the next account are those up to it, and only they are open.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use db3_primitives::fatal::damaged;
use db3_primitives::{Address, DuesLeaf, ShardId, key};
use db3_state_tree::{Range, Tree};

/// What a list's key says: its first account when it was made, the shard, the index of the first statement.
pub(crate) type ListKey = (Address, ShardId, u64);

/// A walk over the accounts that a version holds as due.
pub(crate) struct Walk<'t> {
    after: Option<Address>,
    marks: Range<'t>,
    /// The next marked account.
    mark: Option<Address>,
    lists: Range<'t>,
    /// The next list that is not open.
    list: Option<(ListKey, &'t [u8])>,
    /// The next account of each open list that has one, and the list's place in `open`.
    heads: BinaryHeap<Reverse<(Address, usize)>>,
    open: Vec<Open>,
}

/// A list in hand.
struct Open {
    key: ListKey,
    leaf: DuesLeaf,
    /// Accounts up to here are not this walk's.
    skipped: usize,
    /// Accounts from here on were not visited yet.
    next: usize,
}

/// What remains of a list: what it was, and what it is now, none where nothing remains.
pub(crate) type Remains = (ListKey, DuesLeaf, Option<DuesLeaf>);

impl<'t> Walk<'t> {
    /// Begins after an account, or with the first.
    pub(crate) fn after(tree: &'t Tree, after: Option<Address>) -> Self {
        let from = after.map_or_else(key::due_prefix, |account| [key::due(&account).as_slice(), &[0]].concat());
        let marks = tree.range(&from, key::prefix_end(&key::due_prefix()).as_deref());
        let lists = tree.prefix(&key::dues_prefix());
        let mut walk = Self { after, marks, mark: None, lists, list: None, heads: BinaryHeap::new(), open: Vec::new() };
        walk.next_mark();
        walk.next_list();
        walk
    }

    fn next_mark(&mut self) {
        self.mark = self.marks.next().map(|(key, _)| key::split_due(key).unwrap_or_else(|| damaged(key)));
    }

    fn next_list(&mut self) {
        self.list = self.lists.next().map(|(key, leaf)| (key::split_dues(key).unwrap_or_else(|| damaged(key)), leaf));
    }

    /// The next account, which stays the next until it is taken.
    pub(crate) fn head(&mut self) -> Option<Address> {
        loop {
            let listed = self.heads.peek().map(|Reverse((account, _))| *account);
            let next = [self.mark, listed].into_iter().flatten().min();
            match self.list {
                Some((key, leaf)) if next.is_none_or(|next| key.0 <= next) => self.open(key, leaf),
                Some(_) | None => return next,
            }
        }
    }

    fn open(&mut self, key: ListKey, leaf: &[u8]) {
        let leaf = DuesLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key::dues(&key.0, key.1, key.2)));
        let accounts = leaf.accounts();
        let skipped = self.after.map_or(0, |after| accounts.partition_point(|account| *account <= after));
        if let Some(head) = accounts.get(skipped) {
            self.heads.push(Reverse((*head, self.open.len())));
            self.open.push(Open { key, leaf, skipped, next: skipped });
        }
        self.next_list();
    }

    /// Takes the account that [`Walk::head`] told, out of every list; tells whether it is marked as well.
    pub(crate) fn take(&mut self, account: Address) -> bool {
        while let Some(mut head) = self.heads.peek_mut() {
            let Reverse((listed, place)) = *head;
            if listed != account {
                break;
            }
            let next = self.open.get_mut(place).and_then(|list| {
                list.next = list.next.saturating_add(1);
                list.leaf.accounts().get(list.next)
            });
            match next {
                Some(next) => *head = Reverse((*next, place)),
                None => {
                    std::collections::binary_heap::PeekMut::pop(head);
                }
            }
        }
        let marked = self.mark == Some(account);
        if marked {
            self.next_mark();
        }
        marked
    }

    /// What was taken from lists.
    pub(crate) fn end(self) -> impl Iterator<Item = Remains> {
        self.open.into_iter().filter(|list| list.next > list.skipped).map(|Open { key, leaf, skipped, next }| {
            let accounts = leaf.accounts();
            let (before, after) = (accounts.get(..skipped), accounts.get(next..));
            let left = [before.unwrap_or_default(), after.unwrap_or_default()].concat();
            (key, leaf, DuesLeaf::new(left))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use std::collections::BTreeSet;

    use db3_primitives::leaf::settlement::DUE_VALUE;
    use proptest::prelude::*;

    use super::*;

    fn address(number: u8) -> Address {
        Address::new([number; 20])
    }

    /// A version with these marks, and these lists, the first under index 0.
    fn tree(marks: &BTreeSet<u8>, lists: &[BTreeSet<u8>]) -> Tree {
        let mut batch: Vec<_> =
            marks.iter().map(|mark| (key::due(&address(*mark)), Some(DUE_VALUE.to_vec()))).collect();
        for (index, list) in (0..).zip(lists) {
            let accounts: Vec<Address> = list.iter().map(|number| address(*number)).collect();
            let key = key::dues(accounts.first().unwrap(), ShardId::new(0), index);
            batch.push((key, Some(DuesLeaf::new(accounts).unwrap().to_bytes())));
        }
        batch.sort();
        Tree::new().apply(batch).unwrap()
    }

    proptest! {
        #[test]
        fn accounts_come_once_and_in_order_and_leave_the_lists(
            marks in prop::collection::btree_set(0..40_u8, 0..8),
            lists in prop::collection::vec(prop::collection::btree_set(0..40_u8, 1..12), 0..8),
            after in prop::option::of(0..40_u8),
            visits in 0..50_usize,
        ) {
            let tree = tree(&marks, &lists);
            let mut walk = Walk::after(&tree, after.map(address));
            let mut visited = Vec::new();
            while let Some(account) = walk.head().filter(|_| visited.len() < visits) {
                prop_assert_eq!(walk.head(), Some(account));
                visited.push((account, walk.take(account)));
            }
            let due: BTreeSet<u8> = lists.iter().flatten().chain(&marks).copied().collect();
            let due = due.into_iter().filter(|number| after.is_none_or(|after| *number > after));
            let expected: Vec<_> = due.take(visits).map(|number| (address(number), marks.contains(&number))).collect();
            prop_assert_eq!(&visited, &expected);

            let stays = |number: &u8| !expected.iter().any(|(account, _)| *account == address(*number));
            let mut remains: Vec<Remains> = walk.end().collect();
            remains.sort_by_key(|((_, _, index), ..)| *index);
            let changed = (0..).zip(&lists).filter(|(_, list)| !list.iter().all(stays));
            let expected: Vec<Remains> = changed
                .map(|(index, list)| {
                    let all: Vec<Address> = list.iter().map(|number| address(*number)).collect();
                    let left = list.iter().filter(|number| stays(number)).map(|number| address(*number)).collect();
                    ((all[0], ShardId::new(0), index), DuesLeaf::new(all).unwrap(), DuesLeaf::new(left))
                })
                .collect();
            prop_assert_eq!(remains, expected);
        }
    }
}
