//! Reads of the version before a block by somebody who visits accounts in order of address: one finger on each kind of
//! leaf, so that the tree is walked once instead of searched for every leaf.

use db3_primitives::{Address, LineLeaf, ShardId, key};
use db3_state_tree::{Finger, Tree};

use crate::objects::Lines;
use crate::table::{Seen, all_stored};

/// Fingers on one version; any order of accounts finds the same.
pub(crate) struct Reads<'t> {
    pub(crate) balances: Finger<'t>,
    pub(crate) lines: Finger<'t>,
}

impl<'t> Reads<'t> {
    pub(crate) fn of(tree: &'t Tree) -> Self {
        Self { balances: tree.finger(), lines: tree.finger() }
    }

    /// All lines of an account, by shard.
    pub(crate) fn lines_of(&mut self, account: &Address) -> Vec<Seen<Lines>> {
        all_stored(&mut self.lines, &key::line_prefix_of(account))
    }
}

/// The same without what only a table can make of them.
pub(crate) fn by_shard(lines: &[Seen<Lines>]) -> Vec<(ShardId, LineLeaf)> {
    // Not a filter, which would not tell how many there will be.
    let mut leaves = Vec::with_capacity(lines.len());
    for line in lines {
        leaves.extend(line.leaf().map(|leaf| (line.key().1, *leaf)));
    }
    leaves
}
