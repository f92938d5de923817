//! Rejections as gRPC errors, and back.
//!
//! A failed call carries `google.rpc.Status` with, in this order: `google.rpc.ErrorInfo` (reason: the code's name; domain
//! [`DOMAIN`]; metadata `code`), `db3.v1.Rejection`, `google.rpc.BadRequest` where one field is at fault, and
//! `google.rpc.RetryInfo` only where the same call may succeed later.

mod call_error;
mod detail;
mod grpc;
mod message;

pub use call_error::CallError;
pub use grpc::{from_status, retry_delay, to_mutation_error, to_status, to_status_at, to_status_with};
pub use message::to_message;

/// Domain of `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "db3";
/// Key of the code's number in the metadata of `google.rpc.ErrorInfo`.
pub const CODE_KEY: &str = "code";
