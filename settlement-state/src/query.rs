//! What can be read of a version. Nothing here changes anything, and nothing here is proved: proofs are the tree's.

use db3_primitives::{
    Address, BalanceLeaf, ChainId, LineLeaf, NonceWindow, PassedLeaf, PayoutLeaf, RoundLeaf, ShardId, ShardLeaf,
    SupplyLeaf, Tai, key,
};

use crate::governance;
use crate::ledger::stored_lines;
use crate::objects::{Balances, Dues, Lines, Round, Shards, Supply, Windows};
use crate::state::SettlementState;
use crate::sums;
use crate::table::stored;
use db3_primitives::fatal::damaged;

/// One account as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// Its money and its stage.
    pub leaf: BalanceLeaf,
    /// ⌊factor · collateral⌋ + trust.
    pub limit: Tai,
    /// Σ (H − P − W): how much of the limit its lines bind.
    pub held: Tai,
    /// Σ (D − P − W): what is debited and not paid.
    pub outstanding: Tai,
    /// Σ (R − D): what is stated and not debited.
    pub unsettled: Tai,
    /// Whether the next round has something to do with it: it is marked, or something is stated and not debited.
    pub due: bool,
    /// Its lines, by shard.
    pub lines: Vec<(ShardId, LineLeaf)>,
}

/// One shard as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardView {
    /// What is known of it.
    pub leaf: ShardLeaf,
    /// How many entries of its log were applied.
    pub cursor: u64,
    /// How many entries were written for it.
    pub sent: u64,
    /// Who shares its pool, by power.
    pub payouts: PayoutLeaf,
}

impl SettlementState {
    /// An account's money; none where it never had any.
    #[must_use]
    pub fn balance(&self, account: &Address) -> Option<BalanceLeaf> {
        stored::<Balances>(self.tree(), *account)
    }

    /// An account with everything that follows from its leaves. One that nobody knows has nothing.
    #[must_use]
    pub fn account(&self, account: &Address) -> AccountView {
        let leaf = self.balance(account).unwrap_or_default();
        let lines = stored_lines(self.tree(), account);
        let unsettled = sums::unsettled(&lines);
        AccountView {
            leaf,
            limit: self.chain().limit(leaf.collateral, leaf.trust),
            held: sums::held(&lines),
            outstanding: sums::outstanding(&lines),
            unsettled,
            due: stored::<Dues>(self.tree(), *account).is_some() || !unsettled.is_zero(),
            lines,
        }
    }

    /// All accounts that have or had money, in order of address.
    #[must_use = "iterators do nothing unless consumed"]
    pub fn accounts(&self) -> impl DoubleEndedIterator<Item = (Address, BalanceLeaf)> {
        self.tree().prefix(&key::balance_prefix()).map(|(key, leaf)| {
            match (key::split_balance(key), BalanceLeaf::from_bytes(leaf)) {
                (Some(account), Ok(leaf)) => (account, leaf),
                _ => damaged(key),
            }
        })
    }

    /// A line; none where it was never opened.
    #[must_use]
    pub fn line(&self, account: &Address, shard: ShardId) -> Option<LineLeaf> {
        stored::<Lines>(self.tree(), (*account, shard))
    }

    /// All lines, in order of address and shard.
    #[must_use = "iterators do nothing unless consumed"]
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = (Address, ShardId, LineLeaf)> {
        self.tree().prefix(&key::line_prefix()).map(|(key, leaf)| {
            match (key::split_line(key), LineLeaf::from_bytes(leaf)) {
                (Some((account, shard)), Ok(leaf)) => (account, shard, leaf),
                _ => damaged(key),
            }
        })
    }

    /// What is known of a shard; none where the network has no such shard.
    #[must_use]
    pub fn shard(&self, shard: ShardId) -> Option<ShardView> {
        let leaf = stored::<Shards>(self.tree(), shard)?;
        let chain_id = ChainId::shard(&self.chain().network, shard);
        Some(ShardView {
            leaf,
            cursor: self.channel(&chain_id).map_or(0, |channel| channel.cursor()),
            sent: self.outbox_to(&chain_id).size(),
            payouts: self.payouts(shard),
        })
    }

    /// How many entries of the log to a shard it had applied at its last close: from there on a delivery may need them. No
    /// close lowers it, or names more than there are.
    #[must_use]
    pub fn acknowledged_by(&self, shard: ShardId) -> u64 {
        stored::<Shards>(self.tree(), shard).map_or(0, |leaf| leaf.inbox_cursor)
    }

    /// The network's shards.
    pub fn shards(&self) -> impl DoubleEndedIterator<Item = ShardId> + use<> {
        (0..self.chain().shard_map.shards()).map(ShardId::new)
    }

    /// Who shares a pool: a shard's, or this chain's own ([`db3_primitives::leaf::settlement::FEE_POOL`]).
    #[must_use]
    pub fn payouts(&self, pool: ShardId) -> PayoutLeaf {
        let key = key::payout(pool);
        let leaf = self.tree().get(&key);
        leaf.map(|leaf| PayoutLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key))).unwrap_or_default()
    }

    /// What counts for nothing of a shard's log.
    #[must_use]
    pub fn passed(&self, shard: ShardId) -> PassedLeaf {
        governance::passed(self.tree(), shard)
    }

    /// The rounds.
    #[must_use]
    pub fn round(&self) -> RoundLeaf {
        stored::<Round>(self.tree(), ()).unwrap_or_else(|| damaged(&key::round()))
    }

    /// The money as a whole.
    #[must_use]
    pub fn supply(&self) -> SupplyLeaf {
        stored::<Supply>(self.tree(), ()).unwrap_or_else(|| damaged(&key::supply()))
    }

    /// The window of an account; a fresh one where none is stored.
    #[must_use]
    pub fn window(&self, account: &Address) -> NonceWindow {
        stored::<Windows>(self.tree(), *account).unwrap_or_default()
    }
}
