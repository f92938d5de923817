//! What chains hear from one another: how far each has taken in the others' logs, and how fresh the headers are that it
//! trusts. The cursor is proven; headers, sizes and faults are the node's word.

use db3_merkle_log::Frontier;
use db3_primitives::{BlockTime, ChainId, key};
use db3_proto::convert::block_time;
use db3_proto::v1;

use crate::chain::{At, Chain};
use crate::client::Client;
use crate::error::ClientError;
use crate::prove;
use crate::wire::{chain as chain_service, timed};

/// The reading end of one chain's log.
#[derive(Clone, Debug)]
pub struct InboxView {
    /// The chain that reads.
    pub reader: String,
    /// What it has taken in: size and hashes of the log so far.
    pub frontier: Frontier,
    /// What its node says besides.
    pub message: v1::Inbox,
}

impl InboxView {
    /// The chain that writes.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.message.source
    }

    /// Next entry to apply, from 0.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.frontier.size()
    }

    /// Time of the newest header of the writer that the reader trusts.
    #[must_use]
    pub fn trusted_time(&self) -> Option<BlockTime> {
        self.message.trusted_time.as_ref().and_then(block_time)
    }
}

impl Client {
    /// What every chain of the network hears: settlement from every shard, and every shard from settlement.
    pub async fn inboxes(&self) -> Result<Vec<InboxView>, ClientError> {
        let mut all = Vec::new();
        for chain in self.chains() {
            all.extend(self.inboxes_of(chain, "").await?);
        }
        Ok(all)
    }

    /// What the settlement chain hears from the shards.
    pub async fn settlement_inboxes(&self) -> Result<Vec<InboxView>, ClientError> {
        self.inboxes_of(self.settlement()?, "").await
    }

    /// What a shard hears from the settlement chain.
    pub async fn shard_inboxes(&self, shard: u32) -> Result<Vec<InboxView>, ClientError> {
        self.inboxes_of(self.shard(shard)?, "").await
    }

    /// What one chain hears: from `source`, or from all where that is empty.
    pub(crate) async fn inboxes_of(&self, chain: &Chain, source: &str) -> Result<Vec<InboxView>, ClientError> {
        let asked = chain.read_options(At::default());
        let request = v1::GetInboxRequest { source: source.to_owned(), read: Some(asked) };
        let answer = chain
            .call(|channel, limit| {
                let request = timed(request.clone(), limit);
                async move { chain_service(channel).get_inbox(request).await }
            })
            .await?;
        let at = chain.check(answer.context.as_ref(), &asked).await?;
        let view = |message: v1::Inbox| {
            let flawed = |flaw: String| ClientError::proof(&chain.id, flaw);
            if !source.is_empty() && message.source != source {
                return Err(flawed("the inbox of another chain came than was asked for".to_owned()));
            }
            let writer: ChainId =
                message.source.parse().map_err(|_| flawed(format!("`{}` is no chain", message.source)))?;
            let frontier = if message.stored.is_empty() {
                Frontier::new()
            } else {
                Frontier::from_bytes(&message.stored).map_err(|error| flawed(error.to_string()))?
            };
            if at.verified {
                let stored = Some(message.stored.as_ref()).filter(|stored: &&[u8]| !stored.is_empty());
                prove::leaf(&at.root, &key::inbox(&writer), stored, &message.ics23_proof).map_err(flawed)?;
            }
            if frontier.size() != message.cursor {
                return Err(flawed("the cursor is not that of the proven log".to_owned()));
            }
            Ok(InboxView { reader: chain.id.clone(), frontier, message })
        };
        answer.inboxes.into_iter().map(view).collect()
    }
}
