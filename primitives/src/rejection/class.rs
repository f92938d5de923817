//! What kind of rejection a number is, and the gRPC code that carries it.

/// The class of a rejection; its number's hundreds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// 1xx: wrong in itself, whatever the state.
    Malformed,
    /// 2xx: refused by the state; in no block, not charged.
    Refused,
    /// 3xx: failed in execution; in a block, nonce used, charged.
    Failed,
    /// 4xx: a request that cannot be answered.
    Request,
    /// 5xx: this node cannot answer now.
    Unavailable,
}

/// The gRPC status codes in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GrpcCode {
    /// `INVALID_ARGUMENT`
    InvalidArgument = 3,
    /// `NOT_FOUND`
    NotFound = 5,
    /// `ALREADY_EXISTS`
    AlreadyExists = 6,
    /// `PERMISSION_DENIED`
    PermissionDenied = 7,
    /// `RESOURCE_EXHAUSTED`: overload, and nothing else.
    ResourceExhausted = 8,
    /// `FAILED_PRECONDITION`
    FailedPrecondition = 9,
    /// `ABORTED`
    Aborted = 10,
    /// `OUT_OF_RANGE`
    OutOfRange = 11,
    /// `UNAVAILABLE`
    Unavailable = 14,
}

impl Class {
    /// The class of a code.
    #[must_use]
    pub const fn of(code: u32) -> Self {
        match code {
            0..200 => Self::Malformed,
            200..300 => Self::Refused,
            300..400 => Self::Failed,
            400..500 => Self::Request,
            500.. => Self::Unavailable,
        }
    }

    /// The heading of the class in docs/codes.md.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Malformed => "1xx: malformed",
            Self::Refused => "2xx: refused",
            Self::Failed => "3xx: failed",
            Self::Request => "4xx: requests",
            Self::Unavailable => "5xx: unavailable",
        }
    }

    /// What the class means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Malformed => "The bytes are wrong in themselves, whatever the state. In no block, not charged.",
            Self::Refused => "Refused by the state. In no block, no nonce used, not charged.",
            Self::Failed => {
                "Failed in execution by its own precondition. In a block, its nonce used, charged for its bytes; the \
                 receipt and the bill carry the code, so the call itself succeeds. As a gRPC error only where the \
                 outcome is foreseen before anything is sent."
            }
            Self::Request => "The request cannot be answered as it stands.",
            Self::Unavailable => {
                "This node cannot answer now. The same request may succeed a moment later, or elsewhere."
            }
        }
    }
}

impl GrpcCode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The name in capitals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}
