//! What can go wrong for a caller, by what it means for them: refused, unreachable, unknown, not provable, wrong input.

use db3_genesis::NetworkFileError;
use db3_light_client::LightClientError;
use db3_primitives::{Class, MutationId, Rejection, Tai};
use db3_proto::v1;

use crate::keystore::KeystoreError;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The network said no, by a numbered rejection. Nothing of the mutation was applied.
    #[error("{0}")]
    Rejected(Box<Refusal>),
    /// Nobody answered, and nothing was sent that could still take effect.
    #[error(
        "nobody answers for {chain_id} at {endpoint}: {detail}; check that the network runs (`db3 devnet status`) and the endpoint"
    )]
    Unreachable {
        /// The chain that was asked.
        chain_id: String,
        /// Where.
        endpoint: String,
        /// What the last attempt ended with.
        detail: String,
    },
    /// The mutation was sent, and it is not known what became of it. It may still be applied until its expiry.
    #[error("mutation {id} was sent, and its outcome is unknown: {detail}; `db3 receipt {id} --wait` tells")]
    OutcomeUnknown {
        /// Its identifier.
        id: MutationId,
        /// Why it is not known.
        detail: String,
    },
    /// An answer that its proof does not support. The node errs or lies.
    #[error("{chain_id} gave an answer that cannot be trusted: {detail}; ask another node with --endpoint")]
    Proof {
        /// The chain that was asked.
        chain_id: String,
        /// What does not hold.
        detail: String,
    },
    /// The network has fallen behind, or its history was replaced by a shorter one.
    #[error(
        "the network {network} has fallen behind what this client has verified: {chain_id} offers height {offered}, and the header of height {remembered} is known; it was restored from an old copy, or this node is far behind"
    )]
    Behind {
        /// The network's name.
        network: String,
        /// The chain.
        chain_id: String,
        /// Height of the newest header that was verified earlier.
        remembered: u64,
        /// Height that it offers now.
        offered: u64,
    },
    /// The answer is not shaped as agreed.
    #[error("{chain_id} gave a malformed answer: {detail}; its version may not fit this client")]
    Malformed {
        /// The chain that was asked.
        chain_id: String,
        /// What is wrong.
        detail: String,
    },
    /// Something that the caller gave cannot be used.
    #[error("{what}; {remedy}")]
    Input {
        /// What is wrong, with the value.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A network file cannot be used.
    #[error(transparent)]
    NetworkFile(#[from] NetworkFileError),
    /// A key cannot be used.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// A file cannot be read or written.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// A rejection as it reached the client.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Refusal {
    /// The number; 0 where the answer carried none.
    pub code: u32,
    /// The name in capitals.
    pub name: String,
    /// What was wrong, with the value.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// The field that is wrong, if it is one field.
    pub field: Option<String>,
    /// The operation of the mutation that it is about, from 0.
    pub operation_index: Option<u32>,
    /// The mutation, if it is about one.
    pub mutation_id: Option<MutationId>,
    /// Whether the account paid nevertheless.
    pub charged: bool,
    /// Block time that an expiry was compared with, and the latest expiry accepted, Unix seconds.
    pub expiry: Option<(u64, u64)>,
    /// Heights that can be read: earliest, newest provable.
    pub heights: Option<(u64, u64)>,
    /// What there was, where that is too little.
    pub available: Option<Tai>,
    /// Height where the node's history begins, if what was asked for may be older.
    pub history_from: Option<u64>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} {})", self.message, self.code, self.name)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", lower_first(self.remedy.trim_end_matches('.'))) }
    }
}

impl Refusal {
    /// The class of its number.
    #[must_use]
    pub fn class(&self) -> Class {
        Class::of(self.code)
    }
}

impl From<&Rejection> for Refusal {
    fn from(rejection: &Rejection) -> Self {
        Self {
            code: rejection.code(),
            name: rejection.name().to_owned(),
            message: rejection.to_string(),
            remedy: rejection.remedy().to_owned(),
            field: rejection.field().map(ToOwned::to_owned),
            operation_index: rejection.operation_index(),
            charged: rejection.charged(),
            history_from: match rejection {
                Rejection::HistoryMissing { from, .. } => Some(from.get()),
                _ => None,
            },
            ..Self::default()
        }
    }
}

impl From<v1::Rejection> for Refusal {
    fn from(message: v1::Rejection) -> Self {
        let (mut expiry, mut heights, mut available, mut history_from) = (None, None, None, None);
        if let Some(v1::rejection::Detail::Expiry(detail)) = &message.detail {
            let block_time = detail.block_time.as_ref().and_then(|time| u64::try_from(time.seconds).ok());
            expiry = Some((block_time.unwrap_or_default(), detail.latest_unix_secs));
        }
        if let Some(v1::rejection::Detail::HeightUnavailable(detail)) = &message.detail {
            heights = Some((detail.earliest, detail.latest_provable));
        }
        if let Some(v1::rejection::Detail::FundsTooLow(detail)) = &message.detail {
            available = detail.available_tai.parse().ok();
        }
        if let Some(v1::rejection::Detail::HistoryMissing(detail)) = &message.detail {
            history_from = Some(detail.from_height);
        }
        Self {
            code: message.code,
            name: message.reason,
            message: message.message,
            remedy: message.remedy,
            field: (!message.field.is_empty()).then_some(message.field),
            operation_index: message.operation_index,
            mutation_id: message.mutation_id.as_ref().try_into().ok().map(MutationId),
            charged: message.charged,
            expiry,
            heights,
            available,
            history_from,
        }
    }
}

impl From<Rejection> for ClientError {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(Box::new(Refusal::from(&rejection)))
    }
}

impl ClientError {
    /// A light client's verdict on what a chain sent.
    pub(crate) fn untrusted(chain_id: &str, error: &LightClientError) -> Self {
        Self::Proof { chain_id: chain_id.to_owned(), detail: format!("its header is not trusted: {error}") }
    }

    pub(crate) fn proof(chain_id: &str, detail: impl Into<String>) -> Self {
        Self::Proof { chain_id: chain_id.to_owned(), detail: detail.into() }
    }

    pub(crate) fn malformed(chain_id: &str, detail: impl Into<String>) -> Self {
        Self::Malformed { chain_id: chain_id.to_owned(), detail: detail.into() }
    }

    /// Something wrong with what the caller gave.
    pub fn input(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Input { what: what.into(), remedy: remedy.into() }
    }

    /// Whether it says that nobody answered for this chain.
    #[must_use]
    pub fn is_unreachable(&self, of: &str) -> bool {
        matches!(self, Self::Unreachable { chain_id, .. } if chain_id == of)
    }

    /// Height where the history of the nodes that were asked begins, if what was asked for may be older.
    #[must_use]
    pub fn history_from(&self) -> Option<u64> {
        match self {
            Self::Rejected(refusal) => refusal.history_from,
            _ => None,
        }
    }

    /// The number of the rejection, if it is one.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Rejected(refusal) => Some(refusal.code),
            _ => None,
        }
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        // Names in capitals stay as they are.
        Some(first) if letters.as_str().starts_with(|second: char| second.is_lowercase()) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}
