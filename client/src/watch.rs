//! Following the changes of a table. Every change is read back with proof before it is given out; one that was overtaken
//! by a newer one before that is left out, since the newer one comes next.

use std::collections::VecDeque;

use bytes::Bytes;
use db3_primitives::{MutationId, Namespace, RecordKey, TableName};
use db3_proto::v1;
use db3_proto::v1::subscribe_response::Event;
use tokio::time::{Instant, sleep, timeout};
use tonic::Streaming;

use crate::chain::Backoff;
use crate::client::Client;
use crate::error::ClientError;
use crate::record::Record;
use crate::wire::{Attempt, chain as chain_service};

/// A node sends something at least every 15 s; a stream that is silent for this long is dead.
const SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(45);
/// Keys that are read back at once.
const KEYS_AT_ONCE: usize = 100;

/// A change of a record.
#[derive(Clone, Debug)]
pub struct Change {
    /// Height of the block that made it.
    pub height: u64,
    /// The mutation that made it.
    pub mutation_id: Option<MutationId>,
    /// The key.
    pub key: RecordKey,
    /// The record now; none where it was removed.
    pub record: Option<Record>,
    /// Whether that was proven.
    pub verified: bool,
}

/// A table being followed.
pub struct Watch<'c> {
    client: &'c Client,
    namespace: Namespace,
    table: TableName,
    prefix: Vec<u8>,
    stream: Option<Streaming<v1::SubscribeResponse>>,
    cursor: String,
    pending: Vec<v1::RecordChange>,
    ready: VecDeque<Change>,
}

impl Client {
    /// Follows a table's keys with a prefix, from now on.
    pub async fn watch(&self, namespace: &str, table: &str, prefix: &[u8]) -> Result<Watch<'_>, ClientError> {
        let mut watch = Watch {
            client: self,
            namespace: namespace.parse()?,
            table: table.parse()?,
            prefix: prefix.to_vec(),
            stream: None,
            cursor: String::new(),
            pending: Vec::new(),
            ready: VecDeque::new(),
        };
        watch.open().await?;
        Ok(watch)
    }
}

impl Watch<'_> {
    /// The next change. Goes on by itself where the connection breaks.
    pub async fn next(&mut self) -> Result<Change, ClientError> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            let Some(stream) = &mut self.stream else {
                self.open().await?;
                continue;
            };
            if let Ok(Ok(Some(message))) = timeout(SILENCE_MAX, stream.message()).await {
                self.take(message).await?;
            } else {
                // Ended, broken or silent: what was not given out comes again after the cursor.
                self.stream = None;
                self.pending.clear();
            }
        }
    }

    async fn open(&mut self) -> Result<(), ClientError> {
        let chain = self.client.chain_of(&self.namespace)?;
        let filter = v1::RecordFilter {
            namespace: self.namespace.as_str().to_owned(),
            table: self.table.as_str().to_owned(),
            key_prefix: Bytes::copy_from_slice(&self.prefix),
        };
        let begin = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            let request =
                v1::SubscribeRequest { blocks: true, records: vec![filter.clone()], resume_after: self.cursor.clone() };
            let (url, channel) = chain.endpoint();
            let mut service = chain_service(channel.clone());
            let opened = timeout(chain.options.timeout, service.subscribe(request)).await.ok();
            let detail = match Attempt::of(opened) {
                Attempt::Answered(stream) => {
                    chain.note_answer();
                    self.stream = Some(stream);
                    return Ok(());
                }
                Attempt::Refused(refusal) => return Err(ClientError::Rejected(refusal)),
                Attempt::Unclear(detail) => return Err(ClientError::malformed(&chain.id, detail)),
                Attempt::Busy { detail, .. } => detail,
                Attempt::Lost { detail, .. } => {
                    chain.try_next_endpoint();
                    detail
                }
            };
            let wait = backoff.next();
            if chain.gives_up(begin, wait) {
                return Err(chain.unreachable(url, detail));
            }
            sleep(wait).await;
        }
    }

    async fn take(&mut self, message: v1::SubscribeResponse) -> Result<(), ClientError> {
        match message.event {
            Some(Event::Change(change)) => self.pending.push(change),
            // A block comes after the changes of its records.
            Some(Event::Block(block)) => {
                self.settle(block.height).await?;
                self.cursor = message.cursor;
            }
            Some(Event::Heartbeat(_)) | None => {}
        }
        Ok(())
    }

    async fn settle(&mut self, height: u64) -> Result<(), ClientError> {
        let changes = std::mem::take(&mut self.pending);
        let chain = self.client.chain_of(&self.namespace)?;
        // A read goes at or above this height.
        chain.wrote_at(height);
        for some in changes.chunks(KEYS_AT_ONCE) {
            let keys = some.iter().map(|change| {
                RecordKey::new(change.record.as_ref().map(|record| record.key.to_vec()).unwrap_or_default())
            });
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            let answer = self.client.get_many(self.namespace.as_str(), self.table.as_str(), &keys).await?;
            let verified = answer.at.verified;
            for ((change, key), record) in some.iter().zip(keys).zip(answer.value) {
                let version = change.record.as_ref().map_or(0, |record| record.version);
                let stands = match &record {
                    Some(record) => !change.deleted && record.version == version,
                    None => change.deleted,
                };
                if stands {
                    let mutation_id = change.mutation_id.as_ref().try_into().ok().map(MutationId);
                    self.ready.push_back(Change { height: change.height, mutation_id, key, record, verified });
                }
            }
        }
        Ok(())
    }
}
