//! `ListShards` and `GetRound`.

use db3_node::grpc::{Ask, Question, Refusal};
use db3_primitives::{RoundLeaf, ShardLeaf, key};
use db3_proto::convert::{round_message, settlement_shard_message};
use db3_proto::v1;
use db3_state_tree::prefix_end;
use tokio::time::Instant;

use super::SettlementNode;

impl SettlementNode {
    pub(super) async fn list_shards(
        &self,
        request: v1::ListShardsRequest,
        deadline: Instant,
    ) -> Result<v1::ListShardsResponse, Refusal> {
        let view = self.node.view(request.read, None, deadline).await?;
        let prefix = key::shard_prefix();
        let to = prefix_end(&prefix).unwrap_or_default();
        // At most as many as there are slots, which one page holds.
        let ask = Ask {
            from: prefix,
            to,
            reverse: false,
            items: usize::MAX,
            bytes: &|key, leaf| key.len().saturating_add(leaf.len()),
        };
        let page = ask.page(view.tree());
        let network = &view.state().chain().network;
        let shards = page
            .leaves
            .iter()
            .filter_map(|(tree_key, leaf)| {
                let decoded = ShardLeaf::from_bytes(leaf).ok()?;
                Some(settlement_shard_message(network, key::split_shard(tree_key)?, &decoded))
            })
            .collect();
        let frame = page.frame(&view, Question::new("ListShards", &[]));
        let supply = key::supply();
        Ok(v1::ListShardsResponse {
            shards,
            context: Some(view.context()),
            proof: frame.proof,
            complete_from: frame.complete_from,
            complete_to: frame.complete_to,
            supply_stored: view.stored(&supply),
            supply_ics23_proof: view.proof_of(&supply),
        })
    }

    pub(super) async fn get_round(
        &self,
        request: v1::GetRoundRequest,
        deadline: Instant,
    ) -> Result<v1::GetRoundResponse, Refusal> {
        let view = self.node.view(request.read, None, deadline).await?;
        let tree_key = key::round();
        let round = view.tree().get(&tree_key).and_then(|leaf| RoundLeaf::from_bytes(leaf).ok());
        Ok(v1::GetRoundResponse {
            round: round.as_ref().map(round_message),
            context: Some(view.context()),
            ics23_proof: view.proof_of(&tree_key),
        })
    }
}
