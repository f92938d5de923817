//! The leaves that blocks of the settlement chain write.

use db3_primitives::leaf::settlement::DUE_VALUE;
use db3_primitives::{
    Address, BalanceLeaf, CutLeaf, DuesLeaf, LineLeaf, NonceWindow, RoundLeaf, ShardId, ShardLeaf, SupplyLeaf, key,
};

use crate::dues::ListKey;
use crate::table::Object;

/// That an account is due at the next round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due;

macro_rules! object {
    ($(#[$doc:meta])* $name:ident: $key:ty => $leaf:ty, |$parts:pat_param| $tree_key:expr, $split:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl Object for $name {
            type Key = $key;
            type Leaf = $leaf;

            fn key($parts: $key) -> Vec<u8> {
                $tree_key
            }

            fn split(tree_key: &[u8]) -> Option<$key> {
                $split(tree_key)
            }

            fn encode(leaf: &$leaf) -> Vec<u8> {
                leaf.to_bytes()
            }

            fn decode(bytes: &[u8]) -> Option<$leaf> {
                <$leaf>::from_bytes(bytes).ok()
            }
        }
    };
}

object! {
    /// `bal/<address>`
    Balances: Address => BalanceLeaf, |account| key::balance(&account), key::split_balance
}
object! {
    /// `cut/<shard><index>`
    Cuts: (ShardId, u64) => CutLeaf, |(shard, index)| key::cut(shard, index), key::split_cut
}
object! {
    /// `due/<address>`
    Dues: Address => Due, |account| key::due(&account), key::split_due
}
object! {
    /// `dues/<first address><shard><index>`
    DueLists: ListKey => DuesLeaf, |(first, shard, index)| key::dues(&first, shard, index), key::split_dues
}
object! {
    /// `line/<address><shard>`
    Lines: (Address, ShardId) => LineLeaf, |(account, shard)| key::line(&account, shard), key::split_line
}
object! {
    /// `round`
    Round: () => RoundLeaf, |()| key::round(), |tree_key: &[u8]| (tree_key == key::round()).then_some(())
}
object! {
    /// `shard/<shard>`
    Shards: ShardId => ShardLeaf, |shard| key::shard(shard), key::split_shard
}
object! {
    /// `supply`
    Supply: () => SupplyLeaf, |()| key::supply(), |tree_key: &[u8]| (tree_key == key::supply()).then_some(())
}
object! {
    /// `win/<address>`
    Windows: Address => NonceWindow, |account| key::own_window(&account), key::split_own_window
}

impl Due {
    fn to_bytes(self) -> Vec<u8> {
        let Self = self;
        DUE_VALUE.to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, ()> {
        if bytes == DUE_VALUE { Ok(Self) } else { Err(()) }
    }
}
