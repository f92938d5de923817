//! What nodes say of their chains: where they stand, and what is charged. Parameters are proven; the rest is their word.

use db3_primitives::{ChainLeaf, Identifier, key};
use db3_proto::convert::checked_params;
use db3_proto::v1;

use crate::chain::{At, Chain};
use crate::client::Client;
use crate::error::ClientError;
use crate::prove;
use crate::receipt::{Receipt, ReceiptState};
use crate::record::Answer;
use crate::submit::receipt;
use crate::wire::{chain as chain_service, timed};

impl Client {
    /// Where a shard stands.
    pub async fn status(&self, shard: u32) -> Result<v1::GetStatusResponse, ClientError> {
        status_of(self.shard(shard)?).await
    }

    /// Where the settlement chain stands.
    pub async fn settlement_status(&self) -> Result<v1::GetStatusResponse, ClientError> {
        status_of(self.settlement()?).await
    }

    /// The parameters of a shard: prices, limits, epoch length.
    pub async fn params(&self, shard: u32) -> Result<Answer<ChainLeaf>, ClientError> {
        let chain = self.shard(shard)?;
        let asked = chain.read_options(At::default());
        let request = v1::GetParamsRequest { read: Some(asked) };
        let answer = chain
            .call(|channel, limit| async move { chain_service(channel).get_params(timed(request, limit)).await })
            .await?;
        let at = chain.check(answer.context.as_ref(), &asked).await?;
        let message =
            answer.params.ok_or_else(|| ClientError::malformed(&chain.id, "the answer holds no parameters"))?;
        let leaf = checked_params(&message).map_err(|error| ClientError::proof(&chain.id, error.to_string()))?;
        if at.verified {
            prove::leaf(&at.root, &key::chain(), Some(&leaf.to_bytes()), &answer.ics23_proof)
                .map_err(|flaw| ClientError::proof(&chain.id, flaw))?;
        }
        Ok(Answer { value: leaf, at })
    }

    /// What became of a mutation or a transaction: the answer of the chain that knows it, or one of state unknown.
    pub async fn receipt(&self, id: Identifier) -> Result<Receipt, ClientError> {
        let mut last: Option<Receipt> = None;
        for chain in self.chains() {
            let mut found = receipt(chain, id).await?;
            if !matches!(found.state, ReceiptState::Unknown | ReceiptState::Unspecified) {
                return Ok(found);
            }
            let before = last.map(|receipt| receipt.known_from).unwrap_or_default();
            found.known_from = [before, found.known_from].concat();
            last = Some(found);
        }
        last.ok_or_else(|| ClientError::input("the network has no chain", "choose another network"))
    }

    /// Height of the newest header of the settlement chain that this client has verified.
    pub fn settlement_verified_height(&self) -> Result<u64, ClientError> {
        Ok(self.settlement()?.newest_height())
    }

    /// The endpoint of the settlement chain that is in use.
    pub fn settlement_endpoint(&self) -> Result<String, ClientError> {
        Ok(self.settlement()?.endpoint().0.clone())
    }

    /// Height of the newest header of a shard that this client has verified.
    pub fn verified_height(&self, shard: u32) -> Result<u64, ClientError> {
        Ok(self.shard(shard)?.newest_height())
    }

    /// The endpoint of a shard that is in use.
    pub fn endpoint(&self, shard: u32) -> Result<String, ClientError> {
        Ok(self.shard(shard)?.endpoint().0.clone())
    }
}

async fn status_of(chain: &Chain) -> Result<v1::GetStatusResponse, ClientError> {
    let status =
        chain
            .call(|channel, limit| async move {
                chain_service(channel).get_status(timed(v1::GetStatusRequest {}, limit)).await
            })
            .await?;
    if let Some(time) = status.block_time.as_ref().and_then(db3_proto::convert::block_time) {
        chain.heard_time(time.secs);
    }
    Ok(status)
}
