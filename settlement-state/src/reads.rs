//! Reads of the version before a block by somebody who visits accounts in order of address: one finger on each kind of
//! leaf, so that the tree is walked once instead of searched for every leaf.

use db3_primitives::{Address, LineLeaf, ShardId, key};
use db3_state_tree::{Finger, Tree};

use db3_primitives::fatal::damaged;

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
    pub(crate) fn lines_of(&mut self, account: &Address) -> Vec<(ShardId, LineLeaf)> {
        let prefix = key::line_prefix_of(account);
        // Most accounts have one.
        let mut lines = Vec::with_capacity(1);
        let mut found = self.lines.seek(&prefix);
        while let Some((key, leaf)) = found.filter(|(key, _)| key.starts_with(&prefix)) {
            match (key::split_line(key), LineLeaf::from_bytes(leaf)) {
                (Some((_, shard)), Ok(leaf)) => lines.push((shard, leaf)),
                _ => damaged(key),
            }
            found = self.lines.advance();
        }
        lines
    }
}
