//! One version of a shard: the tree, and what is decoded of it for convenience. Nothing outside the tree decides a
//! result.

use std::sync::Arc;

use db3_carry::Delivery;
use db3_governance::{Accepted, Proposal, Session, SignedProposal};
use db3_merkle_log::Frontier;
use db3_primitives::hash::hex_text;
use db3_primitives::leaf::split_record;
use db3_primitives::{
    AccountLeaf, AcknowledgedLeaf, BlockTime, ChainLeaf, EmissionLeaf, Epoch, Hash32, Height, Mutation, NamespaceLeaf,
    NonceWindow, OpenEpochLeaf, Rejection, TableLeaf, key,
};
use db3_state_tree::Tree;

use crate::admission::{self, Admission};
use crate::books::OpenBooks;
use crate::close;
use crate::ledger::Ledger;
use crate::overlay::Overlay;
use crate::{governance, inbound};
use db3_primitives::fatal::{damaged, fatal};

/// One version of a shard's state. A clone is two pointers.
#[derive(Clone, Debug)]
pub struct ShardState {
    tree: Tree,
    decoded: Arc<Decoded>,
}

/// The leaves that every block needs.
#[derive(Debug)]
struct Decoded {
    chain: Arc<ChainLeaf>,
    books: OpenBooks,
    emission: Option<EmissionLeaf>,
}

/// A tree that is no state of a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A leaf that every state has is not there.
    #[error("the state has no leaf at key {key}")]
    Missing {
        /// The key in hexadecimal digits.
        key: String,
    },
    /// A key that no object has.
    #[error("no object has the key {key}")]
    KeyUnknown {
        /// The key in hexadecimal digits.
        key: String,
    },
    /// A leaf that does not decode.
    #[error("the leaf at key {key} does not decode")]
    LeafMalformed {
        /// The key in hexadecimal digits.
        key: String,
    },
}

impl ShardState {
    /// The state that a restored tree holds. Looks at every leaf, so that none can surprise execution later.
    pub fn from_tree(tree: Tree) -> Result<Self, StateError> {
        for (key, leaf) in tree.range(&[], None) {
            match leaf_decodes(key, leaf) {
                None => return Err(StateError::KeyUnknown { key: hex_text(key) }),
                Some(false) => return Err(StateError::LeafMalformed { key: hex_text(key) }),
                Some(true) => {}
            }
        }
        if let Some(key) = inbound::undecodable(&tree) {
            return Err(StateError::LeafMalformed { key: hex_text(&key) });
        }
        let decoded = Decoded::of(&tree)?;
        Ok(Self { tree, decoded: Arc::new(decoded) })
    }

    /// The version that a block's ledger leaves.
    pub(crate) fn after(ledger: Ledger) -> Self {
        let Ledger { chain, overlay, books, .. } = ledger;
        let tree = overlay.into_tree().unwrap_or_else(|error| fatal("a block's writes are a batch", error));
        let emission = tree
            .get(&key::emission())
            .map(|leaf| EmissionLeaf::from_bytes(leaf).unwrap_or_else(|_| damaged(&key::emission())));
        Self { tree, decoded: Arc::new(Decoded { chain, books, emission }) }
    }

    /// A working version that begins with this one.
    pub(crate) fn ledger(&self) -> Ledger {
        let Decoded { chain, books, .. } = &*self.decoded;
        Ledger::new(Arc::clone(chain), Overlay::over(self.tree.clone()), books.clone())
    }

    pub(crate) fn emission_leaf(&self) -> Option<&EmissionLeaf> {
        self.decoded.emission.as_ref()
    }

    /// The tree, for proofs and snapshots.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Root of the tree: the app hash.
    #[must_use]
    pub fn root(&self) -> Hash32 {
        self.tree.root()
    }

    /// The chain's parameters.
    #[must_use]
    pub fn chain(&self) -> &ChainLeaf {
        &self.decoded.chain
    }

    /// The open epoch and the first block in which it was open.
    #[must_use]
    pub fn open_epoch(&self) -> (Epoch, Height) {
        (self.decoded.books.epoch, self.decoded.books.first_height)
    }

    /// The log of the open epoch's bills.
    #[must_use]
    pub fn open_bills(&self) -> &Frontier {
        &self.decoded.books.bills
    }

    /// The close whose statements are being emitted.
    #[must_use]
    pub fn emission(&self) -> Option<EmissionLeaf> {
        self.decoded.emission
    }

    /// Whether a block of this time has something to do even without a mutation.
    #[must_use]
    pub fn work_pending(&self, now: BlockTime) -> bool {
        self.decoded.emission.is_some() || Epoch::of(now.secs, self.chain().epoch_secs) > self.decoded.books.epoch
    }

    /// When the open epoch ends, Unix seconds: a block of that time or later closes it. None if no time that can be
    /// told is late enough.
    #[must_use]
    pub fn next_boundary_secs(&self) -> Option<u64> {
        self.decoded.books.epoch.get().checked_add(1)?.checked_mul(self.chain().epoch_secs.get())
    }

