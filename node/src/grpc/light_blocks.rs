//! `GetLightBlock`, and the light blocks that answers carry.
//!
//! A light block travels as its bytes; height, time and root stand beside them for those who only look. The newest one
//! is decoded once and kept, because every proving answer carries it.

use std::sync::Arc;

use bytes::Bytes;
use db3_chain::{QueryError, StoreError, VersionOf};
use db3_primitives::{Height, Rejection};
use db3_proto::v1;
use prost::Message as _;
use tendermint_proto::v0_38::types::LightBlock;

use super::Node;
use super::refusal::Refusal;
use crate::kind::Kind;

/// The newest light block as it travels, without the validators that a certain caller needs.
pub struct Newest {
    height: u64,
    message: v1::LightBlock,
}

impl<K: Kind> Node<K> {
    pub(crate) async fn get_light_block(
        &self,
        request: v1::GetLightBlockRequest,
    ) -> Result<v1::GetLightBlockResponse, Refusal> {
        let committed = self.chain.committed().height;
        let height = match request.height {
            0 => committed,
            height => Height::new(height),
        };
        let chain = self.chain.clone();
        let next = after_trusted(request.trusted_height, height.get(), committed);
        let (bytes, next) = self
            .read(move |_| {
                Ok((kept(chain.light_block(height))?, next.map(|next| kept(chain.light_block(next))).transpose()?))
            })
            .await?;
        let Some(bytes) = bytes else {
            return Err(self.unavailable(height, committed).await?.into());
        };
        let mut message = message(height, Bytes::from(bytes));
        message.next_validator_set = other_validators(next.flatten().as_deref(), &message);
        let proposer_priorities = if request.with_proposer_priorities {
            let chain = self.chain.clone();
            self.read(move |_| Ok(chain.proposer_priorities(height))).await?
        } else {
            Vec::new()
        };
        Ok(v1::GetLightBlockResponse { light_block: Some(message), proposer_priorities })
    }

    /// The light block that carries a version's root.
    pub(crate) async fn light_block_of(
        &self,
        version: &VersionOf<K::Machine>,
        trusted_height: u64,
    ) -> Option<v1::LightBlock> {
        let header = version.height.next()?;
        let bytes = version.light_block.as_ref()?;
        let kept_newest = self.newest.load().as_ref().filter(|newest| newest.height == header.get()).cloned();
        let newest = kept_newest.unwrap_or_else(|| {
            let message = message(header, Bytes::from_owner(Arc::clone(bytes)));
            let newest = Arc::new(Newest { height: header.get(), message });
            self.newest.store(Some(Arc::clone(&newest)));
            newest
        });
        let mut message = newest.message.clone();
        if let Some(next) = after_trusted(trusted_height, header.get(), self.chain.committed().height) {
            let chain = self.chain.clone();
            // A height that is not kept leaves the set out; the client then names it as missing.
            let next = self.read_in_turn(move |_| kept(chain.light_block(next))).await.ok().flatten();
            message.next_validator_set = other_validators(next.as_deref(), &message);
        }
        Some(message)
    }

    async fn unavailable(&self, height: Height, committed: Height) -> Result<Rejection, Refusal> {
        let kept = self.read(db3_chain::store::Store::block_range).await?;
        Ok(unavailable(height, kept.unwrap_or_default(), committed))
    }
}

/// Names what is kept and final: files may hold blocks that are not final yet.
fn unavailable(height: Height, kept: (Height, Height), committed: Height) -> Rejection {
    let (earliest, latest) = kept;
    Rejection::HeightUnavailable { height, earliest: earliest.min(committed), latest: latest.min(committed) }
}

/// A light block as it travels, without the validators of another height.
fn message(height: Height, bytes: Bytes) -> v1::LightBlock {
    let header = LightBlock::decode(&*bytes).ok().and_then(|block| block.signed_header?.header);
    let time = header.as_ref().and_then(|header| header.time.as_ref());
    v1::LightBlock {
        height: height.get(),
        time: time.map(|time| prost_types::Timestamp { seconds: time.seconds, nanos: time.nanos }),
        app_hash: header.map_or_else(Bytes::new, |header| Bytes::from(header.app_hash)),
        tendermint_light_block: bytes,
        next_validator_set: Bytes::new(),
    }
}

/// The height whose validators a caller needs who trusts another one: the one after it, unless that is the block's own.
fn after_trusted(trusted_height: u64, height: u64, committed: Height) -> Option<Height> {
    let after = trusted_height.saturating_add(1);
    (trusted_height != 0 && after < height && after <= committed.get()).then_some(Height::new(after))
}

/// The validators of another height, unless they are those of the light block.
fn other_validators(other: Option<&[u8]>, block: &v1::LightBlock) -> Bytes {
    let other = other.and_then(validator_set);
    if other == validator_set(&block.tendermint_light_block) { Bytes::new() } else { other.unwrap_or_default() }
}

/// A light block, if there is one.
fn kept(found: Result<Vec<u8>, QueryError>) -> Result<Option<Vec<u8>>, StoreError> {
    match found {
        Ok(bytes) => Ok(Some(bytes)),
        Err(QueryError::Rejected(_)) => Ok(None),
        Err(QueryError::Store(error)) => Err(error),
    }
}

/// The encoded validators of a light block.
fn validator_set(light_block: &[u8]) -> Option<Bytes> {
    let block = LightBlock::decode(light_block).ok()?;
    Some(Bytes::from(block.validator_set?.encode_to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_no_height_that_is_not_final() {
        let [earliest, committed, latest, asked] = [3, 8, 9, 9].map(Height::new);
        let refused = unavailable(asked, (earliest, latest), committed);
        assert_eq!(refused, Rejection::HeightUnavailable { height: asked, earliest, latest: committed });
    }
}
