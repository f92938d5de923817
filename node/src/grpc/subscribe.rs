//! `Subscribe`: blocks, changed records, or both, as they come; after a break, from where the caller stopped.
//!
//! A cursor names a block and the last message of it that was sent, counted over all changes of the block, so that it
//! holds for other filters too.

use db3_chain::{BlockEventOf, Change, StoredReceipt};
use db3_primitives::{BlockTime, Height, Namespace, Rejection, TableName, limits};
use db3_proto::convert::request::invalid;
use db3_proto::convert::{record_message, record_name_message, timestamp};
use db3_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use super::Node;
use super::follow::{Follower, Step};
use super::refusal::{Refusal, named};
use super::token::{PageToken, Question};
use crate::kind::Kind;

/// Most filters of one stream.
const FILTERS_MAX: usize = 100;
/// Messages that wait for the caller to read them.
const MESSAGES_MAX: usize = 64;
/// The place of the block's own message, after all its changes.
const BLOCK_PLACE: u64 = u64::MAX;

type Message = Result<v1::SubscribeResponse, Status>;

/// A place in a chain's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The block.
    pub height: u64,
    /// The message of it, from 0; the largest number: the whole block.
    pub index: u64,
}

impl Place {
    /// The end of a block.
    pub fn end_of(height: u64) -> Self {
        Self { height, index: BLOCK_PLACE }
    }

    /// The cursor's text; `call` is the stream that it belongs to.
    pub fn seal(self, call: &str) -> String {
        PageToken { height: self.height, cursor: self.index.to_be_bytes().to_vec() }.seal(Question::new(call, &[]))
    }

    /// Reads a cursor's text; none if it is empty.
    pub fn open(text: &str, call: &str) -> Result<Option<Self>, Rejection> {
        let Some(token) = PageToken::open(text, Question::new(call, &[]))? else { return Ok(None) };
        let index = token.cursor.as_slice().try_into().map_err(|_| Rejection::PageTokenInvalid)?;
        Ok(Some(Self { height: token.height, index: u64::from_be_bytes(index) }))
    }

    /// The height after which events are asked for, so that the rest of a half-sent block comes again.
    pub fn after(self) -> Height {
        Height::new(if self.index == BLOCK_PLACE { self.height } else { self.height.saturating_sub(1) })
    }
}

struct Filter {
    namespace: Namespace,
    table: Option<TableName>,
    key_prefix: bytes::Bytes,
}

impl Filter {
    fn read(at: usize, filter: v1::RecordFilter) -> Result<Self, Refusal> {
        if filter.key_prefix.len() > limits::KEY_BYTES_MAX {
            let detail =
                format!("has {} bytes; no key has more than {}", filter.key_prefix.len(), limits::KEY_BYTES_MAX);
            return Err(invalid(&format!("records[{at}].key_prefix"), detail).into());
        }
        Ok(Self {
            namespace: named(&format!("records[{at}].namespace"), &filter.namespace)?,
            table: if filter.table.is_empty() {
                None
            } else {
                Some(named(&format!("records[{at}].table"), &filter.table)?)
            },
            key_prefix: filter.key_prefix,
        })
    }

    fn selects(&self, namespace: &Namespace, change: &Change<'_>) -> bool {
        self.namespace == *namespace
            && self.table.as_ref().is_none_or(|table| table == change.table)
            && change.key.as_bytes().starts_with(&self.key_prefix)
    }
}

/// One caller's stream.
struct Subscription<K: Kind> {
    node: Node<K>,
    blocks: bool,
    filters: Vec<Filter>,
    sent: Place,
    messages: mpsc::Sender<Message>,
}

/// The caller is gone.
struct Gone;

impl<K: Kind> Node<K> {
    pub(crate) fn subscribe(
        &self,
        request: v1::SubscribeRequest,
        place: OwnedSemaphorePermit,
    ) -> Result<mpsc::Receiver<Message>, Refusal> {
        const CALL: &str = "Subscribe";
        if request.records.len() > FILTERS_MAX {
            return Err(Rejection::TooManyItems { count: request.records.len() as u64, max: FILTERS_MAX as u64 }.into());
        }
        if !request.records.is_empty() && !K::HAS_RECORDS {
            return Err(invalid("records", "is not empty; this chain has no records, its shards have").into());
        }
        if !request.blocks && request.records.is_empty() {
            return Err(invalid("records", "is empty and blocks is not set; there would be nothing to send").into());
        }
        let filters = request
            .records
            .into_iter()
            .enumerate()
            .map(|(at, filter)| Filter::read(at, filter))
            .collect::<Result<Vec<_>, _>>()?;
        let resumed = Place::open(&request.resume_after, CALL)?;
        let sent = resumed.unwrap_or_else(|| Place::end_of(self.chain.committed().height.get()));
        let follower = self.follow(sent.after());
        let (messages, receiver) = mpsc::channel(MESSAGES_MAX);
        let subscription = Subscription { node: self.clone(), blocks: request.blocks, filters, sent, messages };
        tokio::spawn(async move {
            subscription.run(follower).await;
            drop(place);
        });
        Ok(receiver)
    }
}

