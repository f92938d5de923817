//! Other nodes of one's own chain, asked for headers by a node that comes from a snapshot.

use std::time::Duration;

use bytes::Bytes;

use crate::code::HEIGHTS_MISSING;
use crate::config::ChainEndpoints;
use crate::error::RelayError;
use crate::remote::Remote;

/// Nodes of one chain; the next is asked when one fails.
#[derive(Clone, Debug)]
pub struct Peers {
    remote: Remote,
}

/// A header as a node gives it. Nothing of it has been looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerBlock {
    /// Its height, as the node says.
    pub height: u64,
    /// `tendermint.types.LightBlock`.
    pub light_block: Bytes,
    /// The validators' priorities as proposers, in their order.
    pub priorities: Vec<i64>,
}

impl Peers {
    /// Connects when the first call is made.
    ///
    /// # Errors
    /// There is no endpoint, or one is no URL.
    pub fn new(chain: &ChainEndpoints, timeout: Duration) -> Result<Self, RelayError> {
        Ok(Self { remote: Remote::new(chain, timeout, None)? })
    }

    /// The header of a height (0: the newest); none where the node asked says that it has no such height.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn block(&self, height: u64) -> Result<Option<PeerBlock>, RelayError> {
        match self.remote.sync_block(height).await {
            Ok((block, priorities)) => {
                let light_block = block.tendermint_light_block;
                Ok(Some(PeerBlock { height: block.height, light_block, priorities }))
            }
            Err(RelayError::Call { error, .. })
                if error.rejection_code().is_some_and(|code| HEIGHTS_MISSING.contains(&code)) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
