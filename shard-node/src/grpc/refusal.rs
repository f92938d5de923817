//! Why a call is not answered: a numbered rejection, or a fault of this node that no number describes.

use std::str::FromStr;

use db3_chain::StoreError;
use db3_primitives::name::ChainRole;
use db3_primitives::{ChainId, MutationId, Namespace, Rejection, ShardId};
use db3_proto::status::{to_message, to_status, to_status_at, to_status_with};
use db3_proto::v1;
use db3_shard_state::ShardState;
use tonic::{Response, Status};

use super::Node;

/// A call that is refused.
#[derive(Debug)]
pub enum Refusal {
    /// For a reason that the caller can act on.
    Rejection(Rejection),
    /// The same, with a message that says more than the rejection knows.
    Explained(Rejection, Box<v1::Rejection>),
    /// The same, about a field of the request.
    Field(Rejection, String),
    /// The node's files cannot be read.
    Store(StoreError),
    /// A reading task died.
    Lost,
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejection(rejection)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rejection(rejection) => to_status(&rejection),
            Refusal::Explained(rejection, message) => to_status_with(&rejection, *message),
            Refusal::Field(rejection, field) => to_status_at(&rejection, &field),
            Refusal::Store(error) => {
                tracing::error!(%error, "the node's files cannot be read");
                Status::internal("this node cannot read its files; its operator finds the reason in its log")
            }
            Refusal::Lost => Status::internal("this node failed to read; try again"),
        }
    }
}

impl Node {
    /// Why, in full: about this mutation, and where another shard is served.
    pub(super) fn explain(&self, rejection: &Rejection, id: Option<&MutationId>) -> v1::Rejection {
        let mut message = to_message(rejection, id);
        if let (Rejection::WrongShard { chain_id, .. }, Some(v1::rejection::Detail::WrongShard(detail))) =
            (rejection, &mut message.detail)
            && let Some((_, ChainRole::Shard(shard))) = chain_id.parts()
        {
            detail.endpoints = self.endpoints_of(shard);
        }
        message
    }

    /// The refusal of a mutation.
    pub(super) fn refuse(&self, rejection: Rejection, id: &MutationId) -> Refusal {
        let message = self.explain(&rejection, Some(id));
        Refusal::Explained(rejection, Box::new(message))
    }

    /// Refuses to read a namespace of another shard: its absence here would say nothing.
    pub(super) fn check_shard(&self, state: &ShardState, namespace: &Namespace) -> Result<(), Refusal> {
        let chain = state.chain();
        let slot = namespace.slot();
        let shard: ShardId = chain.shard_map.shard_of(slot);
        if shard == chain.shard {
            return Ok(());
        }
        let rejection = Rejection::WrongShard {
            namespace: namespace.clone(),
            slot,
            chain_id: ChainId::shard(&chain.network, shard),
            map_version: chain.shard_map.version(),
        };
        let message = self.explain(&rejection, None);
        Err(Refusal::Explained(rejection, Box::new(message)))
    }
}

/// A name in a request, or what is wrong with it, said of its field there.
pub fn named<T: FromStr<Err = Rejection>>(field: &str, text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|rejection| Refusal::Field(rejection, field.to_owned()))
}

/// An answer, or the status that a refusal becomes.
pub fn answer<T, R: Into<Refusal>>(result: Result<T, R>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|refusal| refusal.into().into())
}
