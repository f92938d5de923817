//! What a version of the state takes in memory: its nodes, and the keys and values of its leaves. The sum of those is
//! carried from version to version by their difference, so it costs what changed.

use db3_state_tree::Tree;

/// Bytes of a version, older versions beside it apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TreeBytes {
    /// Of keys and values.
    records: u64,
    nodes: u64,
}

impl TreeBytes {
    /// Of a version, leaf by leaf.
    pub(crate) fn of(tree: &Tree) -> Self {
        let records = tree.range(&[], None).fold(0, |sum: u64, record| sum.saturating_add(length(record)));
        Self { records, nodes: tree.node_bytes() }
    }

    /// Of `after`, from those of `before`.
    pub(crate) fn advanced(self, before: &Tree, after: &Tree) -> Self {
        let mut records = self.records;
        for (key, value) in before.diff(after) {
            let gone = before.get(key).map_or(0, |old| length((key, old)));
            let come = value.map_or(0, |new| length((key, new)));
            records = records.saturating_add(come).saturating_sub(gone);
        }
        Self { records, nodes: after.node_bytes() }
    }

    /// All of them.
    pub(crate) fn total(self) -> u64 {
        self.records.saturating_add(self.nodes)
    }
}

fn length((key, value): (&[u8], &[u8])) -> u64 {
    key.len().saturating_add(value.len()) as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_carried_along_is_what_a_count_of_every_leaf_gives() {
        let put = |key: u8, length: usize| (vec![key; usize::from(key)], Some(vec![1; length]));
        let first = Tree::new().apply(vec![put(1, 10), put(2, 20), put(3, 30)]).unwrap();
        let counted = TreeBytes::of(&first);
        assert_eq!(counted.records, 1 + 2 + 3 + 10 + 20 + 30);
        // One changed, one gone, one new.
        let second = first.apply(vec![put(1, 11), (vec![2; 2], None), put(4, 40)]).unwrap();
        let carried = counted.advanced(&first, &second);
        assert_eq!(carried, TreeBytes::of(&second));
        assert!(carried.total() > carried.records && carried.total() > counted.total());
        assert_eq!(TreeBytes::of(&Tree::new()).total(), 0);
    }
}
