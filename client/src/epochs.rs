//! Epochs of a shard. A written close is proven.

use std::num::NonZeroU64;
use std::time::Duration;

use db3_primitives::{BlockTime, EpochClose, Height, Rejection, key};
use db3_proto::convert::{block_time, checked_epoch};
use db3_proto::v1;
use tonic::transport::Channel;

use crate::chain::{At, Chain, StatePoint};
use crate::client::Client;
use crate::error::ClientError;
use crate::prove;
use crate::wire::{shard, timed};

/// Epochs of one page.
const PAGE_SIZE_MAX: usize = 1_000;

/// An epoch as a shard tells it.
#[derive(Clone, Debug)]
pub struct EpochView {
    /// The message.
    pub message: v1::Epoch,
    /// Its close, if it is written; its bytes agree with the message.
    pub close: Option<EpochClose>,
    /// The state that a proof was checked against; none where it was listed without one.
    pub at: Option<StatePoint>,
}

impl EpochView {
    /// When it began.
    #[must_use]
    pub fn start(&self) -> Option<BlockTime> {
        self.message.start_time.as_ref().and_then(block_time)
    }

    /// When it ends or ended, exclusive.
    #[must_use]
    pub fn end(&self) -> Option<BlockTime> {
        self.message.end_time.as_ref().and_then(block_time)
    }

    /// Last epoch that it stands for: several that held nothing close as one.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.message.last_epoch.max(self.message.epoch)
    }
}

/// Epochs of a shard.
#[derive(Debug)]
pub struct EpochList {
    /// Newest first.
    pub epochs: Vec<EpochView>,
    /// Where older ones were wanted that no node has which was asked, since each came from a snapshot
    /// ([`ClientError::history_from`]).
    pub missing: Option<ClientError>,
}

impl Client {
    /// Epochs of a shard, newest first, up to `limit`.
    pub async fn epochs(&self, shard_number: u32, limit: usize) -> Result<EpochList, ClientError> {
        let chain = self.shard(shard_number)?;
        let mut epochs: Vec<EpochView> = Vec::new();
        let mut token = String::new();
        let mut begins = None;
        while epochs.len() < limit {
            let left = limit.saturating_sub(epochs.len()).min(PAGE_SIZE_MAX);
            let request = v1::ListEpochsRequest {
                from_epoch: None,
                page_size: i32::try_from(left).unwrap_or(i32::MAX),
                page_token: token.clone(),
            };
            let answer = list(chain, request).await?;
            begins = lacks_from(&answer);
            for message in answer.epochs {
                epochs.push(view(chain, self.network().epoch_secs, message, None)?);
            }
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let missing = begins.filter(|_| epochs.len() < limit).map(|from| {
            let older = epochs.iter().rfind(|epoch| epoch.close.is_some()).map(|oldest| oldest.message.epoch);
            let what = match older {
                Some(oldest) => format!("the closes of shard {shard_number} before epoch {oldest}"),
                None => format!("the closes of shard {shard_number}"),
            };
            Rejection::HistoryMissing { what, from: Height::new(from) }.into()
        });
        Ok(EpochList { epochs, missing })
    }

    /// One epoch of a shard; none: the open one. A written close is proven.
    pub async fn epoch(&self, shard_number: u32, epoch: Option<u64>) -> Result<EpochView, ClientError> {
        let chain = self.shard(shard_number)?;
        let asked = chain.read_options(At::default());
        let request = v1::GetEpochRequest { epoch, read: Some(asked) };
        let answer =
            chain.call(|channel, limit| async move { shard(channel).get_epoch(timed(request, limit)).await }).await?;
        let at = chain.check(answer.context.as_ref(), &asked).await?;
        let message = answer.epoch.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no epoch"))?;
        if epoch.is_some_and(|epoch| epoch < message.epoch || epoch > message.last_epoch.max(message.epoch)) {
            return Err(ClientError::proof(&chain.id, "another epoch came than was asked for"));
        }
        let view = view(chain, self.network().epoch_secs, message, Some(at.clone()))?;
        if let (Some(close), true) = (&view.close, at.verified) {
            let value = db3_primitives::leaf::epoch_leaf(close);
            prove::leaf(&at.root, &key::epoch(close.last), Some(&value), &answer.ics23_proof)
                .map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
        }
        Ok(view)
    }
}

/// A page of epochs. Where it ends at a node's history, another endpoint's says what is older.
async fn list(chain: &Chain, request: v1::ListEpochsRequest) -> Result<v1::ListEpochsResponse, ClientError> {
    let call = |channel: Channel, limit: Duration| {
        let request = timed(request.clone(), limit);
        async move { shard(channel).list_epochs(request).await }
    };
    chain.call_whole(call, lacks_from).await
}

/// Where the history begins of a node that lacks closes.
fn lacks_from(answer: &v1::ListEpochsResponse) -> Option<u64> {
    Some(answer.history_from_height).filter(|from| *from > 0)
}

fn view(
    chain: &Chain,
    epoch_secs: NonZeroU64,
    message: v1::Epoch,
    at: Option<StatePoint>,
) -> Result<EpochView, ClientError> {
    let close =
        checked_epoch(&message, epoch_secs).map_err(|error| ClientError::proof(&chain.id, error.to_string()))?;
    Ok(EpochView { message, close, at })
}
