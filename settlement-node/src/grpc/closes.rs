//! `ListCloses`: what shards have closed, as the settlement chain took it in.

use db3_chain::CloseRow;
use db3_node::grpc::{PageToken, Question, Refusal};
use db3_primitives::{ChainId, Epoch, Rejection, ShardId};
use db3_proto::convert::request::{invalid, page_size};
use db3_proto::convert::{epoch_message, timestamp};
use db3_proto::v1;
use tokio::time::Instant;

use super::SettlementNode;
use super::proof::Rooted;

/// Closes of a page that are proven.
const PROVEN_MAX: usize = 100;

impl SettlementNode {
    pub(super) async fn list_closes(
        &self,
        request: v1::ListClosesRequest,
        deadline: Instant,
    ) -> Result<v1::ListClosesResponse, Refusal> {
        let shard = self.shard("shard", request.shard)?;
        let question = Question::new(
            "ListCloses",
            &[
                &request.shard.to_be_bytes(),
                &request.from_epoch.map_or_else(Vec::new, |epoch| epoch.to_be_bytes().to_vec()),
            ],
        );
        let token = PageToken::open(&request.page_token, question)?;
        let view = self.node.view(request.read, token.as_ref().map(|token| token.height), deadline).await?;
        let items = page_size(request.page_size)?.min(if view.proves() { PROVEN_MAX } else { usize::MAX });
        let from = match &token {
            Some(token) => {
                let epoch = token.cursor.as_slice().try_into().map_err(|_| Rejection::PageTokenInvalid)?;
                Some(Epoch::new(u64::from_be_bytes(epoch)))
            }
            None => request.from_epoch.map(Epoch::new),
        };
        let (height, limit) = (view.height(), items.saturating_add(1));
        let rooted = Rooted::of_shard(&view, shard)?;
        let begins = rooted.begins();
        let read = view.proves().then(|| rooted.clone());
        let mut rows = self
            .node
            .read(move |store| {
                // The close that covers an epoch stands under the last one that it covers.
                let covering = from.map(|from| store.close(shard, from)).transpose()?.flatten();
                let from = covering.map(|close| close.close.last).or(from);
                // Of the height that is read, not of the newest.
                let rows = store.closes(shard, from, limit)?.into_iter();
                let rows = rows.filter(|row| row.height.get() <= height && row.index >= begins);
                let prove = |row: CloseRow| {
                    let siblings = read.as_ref().map(|rooted| rooted.siblings(store, row.index)).transpose()?;
                    Ok((row, siblings.flatten()))
                };
                rows.map(prove).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let more = rows.len() > items;
        rows.truncate(items);
        let next = rows.last().filter(|_| more).and_then(|(last, _)| last.close.first.get().checked_sub(1));
        if next.is_some() {
            self.node.chain().pin(view.version());
        }
        let epoch_secs = view.state().chain().epoch_secs;
        let closes = rows.iter().map(|(row, siblings)| v1::ShardClose {
            epoch: Some(epoch_message(&row.close, epoch_secs)),
            index: row.index,
            received_height: row.height.get(),
            received_time: (row.height.get() > 0).then(|| timestamp(row.time)),
            proof: siblings.as_ref().map(|siblings| rooted.message(row.index, siblings, &view)),
        });
        Ok(v1::ListClosesResponse {
            closes: closes.collect(),
            log_begins: begins,
            next_page_token: next.map_or_else(String::new, |next| {
                PageToken { height, cursor: next.to_be_bytes().to_vec() }.seal(question)
            }),
        })
    }

    /// A shard of the network.
    pub(super) fn shard(&self, field: &str, number: u32) -> Result<ShardId, Refusal> {
        let version = self.node.chain().provable();
        let chain = version.state.chain();
        let shard = ShardId::new(number);
        if number >= chain.shard_map.shards() {
            let known = ChainId::shard(&chain.network, ShardId::new(chain.shard_map.shards().saturating_sub(1)));
            return Err(invalid(field, format!("is {number}; the last shard is {known}")).into());
        }
        Ok(shard)
    }
}
