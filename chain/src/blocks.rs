//! Where blocks and headers are read: in this node's files, and where those have none, in the engine that keeps them
//! itself. (`CometBFT` keeps its blocks; this node keeps the headers that it has seen as the newest.)
//!
//! Reading may ask another process and waits for it: call it on a thread that may block.

use std::sync::{Arc, OnceLock};

use db3_primitives::Height;
use tendermint_proto::v0_38::types::Block;

use crate::store::{Store, StoreError};

/// Blocks that an engine keeps. It waits for its answers.
pub(crate) trait Archive: Send + Sync {
    /// The block of a height; none where it has none or does not answer.
    fn block(&self, height: Height) -> Option<Block>;
    /// The same of `tendermint.types.LightBlock`.
    fn light_block(&self, height: Height) -> Option<Vec<u8>>;
    /// The same of the validators' priorities as proposers.
    fn priorities(&self, height: Height) -> Option<Vec<i64>>;
}

/// The blocks of one chain.
pub(crate) struct Blocks {
    store: Arc<Store>,
    archive: OnceLock<Box<dyn Archive>>,
}

impl Blocks {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, archive: OnceLock::new() }
    }

    /// Names the engine that keeps what the files have not.
    pub(crate) fn set_archive(&self, archive: Box<dyn Archive>) {
        // There is one engine.
        let _ = self.archive.set(archive);
    }

    /// A block; none where it is pruned or not yet made.
    pub(crate) fn block(&self, height: Height) -> Result<Option<Block>, StoreError> {
        match self.store.block(height)? {
            Some(block) => Ok(Some(block)),
            None => Ok(self.archive.get().and_then(|archive| archive.block(height))),
        }
    }

    /// Header, commit and validators of a height, `tendermint.types.LightBlock`; none where it is pruned or not yet
    /// made.
    pub(crate) fn light_block(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        match self.store.light_block(height)? {
            Some(bytes) => Ok(Some(bytes)),
            None => Ok(self.archive.get().and_then(|archive| archive.light_block(height))),
        }
    }

    /// The priorities as proposers of the validators of a height, in their order; none where the engine does not know
    /// them, or has no such thing.
    pub(crate) fn priorities(&self, height: Height) -> Vec<i64> {
        self.archive.get().and_then(|archive| archive.priorities(height)).unwrap_or_default()
    }
}
