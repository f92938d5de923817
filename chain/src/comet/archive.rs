//! `CometBFT` as the keeper of blocks.

use std::time::Duration;

use db3_comet::{Rpc, RpcError};
use db3_primitives::Height;
use tendermint_proto::v0_38::types::Block;
use tokio::runtime::Handle;

use crate::blocks::Archive;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The blocks that a `CometBFT` process keeps.
pub(super) struct CometArchive {
    rpc: Rpc,
    runtime: Handle,
}

impl CometArchive {
    pub(super) fn new(rpc: Rpc, runtime: Handle) -> Self {
        Self { rpc, runtime }
    }

    /// Waits for an answer. A height that it does not keep has none, and so has a process that does not answer.
    fn wait<T>(&self, what: &str, height: Height, answer: impl Future<Output = Result<T, RpcError>>) -> Option<T> {
        match self.runtime.block_on(async { tokio::time::timeout(PATIENCE, answer).await }) {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => {
                tracing::debug!(%height, %error, what, "comet.archive");
                None
            }
            Err(_) => {
                tracing::warn!(%height, what, "comet.archive: no answer in time");
                None
            }
        }
    }
}

impl Archive for CometArchive {
    fn block(&self, height: Height) -> Option<Block> {
        self.wait("block", height, self.rpc.block(height.get()))
    }

    fn light_block(&self, height: Height) -> Option<Vec<u8>> {
        self.wait("light block", height, self.rpc.light_block(height.get()))
    }

    fn priorities(&self, height: Height) -> Option<Vec<i64>> {
        let validators = self.wait("validators", height, self.rpc.validators(height.get()))?;
        Some(validators.iter().map(|validator| validator.priority).collect())
    }
}
