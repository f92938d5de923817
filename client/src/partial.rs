//! What was learnt where some of the network's chains did not answer.

use crate::error::ClientError;

/// A value, as far as it could be had.
#[derive(Clone, Debug)]
pub struct Partial<T> {
    /// What is known.
    pub value: T,
    /// Who did not answer, and so may know more, or whose log was passed over in part.
    pub unanswered: Vec<Unanswered>,
}

/// A chain that did not answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unanswered {
    /// The chain.
    pub chain_id: String,
    /// Why, in a sentence.
    pub detail: String,
}

impl Unanswered {
    /// Of an error that says that nobody answered; any other is the caller's.
    pub fn of(error: ClientError) -> Result<Self, ClientError> {
        match error {
            ClientError::Unreachable { chain_id, endpoint, detail } => {
                Ok(Self { detail: format!("nobody answers for {chain_id} at {endpoint}: {detail}"), chain_id })
            }
            other => Err(other),
        }
    }
}
