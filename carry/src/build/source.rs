//! A chain whose state is its outboxes.

use std::collections::BTreeMap;

use db3_light_client::build::{BuildError, HeaderChain};
use db3_light_client::{Options, TrustRootError, UnixTime};
use db3_merkle_log::{DeliverError, EntryTooLong, LogSource, deliver};
use db3_primitives::{ChainId, key};
use db3_state_tree::{BatchError, Proof, Tree};

use super::log::WrittenLog;
use crate::delivery::{Delivery, HeaderUpdate};
use crate::peer::Peer;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Source {
    chain_id: ChainId,
    headers: HeaderChain,
    logs: BTreeMap<ChainId, WrittenLog>,
    /// The state whose root the header of height n carries, at n − 1.
    states: Vec<Tree>,
}

/// What cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The validators are none.
    #[error(transparent)]
    Root(#[from] TrustRootError),
    /// A header.
    #[error(transparent)]
    Header(#[from] BuildError),
    /// An entry.
    #[error(transparent)]
    Entry(#[from] EntryTooLong),
    /// A state.
    #[error(transparent)]
    State(#[from] BatchError),
    /// A piece of a log.
    #[error("no piece of the log: {detail}")]
    Log {
        /// What is wrong.
        detail: String,
    },
    /// No header, no outbox, or no entry that is proven at that height.
    #[error("nothing is proven to {destination} at height {height}")]
    NothingProven {
        /// The reader.
        destination: ChainId,
        /// The height asked for.
        height: u64,
    },
}

impl Source {
    /// A chain whose validators have the keys of these seeds, with their power.
    pub fn new(chain_id: ChainId, validators: &[([u8; 32], u64)], genesis_time: UnixTime) -> Result<Self, SourceError> {
        let headers = HeaderChain::new(chain_id.as_str(), validators, genesis_time)?;
        Ok(Self { chain_id, headers, logs: BTreeMap::new(), states: Vec::new() })
    }

    /// Its id.
    #[must_use]
    pub fn chain_id(&self) -> &ChainId {
        &self.chain_id
    }

    /// How a reader's genesis names it.
    #[must_use]
    pub fn peer(&self, options: Options) -> Peer {
        Peer { root: self.headers.root().clone(), options }
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderChain {
        &self.headers
    }

    /// Its headers, to change the validators.
    pub fn headers_mut(&mut self) -> &mut HeaderChain {
        &mut self.headers
    }

    /// The log for a reader, if anything was written for it.
    #[must_use]
    pub fn log(&self, destination: &ChainId) -> Option<&WrittenLog> {
        self.logs.get(destination)
    }

    /// Writes an entry for a reader and returns its index. The next block's header proves it.
    pub fn append(&mut self, destination: &ChainId, entry: &[u8]) -> Result<u64, SourceError> {
        Ok(self.logs.entry(destination.clone()).or_default().append(entry)?)
    }

    /// Makes a block whose header proves all that was written before, and returns its height.
    pub fn block(&mut self, time: UnixTime) -> Result<u64, SourceError> {
        let leaf =
            |(destination, log): (&ChainId, &WrittenLog)| (key::outbox(destination), Some(log.frontier().to_bytes()));
        let mut batch: Vec<_> = self.logs.iter().map(leaf).collect();
        batch.sort();
        let state = Tree::new().apply(batch)?;
        let height = self.headers.make(state.root(), time)?;
        self.states.push(state);
        Ok(height)
    }

    /// An honest delivery under the newest header, for a reader whose cursor is `from` and who trusts the header of
    /// `trusted_height` (or the root): with at most `byte_limit` bytes of entries (but always one), or of that header alone where
    /// there is no entry to deliver.
    pub fn delivery(
        &self,
        destination: &ChainId,
        from: u64,
        byte_limit: usize,
        trusted_height: u64,
    ) -> Result<Delivery, SourceError> {
        self.delivery_at(self.headers.height(), destination, from, byte_limit, trusted_height)
    }

    /// As [`delivery`](Self::delivery), under the header of this height.
    pub fn delivery_at(
        &self,
        height: u64,
        destination: &ChainId,
        from: u64,
        byte_limit: usize,
        trusted_height: u64,
    ) -> Result<Delivery, SourceError> {
        let nothing = || SourceError::NothingProven { destination: destination.clone(), height };
        let headers: Vec<HeaderUpdate> = header_update(&self.headers, height, trusted_height).into_iter().collect();
        let position = usize::try_from(height).ok().and_then(|height| height.checked_sub(1));
        let state = position.and_then(|position| self.states.get(position)).ok_or_else(nothing)?;
        match self.logs.get(destination) {
            Some(log) => {
                let delivery =
                    assemble(&self.chain_id, headers.clone(), height, state, destination, log, from, byte_limit)?;
                Ok(delivery.unwrap_or_else(|| Delivery::of_headers(self.chain_id.clone(), headers)))
            }
            None => Ok(Delivery::of_headers(self.chain_id.clone(), headers)),
        }
    }
}

/// The header of a height for a reader who trusts that of another; none, where that is not above it or was not made.
#[must_use]
pub fn header_update(headers: &HeaderChain, height: u64, trusted_height: u64) -> Option<HeaderUpdate> {
    if height <= trusted_height {
        return None;
    }
    let named = headers.next_validators(trusted_height)?;
    let needed = height > trusted_height.saturating_add(1)
        && named.hash() != headers.validators(height)?.hash()
        && named.hash() != headers.root().validators().hash();
    Some(HeaderUpdate {
        light_block: headers.light_block(height)?.to_vec(),
        trusted_next_validators: needed.then(|| named.to_proto_bytes()),
    })
}

/// An honest delivery of any chain: `state` is the one whose root the header of `height` carries, and `log` has the entries for
/// `destination`. None, where the log has no entry from `from` on that this state proves.
#[expect(clippy::too_many_arguments, reason = "what a delivery is made from; a struct would say each name twice")]
pub fn assemble(
    source: &ChainId,
    headers: Vec<HeaderUpdate>,
    height: u64,
    state: &Tree,
    destination: &ChainId,
    log: &impl LogSource<Error: std::fmt::Display>,
    from: u64,
    byte_limit: usize,
) -> Result<Option<Delivery>, SourceError> {
    let outbox_key = key::outbox(destination);
    let Proof::Exists(proof) = state.prove(&outbox_key) else { return Ok(None) };
    let bad = |detail: String| SourceError::Log { detail };
    let size = db3_merkle_log::Frontier::from_bytes(&proof.value).map_err(|error| bad(error.to_string()))?.size();
    if from >= size {
        return Ok(None);
    }
    let piece = deliver(log, from, size, byte_limit).map_err(|error: DeliverError<_>| bad(error.to_string()))?;
    Ok(Some(Delivery {
        source: source.clone(),
        headers,
        proof_height: height,
        outbox_leaf: proof.value.clone(),
        proof: Some(proof),
        log: piece,
    }))
}
