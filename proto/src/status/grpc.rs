//! A rejection as `tonic::Status` and as the error of one of several mutations.

use std::time::Duration;

use db3_primitives::Rejection;
use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb;

use super::{CODE_KEY, DOMAIN, to_message};
use crate::v1;

/// Prefix of a type URL in `google.protobuf.Any`.
const TYPE_URL: &str = "type.googleapis.com/";
/// Full name of our detail.
const REJECTION: &str = "db3.v1.Rejection";
// Full names of google/rpc/error_details.proto.
const ERROR_INFO: &str = "google.rpc.ErrorInfo";
const BAD_REQUEST: &str = "google.rpc.BadRequest";
const RETRY_INFO: &str = "google.rpc.RetryInfo";

/// When the same call may succeed; `None` where waiting does not help.
#[must_use]
pub fn retry_delay(rejection: &Rejection) -> Option<Duration> {
    const OVERLOADED: Duration = Duration::from_millis(250);
    const STARTING: Duration = Duration::from_secs(1);
    if let Rejection::Overloaded { .. } = rejection {
        return Some(OVERLOADED);
    }
    rejection.retryable().then_some(STARTING)
}

/// The error of a call that was refused.
#[must_use]
pub fn to_status(rejection: &Rejection) -> Status {
    to_status_with(rejection, to_message(rejection, None))
}

/// The same with a message that the caller has completed (a mutation's identifier, endpoints).
#[must_use]
pub fn to_status_with(rejection: &Rejection, message: v1::Rejection) -> Status {
    let code = Code::from_i32(rejection.grpc().number());
    let mut details = vec![error_info(&message), any(REJECTION, &message)];
    details.extend(bad_request(rejection, &message));
    details.extend(retry_info(rejection));
    let text = message.message;
    let status = pb::Status { code: code.into(), message: text.clone(), details };
    Status::with_details(code, text, status.encode_to_vec().into())
}

/// The same for a request whose field has another path than in a mutation, for example `names[3].table`.
#[must_use]
pub fn to_status_at(rejection: &Rejection, field: &str) -> Status {
    let mut message = to_message(rejection, None);
    field.clone_into(&mut message.field);
    to_status_with(rejection, message)
}

/// The error of one of several mutations.
#[must_use]
pub fn to_mutation_error(rejection: &Rejection, message: v1::Rejection) -> v1::MutationError {
    v1::MutationError {
        status_code: rejection.grpc().number().unsigned_abs(),
        message: message.message.clone(),
        rejection: Some(message),
        retry_delay: retry_delay(rejection).and_then(|delay| prost_types::Duration::try_from(delay).ok()),
    }
}

/// The rejection in a failed call; `None` if it carries none, for example because nobody answered.
#[must_use]
pub fn from_status(status: &Status) -> Option<v1::Rejection> {
    let details = details(status)?;
    let found = find(&details, REJECTION)?;
    v1::Rejection::decode(found).ok()
}

/// The wait that a failed call asks for.
pub(super) fn retry_after(status: &Status) -> Option<Duration> {
    let details = details(status)?;
    let found = find(&details, RETRY_INFO)?;
    let delay = pb::RetryInfo::decode(found).ok()?.retry_delay?;
    Duration::try_from(delay).ok()
}

fn details(status: &Status) -> Option<Vec<Any>> {
    pb::Status::decode(status.details()).ok().map(|status| status.details)
}

fn find<'a>(details: &'a [Any], name: &str) -> Option<&'a [u8]> {
    details.iter().find(|any| any.type_url.rsplit('/').next() == Some(name)).map(|any| any.value.as_slice())
}

fn error_info(message: &v1::Rejection) -> Any {
    any(
        ERROR_INFO,
        &pb::ErrorInfo {
            reason: message.reason.clone(),
            domain: DOMAIN.to_owned(),
            metadata: [(CODE_KEY.to_owned(), message.code.to_string())].into(),
        },
    )
}

fn bad_request(rejection: &Rejection, message: &v1::Rejection) -> Option<Any> {
    let invalid = rejection.grpc() == db3_primitives::GrpcCode::InvalidArgument;
    if !invalid || message.field.is_empty() {
        return None;
    }
    Some(any(
        BAD_REQUEST,
        &pb::BadRequest {
            field_violations: vec![pb::bad_request::FieldViolation {
                field: message.field.clone(),
                description: message.message.clone(),
                reason: message.reason.clone(),
                ..Default::default()
            }],
        },
    ))
}

fn retry_info(rejection: &Rejection) -> Option<Any> {
    let retry_delay = prost_types::Duration::try_from(retry_delay(rejection)?).ok();
    Some(any(RETRY_INFO, &pb::RetryInfo { retry_delay }))
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("{TYPE_URL}{name}"), value: message.encode_to_vec() }
}
