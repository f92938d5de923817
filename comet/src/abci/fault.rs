//! What went wrong on a connection.

use super::dispatch::ConnectionKind;
use super::frame::FrameError;

/// A connection that was closed on this side, and why. `CometBFT` ends after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {connection} connection was closed: {what}")]
pub struct AbciFault {
    /// Counts the faults of this server, from 1.
    pub number: u64,
    /// The connection.
    pub connection: ConnectionKind,
    /// Why.
    pub what: FaultKind,
}

impl AbciFault {
    /// Whether the application, or how it is spoken to, cannot be relied on any more: it panicked, and may be half
    /// changed, or what came on a connection that `CometBFT` uses was no request. Then both are to begin anew. A
    /// connection that ended within a frame says only that the process at its other end did; and garbage on one that
    /// nothing was asked on yet may be a stranger's.
    #[must_use]
    pub fn is_breaking(&self) -> bool {
        match &self.what {
            FaultKind::Panic { .. } => true,
            FaultKind::Frame(FrameError::Cut { .. }) | FaultKind::Refused { .. } | FaultKind::Socket { .. } => false,
            FaultKind::Frame(FrameError::Length | FrameError::TooLong { .. } | FrameError::Malformed { .. })
            | FaultKind::Empty
            | FaultKind::WrongConnection { .. } => self.connection != ConnectionKind::Unnamed,
        }
    }
}

/// Why a connection was closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// What came is no request.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The request has no content.
    #[error("a request without content")]
    Empty,
    /// A call that belongs on another connection.
    #[error("a call for the {expected} connection")]
    WrongConnection {
        /// The connection that the call belongs on.
        expected: ConnectionKind,
    },
    /// The application panicked in a call; its state may be half changed.
    #[error("the application panicked in {call}: {text}")]
    Panic {
        /// The call.
        call: &'static str,
        /// What it said.
        text: String,
    },
    /// The application refused to answer: it cannot go on.
    #[error("the application gave no answer to {call}: {text}")]
    Refused {
        /// The call.
        call: &'static str,
        /// Why.
        text: String,
    },
    /// The socket failed.
    #[error("{detail}")]
    Socket {
        /// What the system said.
        detail: String,
    },
}

impl FaultKind {
    /// Whether the application itself failed, rather than what came from the other side.
    #[must_use]
    pub fn is_applications(&self) -> bool {
        match self {
            Self::Panic { .. } | Self::Refused { .. } => true,
            Self::Frame(_) | Self::Empty | Self::WrongConnection { .. } | Self::Socket { .. } => false,
        }
    }
}
