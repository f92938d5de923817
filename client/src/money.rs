//! An account on the settlement chain: balance, collateral, and its lines on all shards; proven complete.

use bytes::Bytes;
use db3_primitives::{
    Address, BalanceLeaf, LineLeaf, NonceWindow, RoundLeaf, SettlementLeaf, ShardId, ShardLeaf, SupplyLeaf, Tai, key,
};
use db3_proto::convert::{
    AccountLeaves, checked_round, checked_settlement_account, checked_settlement_params, checked_settlement_shard,
};
use db3_proto::v1;

use crate::account::AccountView;
use crate::chain::{At, Chain};
use crate::client::Client;
use crate::error::ClientError;
use crate::prove::{self, LeafOf, Page, TreeRange};
use crate::record::Answer;
use crate::wire::{chain as chain_service, settlement, timed};

/// What the chains have earned, and all money there is.
#[derive(Clone, Debug)]
pub struct Books {
    /// The shards, in order; all of them.
    pub shards: Vec<(ShardId, ShardLeaf)>,
    /// The money as a whole, and the settlement chain's own fees.
    pub supply: SupplyLeaf,
}

/// An account's money.
#[derive(Clone, Debug)]
pub struct Money {
    /// The account.
    pub account: Address,
    /// What the state holds of it.
    leaves: AccountLeaves,
    /// The chain's parameters, which give the limit.
    pub params: SettlementLeaf,
}

impl Money {
    /// Balance, collateral, trust and stage; all zero where the chain has never heard of the account.
    #[must_use]
    pub fn balance(&self) -> BalanceLeaf {
        self.leaves.balance.unwrap_or_default()
    }

    /// Whether the chain has heard of the account.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.leaves.balance.is_some()
    }

    /// Its lines, in order of shard.
    #[must_use]
    pub fn lines(&self) -> &[(ShardId, LineLeaf)] {
        &self.leaves.lines
    }

    /// Its line on a shard; an empty one where it has none.
    #[must_use]
    pub fn line(&self, shard: u32) -> LineLeaf {
        let found = self.leaves.lines.iter().find(|(number, _)| number.get() == shard);
        found.map(|(_, line)| *line).unwrap_or_default()
    }

    /// Whether it has a line on a shard.
    #[must_use]
    pub fn has_line(&self, shard: u32) -> bool {
        self.leaves.lines.iter().any(|(number, _)| number.get() == shard)
    }

    /// The nonces of its transactions.
    #[must_use]
    pub fn window(&self) -> NonceWindow {
        self.leaves.window.clone().unwrap_or_default()
    }

    /// The most that its lines may hold together: factor times collateral, plus trust.
    #[must_use]
    pub fn limit(&self) -> Tai {
        self.params.limit(self.balance().collateral, self.balance().trust)
    }

    /// How much of the limit the lines hold.
    #[must_use]
    pub fn allocated(&self) -> Tai {
        self.leaves.allocated()
    }

    /// How much of the limit is not bound by any line.
    #[must_use]
    pub fn free(&self) -> Tai {
        self.limit().saturating_sub(self.allocated())
    }

    /// What rounds debited and nobody paid yet.
    #[must_use]
    pub fn outstanding(&self) -> Tai {
        self.leaves.outstanding()
    }

    /// What shards reported and no round debited yet.
    #[must_use]
    pub fn unsettled(&self) -> Tai {
        self.leaves.unsettled()
    }
}

impl AccountView<'_> {
    /// Its money and its lines on the settlement chain.
    pub async fn money(&self) -> Result<Answer<Money>, ClientError> {
        let chain = self.client.settlement()?;
        let params = self.client.settlement_params().await?;
        let asked = chain.read_options(At { height: params.at.height, with_header: false });
        let request =
            v1::GetAccountRequest { account: Bytes::copy_from_slice(self.address.as_bytes()), read: Some(asked) };
        let answer = chain
            .call(|channel, limit| {
                let request = timed(request.clone(), limit);
                async move { settlement(channel).get_account(request).await }
            })
            .await?;
        let at = chain.check(answer.context.as_ref(), &asked).await?;
        let flawed = |flaw: String| ClientError::proof(&chain.id, flaw);
        let message =
            answer.account.as_ref().ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no account"))?;
        let leaves = checked_settlement_account(message, &self.address, &params.value)
            .map_err(|error| flawed(error.to_string()))?;
        if at.verified {
            let stored = leaves.balance.map(|leaf| leaf.to_bytes());
            prove::leaf(&at.root, &key::balance(&self.address), stored.as_deref(), &answer.ics23_proof)
                .map_err(flawed)?;
            let page = Page {
                leaves: leaves
                    .lines
                    .iter()
                    .map(|(shard, line)| (key::line(&self.address, *shard), LeafOf::Bytes(line.to_bytes())))
                    .collect(),
                proof: answer.lines_proof.as_ref(),
                complete_from: &answer.complete_from,
                complete_to: &answer.complete_to,
                is_last: true,
            };
            prove::page(Some(&at.root), &TreeRange::of_prefix(key::line_prefix_of(&self.address)), &page)
                .map_err(flawed)?;
        }
        Ok(Answer { value: Money { account: self.address, leaves, params: params.value }, at })
    }
}

