//! What a relayer carries: headers for the reader's light client, the proof of the writer's outbox, and a piece of its log.

use db3_light_client::limits::{LIGHT_BLOCK_BYTES_MAX, VALIDATOR_SET_BYTES_MAX};
use db3_merkle_log::limits::{DELIVERY_ENTRIES_MAX, FRONTIER_BYTES_MAX, RIGHT_HASHES_MAX};
use db3_primitives::limits::DELIVERY_HEADERS_MAX;
use db3_primitives::{ChainId, Rejection};
use db3_state_tree::{ExistenceProof, PATH_STEPS_MAX};

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
    /// Headers, by height, ascending; the last one is that of `proof_height`. None, where the reader knows that one.
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

    /// Counts and lengths, and that what belongs together is there; nothing is hashed or verified. A decoder asks this, and
    /// [`Channel::receive`](crate::Channel::receive) asks it again. (The lengths of entries are checked there.)
    pub fn check_form(&self) -> Result<(), Rejection> {
        at_most("headers", self.headers.len(), DELIVERY_HEADERS_MAX)?;
        for header in &self.headers {
            at_most("bytes of a light block", header.light_block.len(), LIGHT_BLOCK_BYTES_MAX)?;
            let set = header.trusted_next_validators.as_ref().map_or(0, Vec::len);
            at_most("bytes of a validator set", set, VALIDATOR_SET_BYTES_MAX)?;
        }
        if self.is_headers_alone() { self.check_headers_alone() } else { self.check_entries() }
    }

    fn check_headers_alone(&self) -> Result<(), Rejection> {
        if self.headers.is_empty() {
            return Err(malformed("it has neither entries nor headers"));
        }
        let log = &self.log;
        let nothing_else = log.start == 0
            && log.size == 0
            && log.right.is_empty()
            && self.proof_height == 0
            && self.outbox_leaf.is_empty()
            && self.proof.is_none();
        if nothing_else { Ok(()) } else { Err(malformed("without entries it has a start, a size, a proof or hashes")) }
    }

    fn check_entries(&self) -> Result<(), Rejection> {
        at_most("entries", self.log.entries.len(), DELIVERY_ENTRIES_MAX)?;
        at_most("hashes to the right", self.log.right.len(), RIGHT_HASHES_MAX)?;
        at_most("bytes of an outbox leaf", self.outbox_leaf.len(), FRONTIER_BYTES_MAX)?;
        let Some(proof) = &self.proof else { return Err(malformed("it has entries and no proof")) };
        at_most("steps of a proof", proof.path.len(), PATH_STEPS_MAX)?;
        if self.proof_height == 0 {
            return Err(malformed("it has entries and names no height for their proof"));
        }
        Ok(())
    }
}

pub(crate) fn malformed(detail: impl Into<String>) -> Rejection {
    Rejection::DeliveryMalformed { detail: detail.into() }
}

fn at_most(what: &str, given: usize, max: usize) -> Result<(), Rejection> {
    if given <= max { Ok(()) } else { Err(malformed(format!("{given} {what}, and at most {max} are allowed"))) }
}
