//! `ListOutbox`: the entries of the log for another chain, and what a delivery of them needs.

use std::sync::Arc;

use bytes::Bytes;
use db3_chain::{Log, Machine as _, OutboxPage};
use db3_primitives::{ChainId, Rejection, key, limits};
use db3_proto::convert::request::{invalid, page_size};
use db3_proto::v1;
use tokio::time::Instant;

use super::Node;
use super::context::View;
use super::refusal::{Refusal, chain_id};
use super::token::{PageToken, Question};
use crate::kind::{Kind, State};

impl<K: Kind> Node<K> {
    pub(crate) async fn list_outbox(
        &self,
        request: v1::ListOutboxRequest,
        deadline: Instant,
    ) -> Result<v1::ListOutboxResponse, Refusal> {
        let items = page_size(request.page_size)?;
        let question =
            Question::new("ListOutbox", &[request.destination.as_bytes(), &request.start_index.to_be_bytes()]);
        let token = PageToken::open(&request.page_token, question)?;
        let view = self.view(request.read, token.as_ref().map(|token| token.height), deadline).await?;
        let (destination, size) = outbox_of(&view, &request.destination)?;
        let from = match &token {
            Some(token) => {
                u64::from_be_bytes(token.cursor.as_slice().try_into().map_err(|_| Rejection::PageTokenInvalid)?)
            }
            None => request.start_index,
        };
        if from > size {
            return Err(invalid("start_index", format!("is {from}; the outbox has {size} entries")).into());
        }
        // An entry travels as its bytes and as its decoded view.
        let bytes_max = limits::PAGE_BYTES_MAX / 4;
        let tree_key = key::outbox(&destination);
        let (chain, version) = (self.chain.clone(), Arc::clone(view.version()));
        let page = self.read(move |_| Ok(chain.outbox(&version, &destination, from, items, bytes_max))).await??;
        let OutboxPage { entries, right, .. } = page;
        let next = from.saturating_add(entries.len() as u64);
        let decoded =
            entries.iter().zip(from..).filter_map(|(entry, index)| K::outbox_entry(view.state(), index, entry));
        let more = next < size && !entries.is_empty();
        if more {
            self.chain.pin(view.version());
        }
        Ok(v1::ListOutboxResponse {
            entries: decoded.collect(),
            next_page_token: if more {
                PageToken { height: view.height(), cursor: next.to_be_bytes().to_vec() }.seal(question)
            } else {
                String::new()
            },
            size,
            right_hashes: right.iter().map(|hash| Bytes::copy_from_slice(hash)).collect(),
            ics23_proof: view.proof_of(&tree_key),
            stored: view.stored(&tree_key),
            context: Some(view.context()),
        })
    }
}

/// The log that a caller means, and its size. Where there is one alone it need not be named.
fn outbox_of<K: Kind>(view: &View<K>, name: &str) -> Result<(ChainId, u64), Refusal> {
    if !name.is_empty() {
        let destination = chain_id("destination", name)?;
        let log = K::Machine::outbox(view.state(), &destination);
        let size = log.map(|log| log.size());
        return match size {
            Some(size) => Ok((destination, size)),
            None => Err(Rejection::ChainUnknown { chain_id: destination }.into()),
        };
    }
    let mut logs = outboxes::<K>(view.state());
    match (logs.pop(), logs.is_empty()) {
        (Some(only), true) => Ok(only),
        (last, _) => {
            let names: Vec<String> = logs.iter().chain(&last).map(|(chain_id, _)| chain_id.to_string()).collect();
            let detail = format!("is empty; this chain writes to {}", names.join(", "));
            Err(invalid("destination", detail).into())
        }
    }
}

/// The logs for other chains, and their sizes.
fn outboxes<K: Kind>(state: &State<K>) -> Vec<(ChainId, u64)> {
    let logs = K::Machine::logs(state).into_iter();
    logs.filter_map(|named| match named.log {
        Log::Outbox(destination) => Some((destination, named.frontier.size())),
        Log::Inbox(_) | Log::Postings => None,
    })
    .collect()
}
