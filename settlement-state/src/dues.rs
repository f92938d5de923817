//! Who is due, in order of address: the marks of single accounts (`due/`) and the lists of those that shards stated
//! (`dues/`), read beside each other. An account that stands in several of them comes once.
//!
//! A list is a stretch of a shard's statements that wait for one round, and stands under its first account. A round goes on
//! after the account where it stopped, and no list has accounts on both sides of that: a delivery cuts its lists there, and
//! what the round leaves of a list moves under the account that is its first now. So a block reads the lists that it visits
//! accounts of, and none of those that were stated behind the round and stay for the next, however many they are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use db3_primitives::fatal::damaged;
use db3_primitives::{Address, DuesLeaf, ShardId, key};
use db3_state_tree::{Range, Tree};

/// What a list's key says: its first account, the shard, and an index in the shard's log that tells it from every other list:
/// of the first account's statement when it was made, and as much more as accounts left it.
pub(crate) type ListKey = (Address, ShardId, u64);

/// A walk over the accounts that a version holds as due.
pub(crate) struct Walk<'t> {
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
    /// Accounts from here on were not visited yet.
    next: usize,
}

/// A list of which accounts were visited: what it was, and what remains of it under another key, none where nothing does.
pub(crate) type Remains = (ListKey, Option<(ListKey, DuesLeaf)>);

impl<'t> Walk<'t> {
    /// Begins after an account, or with the first.
    pub(crate) fn after(tree: &'t Tree, after: Option<Address>) -> Self {
        let (marks, lists) = match after {
            Some(after) => {
                let last_list = key::dues(&after, ShardId::new(u32::MAX), u64::MAX);
                ([key::due(&after).as_slice(), &[0]].concat(), [last_list.as_slice(), &[0]].concat())
            }
            None => (key::due_prefix(), key::dues_prefix()),
        };
        let marks = tree.range(&marks, key::prefix_end(&key::due_prefix()).as_deref());
        let lists = tree.range(&lists, key::prefix_end(&key::dues_prefix()).as_deref());
        let mut walk = Self { marks, mark: None, lists, list: None, heads: BinaryHeap::new(), open: Vec::new() };
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
        if let Some(head) = leaf.accounts().first() {
            self.heads.push(Reverse((*head, self.open.len())));
            self.open.push(Open { key, leaf, next: 0 });
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
        self.open.into_iter().filter(|list| list.next > 0).map(|Open { key, leaf, next }| {
            let left = leaf.accounts().get(next..).unwrap_or_default().to_vec();
            let (_, shard, index) = key;
            let index = index.saturating_add(u64::try_from(next).unwrap_or(u64::MAX));
            let now = left.first().map(|first| (*first, shard, index)).zip(DuesLeaf::new(left));
            (key, now)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
    use std::collections::BTreeSet;

    use db3_primitives::leaf::settlement::DUE_VALUE;
    use proptest::prelude::*;

    use super::*;

    fn address(number: u8) -> Address {
        Address::new([number; 20])
    }

    /// Indexes between the first accounts of two lists.
    const LIST: usize = 100;

    /// A version with these marks, and these lists, the first under index 0.
    fn tree(marks: &BTreeSet<u8>, lists: &[BTreeSet<u8>]) -> Tree {
        let mut batch: Vec<_> =
            marks.iter().map(|mark| (key::due(&address(*mark)), Some(DUE_VALUE.to_vec()))).collect();
        for (list, index) in lists.iter().zip((0..).step_by(LIST)) {
            let accounts: Vec<Address> = list.iter().map(|number| address(*number)).collect();
            let key = key::dues(accounts.first().unwrap(), ShardId::new(0), index);
            batch.push((key, Some(DuesLeaf::new(accounts).unwrap().to_bytes())));
        }
        batch.sort();
        Tree::new().apply(batch).unwrap()
    }

    /// Each list as the round and deliveries leave it that was up to an account: none goes on beyond that.
    fn cut(lists: Vec<BTreeSet<u8>>, after: Option<u8>) -> Vec<BTreeSet<u8>> {
        let parts = lists.into_iter().flat_map(|list| {
            let (before, behind) = list.into_iter().partition(|number| after.is_some_and(|after| *number <= after));
            [before, behind]
        });
        parts.filter(|list: &BTreeSet<u8>| !list.is_empty()).collect()
    }

    #[test]
    fn lists_that_stay_for_the_next_round_are_not_read() {
        // They would not even decode.
        let behind = (1..=20).map(|number| (key::dues(&address(number), ShardId::new(0), 7), Some(vec![0xff])));
        let ahead = DuesLeaf::new(vec![address(21), address(22)]).unwrap();
        let ahead = (key::dues(&address(21), ShardId::new(0), 9), Some(ahead.to_bytes()));
        let tree = Tree::new().apply(behind.chain([ahead]).collect()).unwrap();
        let mut walk = Walk::after(&tree, Some(address(20)));
        assert_eq!(walk.head(), Some(address(21)));
        assert!(!walk.take(address(21)));
        assert_eq!(walk.head(), Some(address(22)));
        let left = DuesLeaf::new(vec![address(22)]).unwrap();
        let remains: Vec<Remains> = walk.end().collect();
        assert_eq!(remains[0].1, Some(((address(22), ShardId::new(0), 10), left)));
    }

    proptest! {
        #[test]
        fn accounts_come_once_and_in_order_and_leave_the_lists(
            marks in prop::collection::btree_set(0..40_u8, 0..8),
            lists in prop::collection::vec(prop::collection::btree_set(0..40_u8, 1..12), 0..8),
            after in prop::option::of(0..40_u8),
            visits in 0..50_usize,
        ) {
            let lists = cut(lists, after);
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
            remains.sort_by_key(|((_, _, index), _)| *index);
            let changed = lists.iter().zip((0..).step_by(LIST)).filter(|(list, _)| !list.iter().all(stays));
            let expected: Vec<Remains> = changed
                .map(|(list, index)| {
                    let all: Vec<Address> = list.iter().map(|number| address(*number)).collect();
                    let left: Vec<_> = list.iter().filter(|number| stays(number)).map(|number| address(*number)).collect();
                    let behind = index + (all.len() - left.len()) as u64;
                    let now = left.first().map(|first| (*first, ShardId::new(0), behind)).zip(DuesLeaf::new(left));
                    ((all[0], ShardId::new(0), index), now)
                })
                .collect();
            prop_assert_eq!(remains, expected);
        }
    }
}
