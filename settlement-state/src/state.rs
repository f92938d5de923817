//! One version of the settlement chain: the tree, and what is decoded of it for convenience. Nothing outside the tree
//! decides a result.

use std::sync::Arc;

use db3_carry::{Channel, Delivery, Peer};
use db3_governance::{Accepted, Proposal, Session, SignedProposal};
use db3_merkle_log::{Frontier, Inbox};
use db3_primitives::hash::hex_text;
use db3_primitives::leaf::settlement::DUE_VALUE;
use db3_primitives::{
    Address, BalanceLeaf, BlockTime, ChainId, CutLeaf, DuesLeaf, Epoch, Hash32, Height, LineLeaf, NonceWindow,
    PassedLeaf, PayoutLeaf, Rejection, RoundLeaf, SettlementLeaf, ShardId, ShardLeaf, SupplyLeaf, Transaction, key,
};
use db3_state_tree::Tree;

use crate::admission::{self, Admission};
use crate::ledger::{Ledger, Moment};
use crate::logs::{self, Appended};
use crate::rules::Rules;
use crate::{credit, delivery, governance, operations, round, sweep};
use db3_primitives::fatal::fatal;

/// One version of the settlement chain's state. A clone is two pointers.
#[derive(Clone, Debug)]
pub struct SettlementState {
    tree: Tree,
    chain: Arc<SettlementLeaf>,
}

/// A tree that is no state of a settlement chain.
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
    /// What is kept of a shard is no channel.
    #[error("the channel from {source_id}: {detail}")]
    Channel {
        /// The shard's chain.
        source_id: ChainId,
        /// What is wrong.
        detail: String,
    },
}

impl SettlementState {
    /// The state that a restored tree holds. Looks at every leaf, so that none can surprise execution later.
    pub fn from_tree(tree: Tree) -> Result<Self, StateError> {
        for (key, leaf) in tree.range(&[], None) {
            match leaf_decodes(key, leaf) {
                None => return Err(StateError::KeyUnknown { key: hex_text(key) }),
                Some(false) => return Err(StateError::LeafMalformed { key: hex_text(key) }),
                Some(true) => {}
            }
        }
        let leaf = |key: Vec<u8>| tree.get(&key).ok_or_else(|| StateError::Missing { key: hex_text(&key) });
        let malformed = |_| StateError::LeafMalformed { key: hex_text(&key::chain()) };
        let chain = SettlementLeaf::from_bytes(leaf(key::chain())?).map_err(malformed)?;
        leaf(key::round())?;
        leaf(key::supply())?;
        for shard in (0..chain.shard_map.shards()).map(ShardId::new) {
            leaf(key::shard(shard))?;
            let source_id = ChainId::shard(&chain.network, shard);
            let channel = Channel::load(|key| tree.get(key), &source_id);
            let channel = channel
                .map_err(|error| StateError::Channel { source_id: source_id.clone(), detail: error.to_string() })?;
            channel.ok_or_else(|| StateError::Missing { key: hex_text(&key::peer(&source_id)) })?;
        }
        Ok(Self { tree, chain: Arc::new(chain) })
    }

    /// The version that a block's ledger leaves, and what the block appended to logs.
    pub(crate) fn after(ledger: Ledger) -> (Self, Appended) {
        let mut batch = ledger.changes();
        let Ledger { chain, base, logs, .. } = ledger;
        let mut appended = logs.finish(&base, &chain.network);
        batch.append(&mut appended.leaves);
        if batch.is_empty() {
            return (Self { tree: base, chain }, appended);
        }
        // It is a handful of ascending runs, which the stable sort merges.
        batch.sort_by(|(left, _), (right, _)| left.cmp(right));
        let tree = base.apply(batch).unwrap_or_else(|error| fatal("a block's writes are a batch", error));
        (Self { tree, chain }, appended)
    }

    /// A working version that begins with this one.
    pub(crate) fn ledger(&self, height: Height, time: BlockTime) -> Ledger {
        self.ledger_under(Rules::DESIGN, height, time)
    }

