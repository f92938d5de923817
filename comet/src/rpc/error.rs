//! Why there is no answer.

/// Why `CometBFT` gave no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// It does not run, does not listen yet, or took too long: asking later may help.
    #[error("CometBFT does not answer: {detail}")]
    Unavailable {
        /// What the system said.
        detail: String,
    },
    /// It said no.
    #[error("CometBFT refused {method}: {detail} (code {code})")]
    Refused {
        /// The question.
        method: String,
        /// Its code.
        code: i64,
        /// What it said.
        detail: String,
    },
    /// What it said is not what was asked for.
    #[error("CometBFT's answer to {method} cannot be read: {detail}")]
    Malformed {
        /// The question.
        method: String,
        /// What is wrong.
        detail: String,
    },
}

impl RpcError {
    #[expect(clippy::needless_pass_by_value, reason = "as `map_err` passes it")]
    pub(super) fn unavailable(error: impl ToString) -> Self {
        Self::Unavailable { detail: error.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "as `map_err` passes it")]
    pub(super) fn malformed(method: &str, error: impl ToString) -> Self {
        Self::Malformed { method: method.to_owned(), detail: error.to_string() }
    }
}
