//! `GetEpoch` and `ListEpochs`.

use bytes::Bytes;
use db3_chain::EpochRow;
use db3_chain::store::Store;
use db3_node::grpc::{PageToken, Question, Refusal};
use db3_primitives::{EmissionLeaf, Epoch, Height, OpenEpochLeaf, Rejection, Tai, key};
use db3_proto::convert::request::page_size;
use db3_proto::convert::{epoch_message, open_epoch_message, timestamp_of_secs};
use db3_proto::v1;
use db3_shard_state::ShardState;
use tokio::time::Instant;

use super::ShardNode;

impl ShardNode {
    pub(super) async fn get_epoch(
        &self,
        request: v1::GetEpochRequest,
        deadline: Instant,
    ) -> Result<v1::GetEpochResponse, Refusal> {
        let view = self.node.view(request.read, None, deadline).await?;
        let state = view.state();
        let (open, _) = state.open_epoch();
        let wanted = request.epoch.map_or(open, Epoch::new);
        let (epoch, ics23_proof) = if wanted == open {
            (open_epoch(state), Bytes::new())
        } else if let Some((last, _)) = state.epoch_hash(wanted) {
            let chain = self.node.chain().clone();
            let row = self.node.read(move |_| Ok(chain.epoch(wanted))).await??;
            let row = row.ok_or(Rejection::EpochNotFound { epoch: wanted })?;
            (epoch_message(&row.close, state.chain().epoch_secs), view.proof_of(&key::epoch(last)))
        } else {
            let closing = state.emission().filter(|leaf| leaf.first <= wanted && wanted <= leaf.last);
            let leaf = closing.ok_or(Rejection::EpochNotFound { epoch: wanted })?;
            (closing_epoch(state, &leaf), Bytes::new())
        };
        Ok(v1::GetEpochResponse { epoch: Some(epoch), context: Some(view.context()), ics23_proof })
    }

    pub(super) async fn list_epochs(&self, request: v1::ListEpochsRequest) -> Result<v1::ListEpochsResponse, Refusal> {
        let items = page_size(request.page_size)?;
        let question = Question::new(
            "ListEpochs",
            &[&request.from_epoch.map_or_else(Vec::new, |epoch| epoch.to_be_bytes().to_vec())],
        );
        let token = PageToken::open(&request.page_token, question)?;
        let version = self.node.chain().committed();
        let state = &version.state;
        let mut epochs = Vec::new();
        let (height, from) = if let Some(token) = &token {
            let epoch = token.cursor.as_slice().try_into().map_err(|_| Rejection::PageTokenInvalid)?;
            (token.height, Some(u64::from_be_bytes(epoch)))
        } else {
            epochs.extend(unclosed(state, request.from_epoch.unwrap_or(u64::MAX)));
            (version.height.get(), request.from_epoch)
        };
        // One more than fits says whether there is a next page.
        let limit = items.saturating_add(1);
        let chain = self.node.chain().clone();
        let read = move |store: &Store| Ok((store.epochs(from.map(Epoch::new), limit)?, chain.history_begins()?));
        let (rows, begins) = self.node.read(read).await?;
        let lacks = lacks_closes(state, from, rows.last());
        let closed = rows.iter().filter(|row| row.height.get() <= height);
        epochs.extend(closed.map(|row| epoch_message(&row.close, state.chain().epoch_secs)));
        let more = epochs.len() > items;
        epochs.truncate(items);
        let next = epochs.last().filter(|_| more).and_then(|last| last.epoch.checked_sub(1));
        Ok(v1::ListEpochsResponse {
            epochs,
            next_page_token: next.map_or_else(String::new, |next| {
                PageToken { height, cursor: next.to_be_bytes().to_vec() }.seal(question)
            }),
            history_from_height: begins.filter(|_| lacks && !more).map_or(0, Height::get),
        })
    }
}

/// Whether the chain has closes that begin at or before `from` (none: any) and are older than the oldest row of those.
fn lacks_closes(state: &ShardState, from: Option<u64>, oldest: Option<&EpochRow>) -> bool {
    let first = state.first_close().filter(|first| from.is_none_or(|from| first.get() <= from));
    first.is_some_and(|first| oldest.is_none_or(|oldest| oldest.close.last > first))
}

/// The open epoch, and the one whose statements are on their way, as far as they begin at or before `from`.
fn unclosed(state: &ShardState, from: u64) -> Vec<v1::Epoch> {
    let closing = state.emission().map(|leaf| closing_epoch(state, &leaf));
    std::iter::once(open_epoch(state)).chain(closing).filter(|epoch| epoch.epoch <= from).collect()
}

fn open_epoch(state: &ShardState) -> v1::Epoch {
    let (open, first_height) = state.open_epoch();
    let chain = state.chain();
    let bills = state.open_bills();
    let total = state
        .tree()
        .get(&key::open_epoch())
        .and_then(|leaf| OpenEpochLeaf::from_bytes(leaf).ok())
        .map_or(Tai::ZERO, |leaf| leaf.total);
    open_epoch_message(chain.shard, open, first_height, (bills.root(), bills.size(), total), chain.epoch_secs)
}

/// An epoch that has ended and whose close is not written yet: `leaf` is empty, there is nothing to prove it by.
fn closing_epoch(state: &ShardState, leaf: &EmissionLeaf) -> v1::Epoch {
    let chain = state.chain();
    let start = |epoch: Epoch| epoch.start_secs(chain.epoch_secs).map(timestamp_of_secs);
    v1::Epoch {
        shard: chain.shard.get(),
        epoch: leaf.first.get(),
        last_epoch: leaf.last.get(),
        start_time: start(leaf.first),
        end_time: leaf.last.next().and_then(start),
        first_height: leaf.first_height.get(),
        last_height: leaf.last_height.get(),
        bills_root: Bytes::copy_from_slice(&leaf.bills_root),
        bill_count: leaf.bill_count,
        total_tai: leaf.billed.to_string(),
        inbox_cursor: leaf.inbox_cursor,
        status: v1::BillStatus::Closed.into(),
        ..v1::Epoch::default()
    }
}