    /// Everything that a block would check of a delivery, against this version. `now` is the time of a next block, or
    /// what the caller's clock says if that is later.
    pub fn check_delivery(&self, delivery: &Delivery, now: BlockTime) -> Result<(), Rejection> {
        inbound::judge(|key| self.tree.get(key), &self.chain().chain_id(), delivery, now).map(|_| ())
    }

    /// What the state holds of governance.
    #[must_use]
    pub fn governance(&self) -> Session {
        Session::of(&self.tree)
    }

    /// Whether a block of this height and time, the next one after this version, could accept a governance transaction.
    pub fn check_governance(
        &self,
        signed: &SignedProposal,
        height: Height,
        now: BlockTime,
    ) -> Result<Accepted, Rejection> {
        governance::judge(&self.ledger(), height, now, signed)
    }

    /// Whether it could if enough operators had signed it. Gives the height at which the change would take effect.
    pub fn rehearse_governance(
        &self,
        proposal: &Proposal,
        height: Height,
        now: BlockTime,
    ) -> Result<Height, Rejection> {
        governance::rehearse(&self.ledger(), height, now, proposal)
    }

    /// Everything that admission checks of a mutation, its signature apart, against this version and the time of a
    /// next block.
    pub fn admit(&self, mutation: &Mutation, bytes: u32, now: BlockTime) -> Result<Admission, Rejection> {
        let mut ledger = self.ledger();
        let of_time = Epoch::of(now.secs, ledger.chain.epoch_secs);
        ledger.books.epoch = close::epoch_at(ledger.books.epoch, self.decoded.emission.is_some(), of_time);
        admission::check(&ledger, mutation, bytes, now)
    }
}

impl Decoded {
    fn of(tree: &Tree) -> Result<Self, StateError> {
        let missing = |key: &[u8]| StateError::Missing { key: hex_text(key) };
        let malformed = |key: &[u8]| StateError::LeafMalformed { key: hex_text(key) };
        let (chain_key, open_key, emission_key) = (key::chain(), key::open_epoch(), key::emission());
        let chain = tree.get(&chain_key).ok_or_else(|| missing(&chain_key))?;
        let chain = ChainLeaf::from_bytes(chain).map_err(|_| malformed(&chain_key))?;
        let open = tree.get(&open_key).ok_or_else(|| missing(&open_key))?;
        let open = OpenEpochLeaf::from_bytes(open).map_err(|_| malformed(&open_key))?;
        let books = OpenBooks::from_leaf(&open).ok_or_else(|| malformed(&open_key))?;
        let emission = match tree.get(&emission_key) {
            Some(leaf) => Some(EmissionLeaf::from_bytes(leaf).map_err(|_| malformed(&emission_key))?),
            None => None,
        };
        Ok(Self { chain: Arc::new(chain), books, emission })
    }
}

/// Whether a leaf decodes as what its key says; none where no object has such a key.
fn leaf_decodes(key: &[u8], leaf: &[u8]) -> Option<bool> {
    let name_bytes = key.iter().position(|byte| *byte == b'/').map_or(key.len(), |slash| slash.saturating_add(1));
    let decodes = match key.get(..name_bytes)? {
        b"acked/" => key::split_acknowledged(key).map(|_| AcknowledgedLeaf::from_bytes(leaf).is_ok())?,
        b"acct/" => key::split_account(key).map(|_| AccountLeaf::from_bytes(leaf).is_ok())?,
        // Only together with the peer they have a meaning, which is checked for all three at once.
        b"client/" => key::split_client(key).map(|_| true)?,
        b"inbox/" => key::split_inbox(key).map(|_| true)?,
        b"peer/" => key::split_peer(key).map(|_| true)?,
        b"chain" => ChainLeaf::from_bytes(leaf).is_ok(),
        b"close" => EmissionLeaf::from_bytes(leaf).is_ok(),
        b"evid/" | b"gov" | b"plan/" => db3_governance::decodes(key, leaf)?,
        b"epoch/" => key::split_epoch(key).map(|_| leaf.len() == size_of::<Hash32>())?,
        b"ns/" => key::split_namespace(key).map(|_| NamespaceLeaf::from_bytes(leaf).is_ok())?,
        b"open" => OpenEpochLeaf::from_bytes(leaf).is_ok_and(|leaf| OpenBooks::from_leaf(&leaf).is_some()),
        b"outbox/" => Frontier::from_bytes(leaf).is_ok(),
        b"own/" => key::split_owned(key).map(|_| leaf == key::OWNED_VALUE)?,
        b"rec/" => key::split_record(key).map(|_| split_record(leaf).is_some())?,
        b"tbl/" => key::split_table(key).map(|_| TableLeaf::from_bytes(leaf).is_ok())?,
        b"win/" => key::split_window(key).map(|_| NonceWindow::from_bytes(leaf).is_ok())?,
        _ => return None,
    };
    Some(decodes)
}
