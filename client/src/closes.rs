//! Closes of shards' epochs as the settlement chain has taken them in: each is proven to stand in the log that has arrived.

use db3_primitives::{BlockTime, ChainId, EpochClose, LogEntry, ShardId, key};
use db3_proto::convert::{block_time, checked_epoch};
use db3_proto::v1;

use crate::chain::{At, Chain};
use crate::client::Client;
use crate::error::ClientError;
use crate::log_proof::under_frontier;
use crate::wire::{settlement, timed};

/// A close that has arrived.
#[derive(Clone, Debug)]
pub struct ArrivedClose {
    /// The close.
    pub close: EpochClose,
    /// Its position in the shard's log, from 0; its statements stand right before it.
    pub index: u64,
    /// Time of the settlement chain's block that took it in; the node's word.
    pub received_time: Option<BlockTime>,
    /// Whether it is proven to stand in the log that has arrived.
    pub verified: bool,
}

impl ArrivedClose {
    /// Whether a statement at this position of the shard's log is one of its own.
    #[must_use]
    pub fn has_statement(&self, index: u64) -> bool {
        (self.index.saturating_sub(self.close.statements)..self.index).contains(&index)
    }
}

impl Client {
    /// The close that covers an epoch of a shard, as the settlement chain took it in; none where it has not yet.
    pub async fn arrived_close(&self, shard: u32, epoch: u64) -> Result<Option<ArrivedClose>, ClientError> {
        let found = self.arrived_closes(shard, Some(epoch), 1).await?.pop();
        Ok(found.filter(|one| (one.close.first.get()..=one.close.last.get()).contains(&epoch)))
    }

    /// Closes of a shard that the settlement chain has taken in, newest first: from the one of an epoch, or the one
    /// before, on; up to `limit`.
    pub async fn arrived_closes(
        &self,
        shard: u32,
        from_epoch: Option<u64>,
        limit: usize,
    ) -> Result<Vec<ArrivedClose>, ClientError> {
        let chain = self.settlement()?;
        let mut closes: Vec<ArrivedClose> = Vec::new();
        let mut token = String::new();
        while closes.len() < limit {
            let asked = chain.read_options(At::default());
            let left = limit.saturating_sub(closes.len());
            let request = v1::ListClosesRequest {
                shard,
                from_epoch,
                page_size: i32::try_from(left.min(1_000)).unwrap_or(1_000),
                page_token: token,
                read: Some(asked),
            };
            let answer = chain
                .call(|channel, limit| {
                    let request = timed(request.clone(), limit);
                    async move { settlement(channel).list_closes(request).await }
                })
                .await?;
            for message in answer.closes {
                closes.push(self.arrived(chain, shard, &asked, message).await?);
            }
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        Ok(closes)
    }

    async fn arrived(
        &self,
        chain: &Chain,
        shard: u32,
        asked: &v1::ReadOptions,
        message: v1::ShardClose,
    ) -> Result<ArrivedClose, ClientError> {
        let flawed = |flaw: String| ClientError::proof(&chain.id, flaw);
        let epoch = message.epoch.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no close"))?;
        let close = checked_epoch(&epoch, self.network().epoch_secs).map_err(|error| flawed(error.to_string()))?;
        let close = close.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no close"))?;
        if close.shard != ShardId::new(shard) {
            return Err(flawed("the close of another shard came than was asked for".to_owned()));
        }
        let received_time = message.received_time.as_ref().and_then(block_time);
        if !asked.prove {
            return Ok(ArrivedClose { close, index: message.index, received_time, verified: false });
        }
        let proof = message.proof.as_ref().ok_or_else(|| flawed("the close came without proof".to_owned()))?;
        let at = chain.check(proof.context.as_ref(), asked).await?;
        let source = ChainId::shard(&self.network().name, ShardId::new(shard));
        let leaf = LogEntry::EpochClose(close).to_bytes();
        let place = under_frontier(&leaf, proof, &key::inbox(&source), at).map_err(flawed)?;
        Ok(ArrivedClose { close, index: place.index, received_time, verified: place.at.verified })
    }
}
