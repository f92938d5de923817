//! `GetAccount`: an account's money, its lines and its nonces, with their proofs.

use db3_node::grpc::{Ask, Question, Refusal};
use db3_primitives::{BalanceLeaf, LineLeaf, NonceWindow, key};
use db3_proto::convert::request::account;
use db3_proto::convert::{AccountLeaves, settlement_account_message};
use db3_proto::v1;
use db3_state_tree::prefix_end;
use tokio::time::Instant;

use super::SettlementNode;

impl SettlementNode {
    pub(super) async fn get_account(
        &self,
        request: v1::GetAccountRequest,
        deadline: Instant,
    ) -> Result<v1::GetAccountResponse, Refusal> {
        let account = account("account", &request.account)?;
        let view = self.node.view(request.read, None, deadline).await?;
        let (balance_key, window_key) = (key::balance(&account), key::own_window(&account));
        let balance = view.tree().get(&balance_key).and_then(|leaf| BalanceLeaf::from_bytes(leaf).ok());
        let window = view.tree().get(&window_key).and_then(|leaf| NonceWindow::from_bytes(leaf).ok());
        let prefix = key::line_prefix_of(&account);
        // As many lines as there are shards, which one page holds.
        let to = prefix_end(&prefix).unwrap_or_default();
        let ask = Ask {
            from: prefix,
            to,
            reverse: false,
            items: usize::MAX,
            bytes: &|key, leaf| key.len().saturating_add(leaf.len()),
        };
        let page = ask.page(view.tree());
        let lines: Vec<_> = page
            .leaves
            .iter()
            .filter_map(|(tree_key, leaf)| {
                let (_, shard) = key::split_line(tree_key)?;
                Some((shard, LineLeaf::from_bytes(leaf).ok()?))
            })
            .collect();
        let frame = page.frame(&view, Question::new("GetAccount", &[]));
        let leaves = AccountLeaves { balance, lines, window };
        Ok(v1::GetAccountResponse {
            account: Some(settlement_account_message(&account, &leaves, view.state().chain())),
            context: Some(view.context()),
            ics23_proof: view.proof_of(&balance_key),
            lines_proof: frame.proof,
            complete_from: frame.complete_from,
            complete_to: frame.complete_to,
            window_ics23_proof: view.proof_of(&window_key),
        })
    }
}