impl<K: Kind> Subscription<K> {
    async fn run(mut self, mut follower: Follower<K>) {
        loop {
            let sent = match follower.next(&self.messages).await {
                Step::Block(event) => self.send_block(&event).await,
                Step::Beat => self.heartbeat().await,
                Step::End(status) => {
                    // The caller sees why, unless it is gone too.
                    let _ = self.messages.send(Err(status)).await;
                    return;
                }
                Step::Gone => return,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    async fn send_block(&mut self, event: &BlockEventOf<K::Machine>) -> Result<(), Gone> {
        let height = event.height().get();
        let mut index = 0_u64;
        for mutation in &event.mutations {
            let Some(namespace) = &mutation.receipt.namespace else { continue };
            for change in K::changes(mutation) {
                let place = Place { height, index };
                index = index.saturating_add(1);
                if place <= self.sent || !self.filters.iter().any(|filter| filter.selects(namespace, &change)) {
                    continue;
                }
                let message = change_message((event.height(), event.time()), &mutation.receipt, namespace, &change);
                self.send(place, v1::subscribe_response::Event::Change(message)).await?;
            }
        }
        let place = Place::end_of(height);
        if self.blocks && place > self.sent {
            let block = self.node.block_message(&event.summary);
            self.send(place, v1::subscribe_response::Event::Block(block)).await?;
        }
        self.sent = place;
        Ok(())
    }

    async fn heartbeat(&mut self) -> Result<(), Gone> {
        let beat = heartbeat(&self.node);
        self.send(self.sent, v1::subscribe_response::Event::Heartbeat(beat)).await
    }

    async fn send(&mut self, place: Place, event: v1::subscribe_response::Event) -> Result<(), Gone> {
        let message = v1::SubscribeResponse { cursor: place.seal("Subscribe"), event: Some(event) };
        self.messages.send(Ok(message)).await.map_err(|_| Gone)?;
        self.sent = place;
        Ok(())
    }
}

/// The sign of life of a stream.
pub fn heartbeat<K: Kind>(node: &Node<K>) -> v1::Heartbeat {
    let version = node.chain.committed();
    v1::Heartbeat { height: version.height.get(), block_time: Some(timestamp(version.time)) }
}

fn change_message(
    (height, time): (Height, BlockTime),
    receipt: &StoredReceipt,
    namespace: &Namespace,
    change: &Change<'_>,
) -> v1::RecordChange {
    let (table, key) = (change.table, change.key.as_bytes());
    let record = match change.value {
        Some(value) => {
            let header = db3_primitives::RecordHeader {
                owner: receipt.account,
                version: change.version,
                height: height.get(),
                time_secs: time.secs,
            };
            record_message(namespace, table, key, &header, value)
        }
        None => v1::Record { version: change.version, ..record_name_message(namespace, table, key) },
    };
    v1::RecordChange {
        height: height.get(),
        index: receipt.index,
        operation_index: change.operation,
        mutation_id: bytes::Bytes::copy_from_slice(receipt.id.as_bytes()),
        deleted: change.value.is_none(),
        record: Some(record),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_cursor_in_a_block_asks_for_the_rest_of_it() {
        let half = Place { height: 9, index: 3 };
        assert_eq!(half.after(), Height::new(8));
        assert_eq!(Place::end_of(9).after(), Height::new(9));
        assert_eq!(Place::open(&half.seal("Subscribe"), "Subscribe").unwrap(), Some(half));
        assert!(Place::open(&half.seal("Subscribe"), "WatchReceipts").is_err());
        assert_eq!(Place::open("", "Subscribe").unwrap(), None);
    }

    #[test]
    fn filters_select_by_namespace_table_and_prefix() {
        let filter = Filter::read(
            0,
            v1::RecordFilter {
                namespace: "ns".to_owned(),
                table: "t".to_owned(),
                key_prefix: bytes::Bytes::from_static(b"a"),
            },
        )
        .unwrap();
        let (table, other): (TableName, TableName) = ("t".parse().unwrap(), "u".parse().unwrap());
        let key = db3_primitives::RecordKey::try_from(&b"ab"[..]).unwrap();
        let change = |table| Change { operation: 0, table, key: &key, value: None, version: 0 };
        assert!(filter.selects(&"ns".parse().unwrap(), &change(&table)));
        assert!(!filter.selects(&"ns2".parse().unwrap(), &change(&table)));
        assert!(!filter.selects(&"ns".parse().unwrap(), &change(&other)));
    }
}
