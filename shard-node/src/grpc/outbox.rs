//! `ListOutbox`: the entries of the log for the settlement chain, and what a delivery of them needs.

use bytes::Bytes;
use db3_primitives::{ChainId, LogEntry, Rejection, key, limits};
use db3_proto::convert::outbox_entry_message;
use db3_proto::convert::request::{invalid, page_size};
use db3_proto::v1;
use tokio::time::Instant;

use super::Node;
use super::refusal::Refusal;
use super::token::{PageToken, Question};

impl Node {
    pub(super) async fn list_outbox(
        &self,
        request: v1::ListOutboxRequest,
        deadline: Instant,
    ) -> Result<v1::ListOutboxResponse, Refusal> {
        let items = page_size(request.page_size)?;
        let question =
            Question::new("ListOutbox", &[request.destination.as_bytes(), &request.start_index.to_be_bytes()]);
        let token = PageToken::open(&request.page_token, question)?;
        let view = self.view(request.read, token.as_ref().map(|token| token.height), deadline).await?;
        let state = view.state();
        let chain = state.chain();
        let settlement = ChainId::settlement(&chain.network);
        if !request.destination.is_empty() && request.destination != settlement.as_str() {
            let detail = format!("this chain writes to {settlement} alone, not to {}", request.destination);
            return Err(invalid("destination", detail).into());
        }
        let size = state.outbox().size();
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
        let (entries, right) = self
            .read(move |store| {
                let entries = store.outbox(from, size, items, bytes_max)?;
                let next = from.saturating_add(entries.len() as u64);
                Ok((entries, store.outbox_right(next, size)?))
            })
            .await?;
        let next = from.saturating_add(entries.len() as u64);
        let decoded = entries.iter().zip(from..).filter_map(|(entry, index)| {
            let entry = LogEntry::from_bytes(entry).ok()?;
            Some(outbox_entry_message(index, &entry, chain.shard, chain.epoch_secs))
        });
        let tree_key = key::outbox(&settlement);
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
            stored: Bytes::copy_from_slice(state.tree().get(&tree_key).unwrap_or_default()),
            context: Some(view.context()),
        })
    }
}
