//! Why a call is not answered: a numbered rejection, or a fault of this node that no number describes.

use std::str::FromStr;

use db3_chain::{QueryError, StoreError};
use db3_primitives::{ChainId, MutationId, Rejection};
use db3_proto::status::{to_message, to_status, to_status_at, to_status_with};
use db3_proto::v1;
use tonic::{Response, Status};

use super::Node;
use crate::kind::Kind;

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

impl Refusal {
    /// The same, of a transaction: rejections name their fields as those of a mutation, which most signed bodies are.
    #[must_use]
    pub fn of_transaction(self) -> Self {
        let (rejection, mut message) = match self {
            Self::Rejection(rejection) => {
                let message = Box::new(to_message(&rejection, None));
                (rejection, message)
            }
            Self::Explained(rejection, message) => (rejection, message),
            other @ (Self::Field(..) | Self::Store(_) | Self::Lost) => return other,
        };
        if let Some(rest) = message.field.strip_prefix("mutation.") {
            message.field = format!("transaction.{rest}");
        }
        Self::Explained(rejection, message)
    }
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

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Rejected(rejection) => rejection.into(),
            QueryError::Store(error) => error.into(),
        }
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

impl<K: Kind> Node<K> {
    /// Why, in full: about this mutation, and where another shard is served.
    #[must_use]
    pub fn explain(&self, rejection: &Rejection, id: Option<&MutationId>) -> v1::Rejection {
        let mut message = to_message(rejection, id);
        if let (Rejection::WrongShard { chain_id, .. }, Some(v1::rejection::Detail::WrongShard(detail))) =
            (rejection, &mut message.detail)
        {
            detail.endpoints = self.endpoints_of(chain_id);
        }
        message
    }

    /// The refusal of a mutation.
    #[must_use]
    pub fn refuse(&self, rejection: Rejection, id: &MutationId) -> Refusal {
        let message = self.explain(&rejection, Some(id));
        Refusal::Explained(rejection, Box::new(message))
    }
}

/// A name in a request, or what is wrong with it, said of its field there.
pub fn named<T: FromStr<Err = Rejection>>(field: &str, text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|rejection| Refusal::Field(rejection, field.to_owned()))
}

/// A chain's identifier in a request.
pub fn chain_id(field: &str, text: &str) -> Result<ChainId, Refusal> {
    ChainId::parse(text).map_err(|rejection| Refusal::Field(rejection, field.to_owned()))
}

/// An answer, or the status that a refusal becomes.
pub fn answer<T, R: Into<Refusal>>(result: Result<T, R>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|refusal| refusal.into().into())
}
