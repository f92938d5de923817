//! Epochs and statements of a shard, from its outbox: the log of what it tells the settlement chain. The whole log is
//! read and must fold to the frontier that a verified state holds, so no statement can be missing or altered.

use bytes::Bytes;
use db3_merkle_log::Frontier;
use db3_primitives::{Address, ChainId, EpochClose, LogEntry, Tai, key};
use db3_proto::convert::{block_time, checked_epoch, checked_outbox_entry};
use db3_proto::v1;
use std::collections::BTreeMap;

use crate::chain::{At, Chain, StatePoint};
use crate::client::Client;
use crate::error::ClientError;
use crate::prove;
use crate::record::Answer;
use crate::wire::{shard, timed};

const PAGE_SIZE: i32 = 1_000;

/// What one account owes from one shard for the epochs of one close.
#[derive(Clone, Debug)]
pub struct StatementView {
    /// The shard.
    pub shard: u32,
    /// Position in the shard's outbox, from 0.
    pub index: u64,
    /// Who owes.
    pub account: Address,
    /// All that the account had spent on the shard before.
    pub previous: Tai,
    /// All that it has spent up to the close.
    pub cumulative: Tai,
    /// The difference: what this statement adds.
    pub amount: Tai,
    /// The close that it belongs to; none while the close is still being written.
    pub close: Option<EpochClose>,
}

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

impl Client {
    /// All statements of a shard in the order in which they were written; proven complete.
    pub async fn statements(&self, shard_number: u32) -> Result<Answer<Vec<StatementView>>, ClientError> {
        let chain = self.shard(shard_number)?;
        let (entries, at) = self.outbox(shard_number, chain).await?;
        let mut sums: BTreeMap<Address, Tai> = BTreeMap::new();
        let mut statements: Vec<StatementView> = Vec::new();
        let mut unclosed = 0usize;
        for (index, entry) in (0u64..).zip(entries) {
            match entry {
                LogEntry::Statement(statement) => {
                    let previous = sums.insert(statement.account, statement.cumulative).unwrap_or_default();
                    statements.push(StatementView {
                        shard: shard_number,
                        index,
                        account: statement.account,
                        previous,
                        cumulative: statement.cumulative,
                        amount: statement.cumulative.saturating_sub(previous),
                        close: None,
                    });
                }
                LogEntry::EpochClose(close) => {
                    for statement in statements.iter_mut().skip(unclosed) {
                        statement.close = Some(close);
                    }
                    unclosed = statements.len();
                }
            }
        }
        Ok(Answer { value: statements, at })
    }

    /// The whole outbox to the settlement chain, checked against a verified state.
    async fn outbox(&self, number: u32, chain: &Chain) -> Result<(Vec<LogEntry>, StatePoint), ClientError> {
        let destination = ChainId::settlement(&self.network().name);
        let mut entries = Vec::new();
        let mut log = Frontier::new();
        let mut token = String::new();
        let mut point: Option<StatePoint> = None;
        loop {
            let asked =
                chain.read_options(At { height: point.as_ref().map_or(0, |point| point.height), with_header: false });
            let request = v1::ListOutboxRequest {
                destination: destination.as_str().to_owned(),
                page_size: PAGE_SIZE,
                page_token: token.clone(),
                read: Some(asked),
                ..v1::ListOutboxRequest::default()
            };
            let answer = chain
                .call(|channel, limit| {
                    let request = request.clone();
                    async move { crate::wire::chain(channel).list_outbox(timed(request, limit)).await }
                })
                .await?;
            let at = chain.check(answer.context.as_ref(), &asked).await?;
            for entry in &answer.entries {
                let checked = checked_outbox_entry(entry, number.into(), self.network().epoch_secs)
                    .map_err(|error| ClientError::proof(&chain.id, error.to_string()))?;
                log.append(&entry.leaf);
                entries.push(checked);
            }
            if answer.next_page_token.is_empty() {
                check_outbox(&destination, &log, &answer, &at).map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
                return Ok((entries, at));
            }
            token = answer.next_page_token;
            point = Some(at);
        }
    }

    /// Epochs of a shard, newest first, the open one included; the node's word.
    pub async fn epochs(&self, shard_number: u32, limit: usize) -> Result<Vec<EpochView>, ClientError> {
        let chain = self.shard(shard_number)?;
        let mut epochs = Vec::new();
        let mut token = String::new();
        while epochs.len() < limit {
            let left = limit.saturating_sub(epochs.len()).min(1_000);
            let request = v1::ListEpochsRequest {
                from_epoch: None,
                page_size: i32::try_from(left).unwrap_or(PAGE_SIZE),
                page_token: token.clone(),
            };
            let answer = chain
                .call(|channel, limit| {
                    let request = request.clone();
                    async move { shard(channel).list_epochs(timed(request, limit)).await }
                })
                .await?;
            for message in answer.epochs {
                epochs.push(self.epoch_view(chain, message, None)?);
            }
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        Ok(epochs)
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
        let view = self.epoch_view(chain, message, Some(at.clone()))?;
        if let (Some(close), true) = (&view.close, at.verified) {
            let value = db3_primitives::leaf::epoch_leaf(close);
            prove::leaf(&at.root, &key::epoch(close.last), Some(&value), &answer.ics23_proof)
                .map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
        }
        Ok(view)
    }

    fn epoch_view(&self, chain: &Chain, message: v1::Epoch, at: Option<StatePoint>) -> Result<EpochView, ClientError> {
        let close = checked_epoch(&message, self.network().epoch_secs)
            .map_err(|error| ClientError::proof(&chain.id, error.to_string()))?;
        Ok(EpochView { message, close, at })
    }
}

impl EpochView {
    /// When it began.
    #[must_use]
    pub fn start(&self) -> Option<db3_primitives::BlockTime> {
        self.message.start_time.as_ref().and_then(block_time)
    }

    /// When it ends or ended, exclusive.
    #[must_use]
    pub fn end(&self) -> Option<db3_primitives::BlockTime> {
        self.message.end_time.as_ref().and_then(block_time)
    }
}

fn check_outbox(
    destination: &ChainId,
    log: &Frontier,
    answer: &v1::ListOutboxResponse,
    at: &StatePoint,
) -> Result<(), String> {
    if !at.verified {
        return Ok(());
    }
    let empty = answer.stored.is_empty();
    let stored: Option<&Bytes> = (!empty).then_some(&answer.stored);
    prove::leaf(&at.root, &key::outbox(destination), stored.map(AsRef::as_ref), &answer.ics23_proof)?;
    let folds = if empty { log.size() == 0 } else { log.to_bytes() == answer.stored };
    if folds { Ok(()) } else { Err("the entries that came are not those of the proven log".to_owned()) }
}
