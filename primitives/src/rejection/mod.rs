//! Everything that can be wrong with what comes from outside: one enum, one number each, never reused.
//!
//! 1xx: the bytes are wrong in themselves. 2xx: refused by the state; in no block, never charged. 3xx: failed in
//! execution; in a block, its nonce used, charged. 4xx: a request cannot be answered. 5xx: this node cannot answer now.
//! The list itself is `list.rs`; docs/codes.md is made from it by [`codes_markdown`].

mod class;
mod codes;
#[macro_use]
mod declare;
mod list;

pub use class::{Class, GrpcCode};
pub use codes::codes_markdown;
pub use declare::CodeRow;
pub use list::Rejection;

impl Rejection {
    /// The number, the same wherever the rejection is shown.
    #[must_use]
    pub fn code(&self) -> u32 {
        self.row().code
    }

    /// The name in capitals: the `reason` of gRPC's `ErrorInfo`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.row().name
    }

    /// The class, which the number's hundreds say.
    #[must_use]
    pub fn class(&self) -> Class {
        self.row().class()
    }

    /// Whether the account pays nevertheless.
    #[must_use]
    pub fn charged(&self) -> bool {
        self.row().charged()
    }

    /// The gRPC code that carries it.
    #[must_use]
    pub fn grpc(&self) -> GrpcCode {
        self.row().grpc
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        self.row().remedy
    }

    /// The field that is wrong, as the proto files name it, if it is one field.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        if let Self::RequestInvalid { field, .. } = self { Some(field) } else { self.row().field }
    }

    /// Which operation of the mutation or transaction it is about, from 0.
    #[must_use]
    pub fn operation_index(&self) -> Option<u32> {
        if let Self::OperationUnknown { index: operation }
        | Self::OperationMisplaced { index: operation }
        | Self::PairTooLarge { operation, .. }
        | Self::RecordExists { operation, .. }
        | Self::RecordNotFound { operation }
        | Self::VersionMismatch { operation, .. }
        | Self::TableNotFound { operation, .. }
        | Self::TableExists { operation, .. }
        | Self::AmountInvalid { operation, .. }
        | Self::BalanceTooLow { operation, .. }
        | Self::DebtOutstanding { operation, .. }
        | Self::CollateralTooLow { operation, .. }
        | Self::CreditInUse { operation, .. }
        | Self::ShardUnknown { operation, .. }
        | Self::NothingOwed { operation } = self
        {
            return Some(*operation);
        }
        if let Self::TableInvalid { operation, .. } | Self::KeyInvalid { operation, .. } = self {
            return *operation;
        }
        None
    }

    /// The same rejection, saying that it is about this operation, where it can say so and does not yet.
    #[must_use]
    pub fn at_operation(mut self, index: u32) -> Self {
        if let Self::TableInvalid { operation, .. } | Self::KeyInvalid { operation, .. } = &mut self {
            operation.get_or_insert(index);
        }
        self
    }

    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::HeaderTooEarly { .. } => true,
            // Another node has it; this one never will.
            Self::HistoryMissing { .. } => false,
            _ => self.class() == Class::Unavailable,
        }
    }
}
