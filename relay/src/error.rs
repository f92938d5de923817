//! What can go wrong between two chains.

use db3_primitives::ChainId;
use db3_proto::status::CallError;

/// Why nothing could be carried, with the chain and endpoint that it is about.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RelayError {
    /// No URL.
    #[error("{chain_id} has no endpoint: name at least one, such as http://127.0.0.1:7300")]
    NoEndpoint {
        /// The chain.
        chain_id: ChainId,
    },
    /// No URL that gRPC can be spoken to.
    #[error("{url:?} is no endpoint of {chain_id}: {detail}; write http:// or https://, a host and a port")]
    InvalidEndpoint {
        /// The chain.
        chain_id: ChainId,
        /// The URL.
        url: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A call failed.
    #[error("{method} of {chain_id} at {url}: {error}")]
    Call {
        /// The chain.
        chain_id: ChainId,
        /// The endpoint.
        url: String,
        /// The method.
        method: &'static str,
        /// What it answered.
        error: CallError,
    },
    /// No answer in time.
    #[error("{method} of {chain_id} at {url} gave no answer within {secs} s")]
    TimedOut {
        /// The chain.
        chain_id: ChainId,
        /// The endpoint.
        url: String,
        /// The method.
        method: &'static str,
        /// How long it was waited for.
        secs: u64,
    },
    /// The endpoint is another chain's.
    #[error("{url} answers for the chain {got:?} and not for {expected}: correct the endpoint")]
    WrongChain {
        /// The endpoint.
        url: String,
        /// The chain wanted.
        expected: ChainId,
        /// The chain it named.
        got: String,
    },
    /// An answer that cannot be true.
    #[error("{method} of {chain_id} at {url} gave a false answer: {detail}")]
    FalseAnswer {
        /// The chain.
        chain_id: ChainId,
        /// The endpoint.
        url: String,
        /// The method.
        method: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// No headers lead from the trusted one to the one wanted.
    #[error("no headers lead {to} from {trusted_height} to {height} of {from}: {detail}")]
    NoWay {
        /// The writer.
        from: ChainId,
        /// The reader.
        to: ChainId,
        /// Height that the reader trusts.
        trusted_height: u64,
        /// Height wanted.
        height: u64,
        /// What is in the way.
        detail: String,
    },
}

impl RelayError {
    /// Number of the refusal, where a chain refused.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        if let Self::Call { error, .. } = self { error.rejection_code() } else { None }
    }
}
