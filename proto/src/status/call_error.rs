//! A failed call as its caller sees it.

use std::time::Duration;

use tonic::{Code, Status};

use super::grpc::{from_status, retry_after};
use crate::v1;

/// Why a call failed, or one of its mutations.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// gRPC status code.
    pub code: Code,
    /// What was wrong, in a sentence.
    pub message: String,
    /// The numbered refusal; `None` if no node of ours said so (nobody answered, a proxy refused).
    pub rejection: Option<Box<v1::Rejection>>,
    /// When to try the same again; `None` where that does not help, or nobody said.
    pub retry_after: Option<Duration>,
}

impl CallError {
    /// Number of the refusal, if it has one.
    #[must_use]
    pub fn rejection_code(&self) -> Option<u32> {
        self.rejection.as_ref().map(|rejection| rejection.code)
    }
}

impl From<&Status> for CallError {
    fn from(status: &Status) -> Self {
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            rejection: from_status(status).map(Box::new),
            retry_after: retry_after(status),
        }
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::from(&status)
    }
}

impl From<v1::MutationError> for CallError {
    fn from(error: v1::MutationError) -> Self {
        let code = i32::try_from(error.status_code).map_or(Code::Unknown, Code::from_i32);
        Self {
            code,
            message: error.message,
            rejection: error.rejection.map(Box::new),
            retry_after: error.retry_delay.and_then(|delay| Duration::try_from(delay).ok()),
        }
    }
}