    /// The same under other credit rules, which only tests have.
    pub(crate) fn ledger_under(&self, rules: Rules, height: Height, time: BlockTime) -> Ledger {
        let at = Moment { height, time, epoch: Epoch::of(time.secs, self.chain.epoch_secs) };
        Ledger::new(Arc::clone(&self.chain), rules, self.tree.clone(), at)
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
    pub fn chain(&self) -> &SettlementLeaf {
        &self.chain
    }

    /// Whether a block of this time has something to do even without a delivery or a transaction.
    #[must_use]
    pub fn work_pending(&self, now: BlockTime) -> bool {
        let ledger = self.ledger(Height::new(0), now);
        let leaf = ledger.round();
        leaf.running.is_some()
            || round::due_epoch(&ledger, &leaf).is_some()
            || credit::cuts_are_confirmable(&ledger)
            || sweep::is_pending(&self.tree)
    }

    /// When the next round begins by its deadline alone, in Unix seconds of block time; none where no time is that late.
    #[must_use]
    pub fn next_boundary_secs(&self) -> Option<u64> {
        round::deadline_secs(&self.chain, &self.round())
    }

    /// Everything that admission checks of a transaction before its signature, against this version and the time of a next
    /// block. Cheap, whatever it asks for.
    pub fn admit(&self, transaction: &Transaction, bytes: u32, now: BlockTime) -> Result<Admission, Rejection> {
        admission::check(&self.ledger(Height::new(0), now), transaction, bytes)
    }

    /// Whether the operations of a transaction that was admitted would succeed on this version; the rejection is the one
    /// with which it would fail, and pay. It walks the account's lines, so it comes after the signature.
    pub fn foresee(&self, transaction: &Transaction, admission: &Admission, now: BlockTime) -> Result<(), Rejection> {
        operations::run(&mut self.ledger(Height::new(0), now), transaction, admission.bound).map(|_| ())
    }

    /// Everything that speaks for or against a delivery, against this version. `now`: the later of the newest block's
    /// time and the clock.
    pub fn check_delivery(&self, delivery: &Delivery, now: BlockTime) -> Result<(), Rejection> {
        delivery::check(&self.ledger(Height::new(0), now), delivery).map(|_| ())
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
        governance::judge(&self.ledger(height, now), signed)
    }

    /// Whether it could if enough operators had signed it. Gives the height at which the change would take effect.
    pub fn rehearse_governance(
        &self,
        proposal: &Proposal,
        height: Height,
        now: BlockTime,
    ) -> Result<Height, Rejection> {
        governance::rehearse(&self.ledger(height, now), proposal)
    }

    /// What is kept of a chain that this one hears; none for any other.
    #[must_use]
    pub fn channel(&self, source: &ChainId) -> Option<Channel> {
        delivery::channel(&self.ledger(Height::new(0), BlockTime::default()), source)
    }

    /// The log towards a chain; empty towards one that nothing was written for.
    #[must_use]
    pub fn outbox_to(&self, destination: &ChainId) -> Frontier {
        logs::outbox(&self.tree, destination).frontier().clone()
    }

    /// The log of postings.
    #[must_use]
    pub fn postings(&self) -> Frontier {
        logs::postings(&self.tree)
    }
}

/// Whether a leaf decodes as what its key says; none where no object has such a key.
fn leaf_decodes(key: &[u8], leaf: &[u8]) -> Option<bool> {
    let name_bytes = key.iter().position(|byte| *byte == b'/').map_or(key.len(), |slash| slash.saturating_add(1));
    let decodes = match key.get(..name_bytes)? {
        b"bal/" => key::split_balance(key).map(|_| BalanceLeaf::from_bytes(leaf).is_ok())?,
        b"chain" => SettlementLeaf::from_bytes(leaf).is_ok(),
        // The channels are loaded whole below.
        b"client/" => key::split_client(key).is_some(),
        b"cut/" => key::split_cut(key).map(|_| CutLeaf::from_bytes(leaf).is_ok())?,
        b"due/" => key::split_due(key).map(|_| leaf == DUE_VALUE)?,
        b"dues/" => key::split_dues(key).map(|_| DuesLeaf::from_bytes(leaf).is_ok())?,
        b"evid/" | b"gov" | b"plan/" => db3_governance::decodes(key, leaf)?,
        b"inbox/" => key::split_inbox(key).map(|_| Inbox::from_bytes(leaf).is_ok())?,
        b"line/" => key::split_line(key).map(|_| LineLeaf::from_bytes(leaf).is_ok())?,
        b"outbox/" => key::split_outbox(key).map(|_| Frontier::from_bytes(leaf).is_ok())?,
        b"passed/" => key::split_passed(key).map(|_| PassedLeaf::from_bytes(leaf).is_ok())?,
        b"payout/" => key::split_payout(key).map(|_| PayoutLeaf::from_bytes(leaf).is_ok())?,
        b"peer/" => key::split_peer(key).map(|_| Peer::from_bytes(leaf).is_ok())?,
        b"postings" => Frontier::from_bytes(leaf).is_ok(),
        b"round" => RoundLeaf::from_bytes(leaf).is_ok(),
        b"shard/" => key::split_shard(key).map(|_| ShardLeaf::from_bytes(leaf).is_ok())?,
        b"sweep" => Address::from_slice(leaf).is_ok(),
        b"supply" => SupplyLeaf::from_bytes(leaf).is_ok(),
        b"win/" => key::split_own_window(key).map(|_| NonceWindow::from_bytes(leaf).is_ok())?,
        _ => return None,
    };
    Some(decodes)
}