impl Client {
    /// The parameters of the settlement chain.
    pub async fn settlement_params(&self) -> Result<Answer<SettlementLeaf>, ClientError> {
        let chain = self.settlement()?;
        let asked = chain.read_options(At::default());
        let request = v1::GetParamsRequest { read: Some(asked) };
        let answer = chain
            .call(|channel, limit| async move { chain_service(channel).get_params(timed(request, limit)).await })
            .await?;
        let at = chain.check(answer.context.as_ref(), &asked).await?;
        let message =
            answer.params.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no parameters"))?;
        let leaf =
            checked_settlement_params(&message).map_err(|error| ClientError::proof(&chain.id, error.to_string()))?;
        if at.verified {
            prove::leaf(&at.root, &key::chain(), Some(&leaf.to_bytes()), &answer.ics23_proof)
                .map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
        }
        Ok(Answer { value: leaf, at })
    }

    /// What the settlement chain knows of every shard; all of them, in order.
    pub async fn settlement_shards(&self) -> Result<Answer<Vec<(ShardId, ShardLeaf)>>, ClientError> {
        let Answer { value, at } = self.settlement_books().await?;
        Ok(Answer { value: value.shards, at })
    }

    /// What the chains have earned: what is known of every shard, in order, and of the money as a whole.
    pub async fn settlement_books(&self) -> Result<Answer<Books>, ClientError> {
        let chain = self.settlement()?;
        let asked = chain.read_options(At::default());
        let request = v1::ListShardsRequest { read: Some(asked) };
        let answer = chain
            .call(|channel, limit| async move { settlement(channel).list_shards(timed(request, limit)).await })
            .await?;
        let at = chain.check(answer.context.as_ref(), &asked).await?;
        let network = &self.network().name;
        let flawed = |flaw: String| ClientError::proof(&chain.id, flaw);
        let shards = answer.shards.iter().map(|message| checked_settlement_shard(message, network));
        let shards = shards.collect::<Result<Vec<_>, _>>().map_err(|error| flawed(error.to_string()))?;
        let supply = SupplyLeaf::from_bytes(&answer.supply_stored).map_err(|error| flawed(error.to_string()))?;
        if at.verified {
            let leaves = shards.iter().map(|(shard, leaf)| (key::shard(*shard), LeafOf::Bytes(leaf.to_bytes())));
            let page = Page {
                leaves: leaves.collect(),
                proof: answer.proof.as_ref(),
                complete_from: &answer.complete_from,
                complete_to: &answer.complete_to,
                is_last: true,
            };
            prove::page(Some(&at.root), &TreeRange::of_prefix(key::shard_prefix()), &page).map_err(flawed)?;
            prove::leaf(&at.root, &key::supply(), Some(&supply.to_bytes()), &answer.supply_ics23_proof)
                .map_err(flawed)?;
        }
        Ok(Answer { value: Books { shards, supply }, at })
    }

    /// The rounds of settlement: which epoch the newest one settled, and how far a running one is.
    pub async fn round(&self) -> Result<Answer<RoundLeaf>, ClientError> {
        let chain: &Chain = self.settlement()?;
        let asked = chain.read_options(At::default());
        let request = v1::GetRoundRequest { read: Some(asked) };
        let answer = chain
            .call(|channel, limit| async move { settlement(channel).get_round(timed(request, limit)).await })
            .await?;
        let at = chain.check(answer.context.as_ref(), &asked).await?;
        let message = answer.round.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no round"))?;
        let leaf = checked_round(&message).map_err(|error| ClientError::proof(&chain.id, error.to_string()))?;
        if at.verified {
            prove::leaf(&at.root, &key::round(), Some(&leaf.to_bytes()), &answer.ics23_proof)
                .map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
        }
        Ok(Answer { value: leaf, at })
    }
}
