//! What a relayer carries: headers for the reader's light client, the proof of the writer's outbox, and a piece of its log.

use db3_primitives::ChainId;
use db3_state_tree::ExistenceProof;

/// A header for the reader's light client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderUpdate {
    /// `tendermint.types.LightBlock`.
    pub light_block: Vec<u8>,
    /// `tendermint.types.ValidatorSet` of the height after the header that vouches for it; needed only where that set is not
    /// the block's own and the block does not follow at once.
    pub trusted_next_validators: Option<Vec<u8>>,
}

/// A piece of one chain's log for another, or headers alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The chain that wrote the log.
    pub source: ChainId,
    /// Headers, by height, ascending; the last one is that of `proof_height` unless the reader knows that already.
    pub headers: Vec<HeaderUpdate>,
    /// Height of the header under whose app hash the outbox is proven; 0 with headers alone.
    pub proof_height: u64,
    /// The writer's leaf `outbox/<reader>`: size and frontier; empty with headers alone.
    pub outbox_leaf: Vec<u8>,
    /// That the leaf stands under that app hash; none with headers alone.
    pub proof: Option<ExistenceProof>,
    /// The entries; none, and the size 0, with headers alone.
    pub log: db3_merkle_log::Delivery,
}

impl Delivery {
    /// Headers alone, for a light client that would fall asleep or that was lied to.
    #[must_use]
    pub fn of_headers(source: ChainId, headers: Vec<HeaderUpdate>) -> Self {
        let log = db3_merkle_log::Delivery { start: 0, entries: Vec::new(), size: 0, right: Vec::new() };
        Self { source, headers, proof_height: 0, outbox_leaf: Vec::new(), proof: None, log }
    }

    /// Whether it brings headers and no entries.
    #[must_use]
    pub fn is_headers_alone(&self) -> bool {
        self.log.entries.is_empty()
    }
}
